"""Identity documents of Peru: which types exist, what each looks like, and the DNI's check character.

Shapes as in `docs/contracts/nopasanada.md`; the check character as printed on the card behind the eight digits: a digit
on today's cards, a letter on those up to 2007.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from stdnum.pe.cui import calc_check_digits

DNI = "DNI"
CE = "CE"
PASSPORT = "PASAPORTE"

SHAPES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        DNI: re.compile(r"[0-9]{8}"),
        CE: re.compile(r"[0-9]{9}"),  # Migraciones practice; some tax systems allow more
        PASSPORT: re.compile(r"[0-9A-Za-z]{6,12}"),
    }
)
"""Every document type we know, with the whole of its number. ASCII only: `str.isdigit` would take other scripts."""

DOCUMENT_TYPES = tuple(SHAPES)

_CHECK_CHARACTER = re.compile(r"[0-9A-Ka-k]")


def shape_ok(document_type: str, number: str) -> bool:
    """Whether the number has its type's shape; an unknown type has none."""
    shape = SHAPES.get(document_type)
    return shape is not None and shape.fullmatch(number) is not None


def canonical_number(number: str) -> str:
    """One spelling per document, for uniqueness: a passport's letters mean the same in either case."""
    return number.upper()


def check_character_form_ok(character: str) -> bool:
    """Whether it could be a DNI's check character: one digit, or one letter A to K in either case."""
    return _CHECK_CHARACTER.fullmatch(character) is not None


def check_character_ok(number: str, character: str) -> bool:
    """Whether it is this DNI's check character, as digit or as letter. A number that is no DNI has none."""
    if not shape_ok(DNI, number) or not check_character_form_ok(character):
        return False
    return character.upper() in calc_check_digits(number)
