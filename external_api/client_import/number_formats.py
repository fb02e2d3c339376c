"""Numbers of a sheet as the sheet shows them, by their cell's number format (ECMA-376 part 1, 18.8.31).

A code 00123 is often the number 123 with the format `00000`: only the format knows the zeros.
"""

import math
import re

from openpyxl.styles.numbers import (  # type: ignore[import-untyped]
    BUILTIN_FORMATS,
    is_date_format,
    is_timedelta_format,
)

GENERAL = "General"
MAX_DIGITS = 15
"""Significant digits that Excel keeps of a number."""

NOT_FINITE = "no es un número"
TOO_LONG = f"es un número de más de {MAX_DIGITS} cifras, y Excel cambia las que siguen: escríbalo como texto"
A_DATE = "es una fecha u hora de Excel: escríbalo como texto"
SHOWN_OTHERWISE = "es un número que su formato muestra de otro modo: escríbalo como texto"

_IGNORED = re.compile(r"\[(?!\$[^\]-])[^\]]*\]|_.|\*.")
"""Colours, conditions and locales in brackets, the width of a character, and what fills the cell."""
_TOKEN = re.compile(r'"([^"]*)"|\\(.)|([0#?]+(?:[,.]+[0#?]+)*)|(.)', re.S)
_BARE = frozenset(" -+()/:'")
"""Characters that stand for themselves without quotes."""


class NotAsShown(Exception):
    """The number cannot be read as its cell shows it. The text is the reason, in Spanish."""


def format_of(format_id: int, own: dict[int, str]) -> str:
    """Number format by its id: of the workbook itself, or built in."""
    return str(own.get(format_id) or BUILTIN_FORMATS.get(format_id, GENERAL))


def is_date(number_format: str) -> bool:
    return bool(is_date_format(number_format) or is_timedelta_format(number_format))


def shown(raw: str, number_format: str) -> str:
    """Text of a number as its cell shows it, but for thousands separators and decimals that are zero.

    Raises NotAsShown for dates, what is not finite, more digits than Excel keeps, and formats that show something else
    (a percentage, a fraction, a currency).
    """
    try:
        value = float(raw)
    except ValueError:
        raise NotAsShown(NOT_FINITE) from None
    if not math.isfinite(value):
        raise NotAsShown(NOT_FINITE)
    if is_date(number_format):
        raise NotAsShown(A_DATE)
    plain = _plain(value)
    first = _first_section(number_format)
    if first.strip().lower() in ("general", "@", ""):
        return plain
    return _with(_IGNORED.sub("", first), plain)


def _plain(value: float) -> str:
    if value.is_integer():
        if abs(value) >= 10**MAX_DIGITS:
            raise NotAsShown(TOO_LONG)
        return str(int(value))
    text = f"{value:.17f}".rstrip("0") if abs(value) < 1e-4 else repr(value)
    if sum(each.isdigit() for each in text.lstrip("-0.")) > MAX_DIGITS or "e" in text:
        raise NotAsShown(TOO_LONG)
    return text


def _first_section(number_format: str) -> str:
    inside = False
    for index, character in enumerate(number_format):
        if character == '"':
            inside = not inside
        elif character == ";" and not inside:
            return number_format[:index]
    return number_format


def _with(section: str, plain: str) -> str:
    """The number in a section of literals and digit places: `00000`, `000-000`, `"C-"0000`."""
    parts: list[tuple[bool, str]] = []  # (are they digit places, text)
    for token in _TOKEN.finditer(section):
        quoted, escaped, places, other = token.groups()
        if places is not None:
            parts.append((True, places))
        elif other is not None and other not in _BARE:
            raise NotAsShown(SHOWN_OTHERWISE)
        else:
            literal = quoted if quoted is not None else escaped if escaped is not None else other
            parts.append((False, literal or ""))
    places = [text for is_place, text in parts if is_place]
    if not places or any(text == "/" for is_place, text in parts if not is_place):
        raise NotAsShown(SHOWN_OTHERWISE)
    if len(places) == 1 and not any(text.strip() for is_place, text in parts if not is_place):
        return _padded(plain, places[0])
    if plain.startswith("-") or "." in plain or any(mark in text for text in places for mark in ".,"):
        raise NotAsShown(SHOWN_OTHERWISE)
    return _filled_in(parts, plain).strip()


def _padded(plain: str, places: str) -> str:
    """`00000` keeps its zeros. `#,##0.00` shows the value with separators, which are left out."""
    if places.endswith(",") or ("." in plain and "." not in places):
        raise NotAsShown(SHOWN_OTHERWISE)  # thousands cut off, or a rounded value
    whole, dot, decimals = plain.removeprefix("-").partition(".")
    if dot and len(decimals) > len(places.partition(".")[2]):
        raise NotAsShown(SHOWN_OTHERWISE)
    zeros = places.partition(".")[0].count("0")
    return ("-" if plain.startswith("-") else "") + whole.zfill(zeros) + dot + decimals


def _filled_in(parts: list[tuple[bool, str]], digits: str) -> str:
    """Digits put into their places from the right; what is left over stands before the first place."""
    filled: list[str] = []
    rest = digits
    first = next(index for index, (is_place, _) in enumerate(parts) if is_place)
    for index in range(len(parts) - 1, -1, -1):
        is_place, text = parts[index]
        if not is_place:
            filled.append(text)
            continue
        taken, rest = (rest, "") if index == first else (rest[-len(text) :], rest[: -len(text)])
        zeros = len(text) - len(text.lstrip("#?")) if "0" in text else len(text)
        filled.append(taken.zfill(len(text) - zeros) if taken or "0" in text else "")
    return "".join(reversed(filled))
