"""Places of Peru: departments, provinces and districts with their INEI codes (sources in data/README.md).

INEI's codes, not RENIEC's: the two differ (Lima is 15 for one and 14 for the other).
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).with_name("data")
_GAPS = re.compile(r"[\s_-]+")
_STOPS = re.compile("[.,()'´`‘’ʼ\u2010-\u2015]")
"""Marks that people set in a name, or leave out."""

_KINDS = re.compile(r"(?:DEPARTAMENTO|DEPTO|DPTO|DEP|REGION|PROVINCIA|PROV|PCIA|DISTRITO|DIST|DTTO|DTO)(?: DEL?)? ")
"""Kind of a place before its name."""
_SHORT = {
    "S": "SAN",
    "SN": "SAN",
    "STA": "SANTA",
    "STO": "SANTO",
    "STGO": "SANTIAGO",
    "GRAL": "GENERAL",
    "MCAL": "MARISCAL",
    "MRCAL": "MARISCAL",
    "CNEL": "CORONEL",
    "CRNEL": "CORONEL",
    "CRNL": "CORONEL",
    "CAP": "CAPITAN",
    "TNTE": "TENIENTE",
    "ALM": "ALMIRANTE",
    "FCO": "FRANCISCO",
    "MA": "MARIA",
    "VA": "VILLA",
    "NVO": "NUEVO",
    "NVA": "NUEVA",
    "PTE": "PUENTE",
    "PTO": "PUERTO",
    "CARR": "CARRION",
}
"""Abbreviations of words of place names."""
_CAPITAL = re.compile(r"(?:EL )?CERCADO(?: DEL? (?P<after>.+))?|(?P<before>.+) (?:EL )?CERCADO")
"""The district of a province's capital: Cercado de Lima, Arequipa Cercado."""


class Level(IntEnum):
    """Level of a place, in the order of its three names."""

    DEPARTMENT = 0
    PROVINCE = 1
    DISTRICT = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A district with the two levels above it, as INEI writes them. `code` has six digits: 150122."""

    code: str
    department: str
    province: str
    district: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """First of three names that is no place of the one before. `within` is that place, as INEI writes it; "" for a
    department."""

    level: Level
    within: str


def resolve(department: str, province: str, district: str) -> Place | None:
    """District with these three names, or None. See `find`."""
    found = find(department, province, district)
    return found if isinstance(found, Place) else None


def find(department: str, province: str, district: str) -> Place | Unknown:
    """District with these three names, or which of them is unknown.

    Case, accents, the tilde of Ñ, hyphens and outer or repeated spaces do not matter (Anco-Huallo, ANCO HUALLO). Usual
    other spellings are the same place: those of data/place_spellings.json (Cuzco, Nazca), the kind of place before the
    name (Prov. de Lima), abbreviations (Sta. Anita), and Cercado for the district of the capital. Each name must be
    complete: there are four Miraflores, and only the three names together identify one.
    """
    levels, names, _ = _gazetteer()
    code = ""
    for level, name in zip(Level, (department, province, district), strict=True):
        found = levels[level].get(code + _folded(name)) or _by_other_spelling(level, code, name)
        if found is None:
            return Unknown(level, names.get(code, ""))
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


def _loose(name: str) -> str:
    """Folded, without stops: `Prov. Const.` -> `PROV CONST`, `S.J.M.` -> `S J M`."""
    return _folded(_STOPS.sub(" ", name))


def _by_other_spelling(level: Level, above: str, name: str) -> str | None:
    """Code of a place within another one, by a spelling that is not INEI's."""
    if len(name) > _LONGEST:
        return None
    levels, names, spellings = _gazetteer()
    for spelling in _other_spellings(_loose(name)):
        found = levels[level].get(above + spelling) or spellings.get(above + spelling)
        if found is not None:
            return found
        capital = _CAPITAL.fullmatch(spelling) if level is Level.DISTRICT else None
        if capital:
            of = capital["after"] or capital["before"]
            if (
                of is None
                or of in (_folded(names[above]), _folded(names[above + "01"]))
                or spellings.get(above[:2] + of) == above
            ):
                return above + "01"
    return None


_LONGEST = 100
"""Characters of a name that is tried in other spellings."""


def _other_spellings(loose: str) -> Iterator[str]:
    """The name itself, without the kind of place before it, and both with abbreviations written out."""
    bare = _KINDS.sub("", loose, count=1) if _KINDS.match(loose) else ""
    for each in filter(None, (loose, bare)):
        yield each
        yield " ".join(_SHORT.get(word, word) for word in each.split())


@cache
def _gazetteer() -> tuple[list[dict[str, str]], dict[str, str], dict[str, str]]:
    """Lookup tables, read once on first use: for each level (code of the level above + folded name) -> code; code ->
    name; and (code of the level above + another spelling) -> code.

    Flat tables take under 1 MB; an object for each place would take several.
    """
    levels: list[dict[str, str]] = [{}, {}, {}]
    names: dict[str, str] = {}

    def add(level: int, above: str, last: str, name: str) -> str:
        code = above + last
        levels[level][above + _folded(name)] = code
        names[code] = name
        return code

    with (_FOLDER / "ubigeo.json").open(encoding="utf-8") as file:
        tree = json.load(file)
    for first, (department_name, provinces) in tree.items():
        department = add(0, "", first, department_name)
        for second, (province_name, districts) in provinces.items():
            province = add(1, department, second, province_name)
            for third, district_name in districts.items():
                add(2, province, third, district_name)
    with (_FOLDER / "place_spellings.json").open(encoding="utf-8") as file:
        others = json.load(file)
    spellings = {code[:-2] + _loose(name): code for code, known in others.items() for name in known}
    return levels, names, spellings
