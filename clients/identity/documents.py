"""Identity documents of Peru: types, shapes, and the DNI's check character.

Shapes: docs/contracts/nopasanada.md, Fields of the body. The check character is printed behind the eight digits of a
DNI: a digit on today's cards, a letter on those up to 2007.
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
"""Known document types and the shape of the whole number. ASCII only: `str.isdigit` accepts other scripts."""

DOCUMENT_TYPES = tuple(SHAPES)

_CHECK_CHARACTER = re.compile(r"[0-9A-Ka-k]")


def shape_ok(document_type: str, number: str) -> bool:
    """Whether the number has the shape of its type. An unknown type has none."""
    shape = SHAPES.get(document_type)
    return shape is not None and shape.fullmatch(number) is not None


def canonical_number(number: str) -> str:
    """One spelling for each document, for uniqueness: the letters of a passport mean the same in either case."""
    return number.upper()


def check_character_form_ok(character: str) -> bool:
    """Whether it can be a check character: one digit, or one letter A to K in either case."""
    return _CHECK_CHARACTER.fullmatch(character) is not None


def check_character_ok(number: str, character: str) -> bool:
    """Whether it is the check character of this DNI, as digit or as letter. False for a number that is no DNI."""
    if not shape_ok(DNI, number) or not check_character_form_ok(character):
        return False
    return character.upper() in calc_check_digits(number)
