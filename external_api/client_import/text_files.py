"""Reader of CSV as Excel and its users write it: encoding, separator and the line `sep=` are recognised."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from external_api.client_import import file_kinds
from external_api.client_import.columns import recognised
from external_api.client_import.filled_rows import MAX_CELL_LENGTH, FilledRow
from external_api.client_import.limits import MAX_COLUMNS, TOO_WIDE, Deadline, WrongFile

SEPARATORS = {",": "coma", ";": "punto y coma", "\t": "tabulación", "|": "barra vertical"}
LOOKED_AT = 30
"""Lines in which a separator is looked for, of at most LOOKED_AT_LENGTH characters together, and their first
LOOKED_AT_CELLS cells."""
LINES_A_CHECK = 100
"""Lines between two checks of the deadline."""
LOOKED_AT_LENGTH = 100_000
LOOKED_AT_CELLS = 200

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OF_EXCEL = {"cp1252": "Windows-1252", "cp850": "MS-DOS (850)", "mac_roman": "Macintosh"}
"""Encodings in which Excel writes «CSV», «CSV (MS-DOS)» and «CSV (Macintosh)», most frequent first."""
_SPANISH = frozenset("áéíóúüñÁÉÍÓÚÜÑ¿¡°ºª’‘“”–—«»\u00a0")
_SEP = re.compile(r"""["']?sep=(.)["']?[;,\t]*\r?\n?""", re.I)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")


class Table(NamedTuple):
    """Text of a file with what was recognised of it."""

    text: str
    encoding: str
    separator: str

    @property
    def description(self) -> str:
        return f"CSV en {self.encoding}, separado por {SEPARATORS.get(self.separator, self.separator)}"


def table_of(data: bytes) -> Table:
    """Raises WrongFile."""
    file_kinds.refuse_what_is_no_text(data)
    text, encoding = _decoded(data)
    said = _SEP.match(text)
    if said and said[1] not in "\r\n":
        return Table(text[said.end() :], encoding, said[1])
    return Table(text, encoding, _separator(text))


def lines(table: Table, deadline: Deadline) -> Iterator[FilledRow]:
    """The filled lines. Raises WrongFile."""
    reader = _reader(table.text, table.separator, strict=True)
    try:
        for number, cells in enumerate(reader, start=1):
            if number % LINES_A_CHECK == 0:
                deadline.check()
            if len(cells) > MAX_COLUMNS:
                raise WrongFile(TOO_WIDE)
            if not any(cells):
                continue
            filled = {at: text for at, cell in enumerate(cells) if (text := cell[:MAX_CELL_LENGTH].strip(" "))}
            if filled:
                yield FilledRow(number, filled)
    except csv.Error:
        raise WrongFile(f"El CSV está mal formado cerca de la línea {reader.line_num}.") from None


def _reader(text: str, separator: str, *, strict: bool) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)


def _decoded(data: bytes) -> tuple[str, str]:
    """Text, and the name of its encoding."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data, encoding), encoding.removesuffix("-sig").upper()
    if data.count(b"\x00") > len(data) // 4:  # UTF-16 without its mark
        return _strictly(data, "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"), "UTF-16"
    try:
        return _text(data.decode("utf-8")), "UTF-8"
    except UnicodeDecodeError:
        return _of_excel(data)


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return _text(data.decode(encoding))
    except UnicodeDecodeError:
        raise file_kinds.no_text() from None


def _of_excel(data: bytes) -> tuple[str, str]:
    """The 8-bit encoding in which most of the accented bytes are letters of Spanish."""
    foreign = bytes(each for each in data if each >= 0x80)
    best, most = "", -1
    for encoding in _OF_EXCEL:
        spanish = sum(letter in _SPANISH for letter in foreign.decode(encoding, "replace"))
        if spanish > most:
            best, most = encoding, spanish
    return _strictly(data, best), _OF_EXCEL[best]


def _text(text: str) -> str:
    if _CONTROL.search(text):
        raise file_kinds.no_text()
    return text


def _separator(text: str) -> str:
    """The separator that makes the most of the columns' names of some line; else the one that the first line has most
    of."""
    known = {each: _most_recognised(text, each) for each in SEPARATORS}
    best = max(known, key=lambda each: known[each])
    if known[best]:
        return best
    first = text.lstrip("\r\n").partition("\n")[0]
    return max(SEPARATORS, key=first.count)


def _most_recognised(text: str, separator: str) -> int:
    try:
        lines = list(islice(_reader(text[:LOOKED_AT_LENGTH], separator, strict=False), LOOKED_AT))
    except csv.Error:
        return 0
    return max((len(set(recognised(cells[:LOOKED_AT_CELLS]).values())) for cells in lines), default=0)
