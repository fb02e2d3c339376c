"""CUI, Guatemala's personal number, as on the DPI card: 13 digits, among them a check digit and a place.

Eight digits, a check digit, two digits for the department and two for the municipality where it was issued
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

_GROUPED = re.compile("[ \u00a0\u2010-\u2015\u2212.-]")


class Fault(Enum):
    """Fault of a CUI. The first one that applies, in this order."""

    SHAPE = auto()  # not 13 digits
    CHECK_DIGIT = auto()  # a digit was mistyped, or two changed places
    PLACE = auto()  # no such department, or it has no such municipality


def canonical(text: str) -> str:
    """The 13 digits of a CUI that is written in groups, `2380 03337 0713` or `2380-03337-0713`; another text as it
    is."""
    digits = _GROUPED.sub("", text)
    return digits if _SHAPE.fullmatch(digits) else text


def fault_of(cui: str) -> Fault | None:
    """First fault of a CUI, or None. A valid one need not have been issued."""
    if not _SHAPE.fullmatch(cui):
        return Fault.SHAPE
    if check_digit(cui[:8]) != int(cui[8]):
        return Fault.CHECK_DIGIT
    if not 1 <= int(cui[11:]) <= municipalities().get(cui[9:11], 0):
        return Fault.PLACE
    return None


def check_digit(number: str) -> int:
    """Check digit of eight digits: the sum of each digit times its position plus one, modulo 11.

    10 is no digit: such a number is never issued.
    """
    return sum(int(digit) * weight for weight, digit in enumerate(number, start=2)) % 11


@cache
def municipalities() -> dict[str, int]:
    """Number of municipalities of each department, by its two digits. Read once, on first use."""
    with _FILE.open(encoding="utf-8") as file:
        return {code: int(department["municipalities"]) for code, department in json.load(file).items()}
