"""The CUI, Guatemala's personal number, as on the DPI card: 13 digits, with a check digit and a place in them.

Eight digits of their own, one that checks them, two of the department and two of the municipality where it was issued
(data/README.md says what is known of the places). python-stdnum does not have it.
"""

import json
import re
from enum import Enum, auto
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("data") / "guatemala.json"
_SHAPE = re.compile(r"[0-9]{13}")
"""ASCII only: `str.isdigit` would take the digits of other scripts."""


class Fault(Enum):
    """What is wrong with a CUI; the first of them that is, in this order."""

    SHAPE = auto()  # not 13 digits
    CHECK_DIGIT = auto()  # a digit was mistyped, or two changed places
    PLACE = auto()  # no such department, or it has no such municipality


def fault_of(cui: str) -> Fault | None:
    """What is wrong with it; None for one that can exist. Nothing says whether it was ever issued."""
    if not _SHAPE.fullmatch(cui):
        return Fault.SHAPE
    if check_digit(cui[:8]) != int(cui[8]):
        return Fault.CHECK_DIGIT
    if not 1 <= int(cui[11:]) <= municipalities().get(cui[9:11], 0):
        return Fault.PLACE
    return None


def check_digit(number: str) -> int:
    """The digit that follows these eight: the sum of each times its place plus one, modulo 11.

    10 is no digit: such a number is never issued, and no ninth digit makes it right.
    """
    return sum(int(digit) * weight for weight, digit in enumerate(number, start=2)) % 11


@cache
def municipalities() -> dict[str, int]:
    """How many municipalities each department has, by its two digits. Read once, at the first question."""
    with _FILE.open(encoding="utf-8") as file:
        return {code: int(department["municipalities"]) for code, department in json.load(file).items()}
