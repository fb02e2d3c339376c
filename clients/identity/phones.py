"""Peruvian mobile numbers, their operators, and masked destinations."""

import re

OPERATORS = (
    "MOVISTAR",
    "CLARO",
    "ENTEL",
    "BITEL",  # networks
    "FLASH",
    "CUY",
    "SUMA",
    "DOLPHIN",
    "INTERMAX",  # virtual, on somebody else's network
    "OTRO",
)
"""Operators that a caller may name. The number does not tell: 6.3 million lines were ported in 2024 alone."""

COUNTRY_PREFIX = "+51"

_MOBILE = re.compile(r"9[0-9]{8}")
_E164_MOBILE = re.compile(r"\+519[0-9]{8}")


def mobile_ok(number: str) -> bool:
    """Whether it is a national mobile number: nine ASCII digits, the first a 9."""
    return _MOBILE.fullmatch(number) is not None


def to_e164(number: str) -> str:
    """`987654321` -> `+51987654321`, the form for providers. Raises ValueError, without the number, for anything but a
    mobile number."""
    if not mobile_ok(number):
        raise ValueError("not a Peruvian mobile number")
    return COUNTRY_PREFIX + number


def national(number: str) -> str:
    """`+51 987 654 321`, `0051987654321`, `51987654321` -> `987654321`; for other numbers their digits."""
    digits = re.sub(r"[^0-9]", "", number).lstrip("0")
    rest = digits.removeprefix(COUNTRY_PREFIX.lstrip("+")).lstrip("0")
    return rest if mobile_ok(rest) else digits


def mask_phone(number: str) -> str:
    """`987654321` or `+51987654321` -> `9•• ••• 321`; of anything else, at most the last three characters."""
    national = number.removeprefix(COUNTRY_PREFIX) if _E164_MOBILE.fullmatch(number) else number
    if mobile_ok(national):
        return f"9•• ••• {national[-3:]}"
    return "••• " + national[-3:] if len(national) >= 7 else "•••"


def mask_email(address: str) -> str:
    """`juan@dominio.com` -> `j•••@dominio.com`; the dots are always three, so that they do not tell the length."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}" if at else "•••"
