"""GSM 03.38, the default alphabet of SMS (3GPP TS 23.038): a segment holds 160 of its characters, or 70 of any other.

smpplib has the table, but does not mark the entries that are gaps.
"""

import unicodedata

from smpplib.gsm import gsm_encode

_NOT_IN_GSM = frozenset("`\x1b")
"""In smpplib's table the first fills the gaps, and the second is the escape that begins a pair."""
_INSTEAD = {
    **dict.fromkeys("‘’‚´`′ʼ", "'"),
    **dict.fromkeys("“”„«»″", '"'),
    **dict.fromkeys("‐‑‒–—−", "-"),
    **dict.fromkeys("®©", ""),
    "·": ".",
    "•": "-",
    "°": "o",
    "⁄": "/",
    "Ł": "L",
    "ł": "l",
    "Đ": "D",
    "đ": "d",
    "Œ": "OE",
    "œ": "oe",
    "ı": "i",
    "ẞ": "SS",
    "ð": "d",
    "Þ": "Th",
    "þ": "th",
}
"""Replacements for characters that Unicode does not decompose."""


def encode(text: str) -> bytes:
    """One octet for a character, two for one of the extension table. Raises UnicodeError for any other character."""
    if _NOT_IN_GSM & set(text):
        raise UnicodeError("not in GSM 03.38")
    return bytes(gsm_encode(text))


def is_in(character: str) -> bool:
    try:
        encode(character)
    except UnicodeError:
        return False
    return True


def outside(text: str) -> str:
    """Characters of a text outside the alphabet, each once, in their order."""
    return "".join(dict.fromkeys(each for each in unicodedata.normalize("NFC", text) if not is_in(each)))


def folded(text: str) -> str:
    """`Crédito Perú` -> `Crédito Peru`: keeps the alphabet's characters, uses `?` for those without a base letter."""
    return "".join(_folded(each) for each in unicodedata.normalize("NFC", text))


def _folded(character: str) -> str:
    if is_in(character):
        return character
    if character in _INSTEAD:
        return _INSTEAD[character]
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Cc"):
        return ""
    parts = unicodedata.normalize("NFKD", character)
    return "?" if parts == character else "".join(_folded(each) for each in parts)
