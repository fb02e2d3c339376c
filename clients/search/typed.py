"""What somebody types or pastes to find a person, in the form in which it is stored: `40.000.001`, `+51 910 ...`."""

import re

from clients.identity.documents import CE, DNI, canonical_number, check_character_form_ok, check_character_ok, shape_ok
from clients.identity.emails import InvalidEmail, canonical_email
from clients.identity.phones import mobile_ok, national

_BETWEEN = re.compile("[ .,/\u00a0\u00b7\u2010-\u2015\u2212_-]+")
"""What stands between the groups of a number."""
_KIND = re.compile(r"(?:D\.?N\.?I|C\.?E|PASAPORTE|CUI|DPI)\b[.:\s]*(?:N[.°º]*\s*)?", re.I)
_PHONE = re.compile("(?:tel:)?\\+?[0-9 ().\u00a0\u2010-\u2015\u2212-]+")
_SHORTEST = 6
"""Characters of the shortest document, a passport."""
_IN_BRACKETS = re.compile("<([^<>]+@[^<>]+)>$")


def mailbox(text: str) -> str:
    """Canonical spelling of an address, also of `Ana <ana@dominio.pe>`; a text that is none in small letters."""
    inside = _IN_BRACKETS.search(text)
    address = (inside[1] if inside else text).strip().removeprefix("mailto:")
    try:
        return canonical_email(address)
    except InvalidEmail:
        return address.lower()


def phone(text: str) -> str:
    """National number of a Peruvian mobile, with or without +51; "" for anything else."""
    number = national(text) if _PHONE.fullmatch(text) else ""
    return number if mobile_ok(number) else ""


def documents(text: str) -> list[str]:
    """Numbers of documents that the text may mean: as it is, without what stands between its groups, and of a DNI
    without its check character."""
    given = _KIND.sub("", text, count=1) if _KIND.match(text) else text
    together = _BETWEEN.sub("", given)
    meant = [given, together]
    if len(together) == 9 and shape_ok(DNI, together[:8]) and check_character_form_ok(together[8]):
        is_apart = given != together or not shape_ok(CE, together)
        if is_apart or check_character_ok(together[:8], together[8]):
            meant.append(together[:8])
    return list(
        dict.fromkeys(canonical_number(each) for each in [text, *meant] if each is text or len(each) >= _SHORTEST)
    )
