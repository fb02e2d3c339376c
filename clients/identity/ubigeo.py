"""Places of Peru: departments, provinces and districts with their INEI codes (sources in data/README.md).

INEI's codes, not RENIEC's: the two differ (Lima is 15 for one and 14 for the other).
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("data") / "ubigeo.json"
_GAPS = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A district with the two levels above it, as INEI writes them. `code` has six digits: 150122."""

    code: str
    department: str
    province: str
    district: str


def resolve(department: str, province: str, district: str) -> Place | None:
    """District with these three names, or None.

    Case, accents, the tilde of Ñ, hyphens and outer or repeated spaces do not matter (Anco-Huallo, ANCO HUALLO). Each
    name must be complete: there are four Miraflores, and only the three names together identify one.
    """
    levels, names = _gazetteer()
    code = ""
    for level, name in zip(levels, (department, province, district), strict=True):
        found = level.get(code + _folded(name))
        if found is None:
            return None
        code = found
    return Place(code, names[code[:2]], names[code[:4]], names[code])


def counts() -> list[int]:
    """Number of departments, provinces and districts."""
    return [len(level) for level in _gazetteer()[0]]


def _folded(name: str) -> str:
    """Upper case without marks: Ñ becomes N on both sides of a comparison."""
    letters = unicodedata.normalize("NFD", name.upper())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _GAPS.sub(" ", bare).strip()


@cache
def _gazetteer() -> tuple[list[dict[str, str]], dict[str, str]]:
    """Lookup tables, read once on first use: for each level (code of the level above + folded name) -> code, and code
    -> name.

    Flat tables take under 1 MB; an object for each place would take several.
    """
    levels: list[dict[str, str]] = [{}, {}, {}]
    names: dict[str, str] = {}

    def add(level: int, above: str, last: str, name: str) -> str:
        code = above + last
        levels[level][above + _folded(name)] = code
        names[code] = name
        return code

    with _FILE.open(encoding="utf-8") as file:
        tree = json.load(file)
    for first, (department_name, provinces) in tree.items():
        department = add(0, "", first, department_name)
        for second, (province_name, districts) in provinces.items():
            province = add(1, department, second, province_name)
            for third, district_name in districts.items():
                add(2, province, third, district_name)
    return levels, names
