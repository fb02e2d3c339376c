"""Reader of XLSX: the filled lines of a sheet, each cell as the sheet shows it or with the reason why it cannot be.

openpyxl, which writes the exports, is not used to read: it refuses what Excel opens (Strict Open XML, a fault in a
style, missing shared texts) and its quick mode hides which rows are hidden and fills in every blank cell.
python-calamine gives no number formats and no hidden rows, reads an error as an empty cell, and reserves memory for all
cells between two distant ones (docs/adr/0082-sheets-are-read-by-a-reader-of-ours.md).
"""

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice

from external_api.client_import import file_kinds
from external_api.client_import.blank_rows import BlankRows
from external_api.client_import.filled_rows import MAX_CELL_LENGTH, FilledRow
from external_api.client_import.limits import MAX_COLUMNS, TOO_WIDE, BoundedZip, Damaged, Deadline, WrongFile
from external_api.client_import.number_formats import A_DATE, GENERAL, NotAsShown, is_date, shown
from external_api.client_import.workbook_parts import Book, Sheet, book_of, local, parsing, whole

DAMAGED = f"El XLSX está dañado o protegido. Ábralo y acepte que Excel lo repare. {file_kinds.SAVE_AS}"
NO_RESULT = "es una fórmula sin resultado: ábrala en Excel, espere a que se calcule y guarde"
A_BOOLEAN = "es un valor lógico (VERDADERO o FALSO): escríbalo como texto"
_BROKEN = (
    Damaged,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
)
"""What a broken zip and broken XML raise."""
NO_TEXT = "su texto falta en el archivo: ábralo en Excel y guárdelo otra vez"
GLANCE_PIECES = 16
"""Pieces (2 MB) of a sheet that is not imported in which a filled row is looked for."""


class Workbook:
    """XLSX that is open. Its methods raise WrongFile."""

    def __init__(self, data: bytes, deadline: Deadline) -> None:
        file_kinds.refuse_other_zips(data)
        with _Faults():
            self._parts = BoundedZip(io.BytesIO(data), deadline)
            if self._parts.is_encrypted():
                raise WrongFile(file_kinds.ENCRYPTED)
            self._book: Book = book_of(self._parts)

    @property
    def sheets(self) -> list[Sheet]:
        return self._book.sheets

    def lines(self, sheet: Sheet) -> Iterator[FilledRow]:
        """The filled lines of a sheet, in their order."""
        return self._lines(sheet, None)

    def has_lines(self, sheet: Sheet) -> bool:
        """Whether a filled line stands in the first 2 MB of the sheet. One that cannot be read counts as filled."""
        try:
            return next(self._lines(sheet, GLANCE_PIECES), None) is not None
        except WrongFile:
            return True

    def _lines(self, sheet: Sheet, pieces_at_most: int | None) -> Iterator[FilledRow]:
        blank = BlankRows()
        rows = _Rows(self._book, blank)
        with _Faults():
            pieces = blank.without(self._parts.pieces(sheet.part))
            for _ in islice(parsing(pieces, rows.start, rows.end, rows.text), pieces_at_most):
                yield from rows.take()


class _Faults:
    """Turns what a broken file raises into WrongFile."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if isinstance(fault, _BROKEN):
            raise WrongFile(DAMAGED) from None


class _Rows:
    """Handlers for a sheet: they gather the filled rows, which `take` hands over."""

    def __init__(self, book: Book, blank: BlankRows) -> None:
        self._book = book
        self._blank = blank
        self._date_styles = {index for index, each in enumerate(book.formats) if is_date(each)}
        self._done: list[FilledRow] = []
        self._line = FilledRow(0, {})
        self._numeric: set[int] = set()
        self._column = -1
        self._kind = self._style = ""
        self._value: list[str] = []
        self._has_formula = self._is_value = self._is_reading = self._in_data = False

    def take(self) -> list[FilledRow]:
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        if name == "c":
            if self._in_data:
                self._begin_cell(attributes)
        elif name in ("v", "t"):
            self._is_value = self._in_data and not self._is_reading
        elif name == "f":
            self._has_formula = True
        elif name == "row":
            self._begin_row(attributes)
        elif name == "sheetData":
            self._in_data = True
        elif name == "rPh":
            self._is_reading = True

    def end(self, tag: str) -> None:
        name = local(tag)
        if name == "c":
            if self._in_data and (self._value or self._has_formula):
                self._end_cell()
        elif name in ("v", "t"):
            self._is_value = False
        elif name == "row":
            if self._line.cells or self._line.faults:
                self._line.numeric = frozenset(self._numeric)
                self._done.append(self._line)
        elif name == "sheetData":
            self._in_data = False
        elif name == "rPh":
            self._is_reading = False

    def text(self, text: str) -> None:
        if self._is_value:
            self._value.append(text)

    def _begin_row(self, attributes: dict[str, str]) -> None:
        number = whole(attributes.get("r"))
        if not number:
            if self._blank.dropped:
                raise Damaged("some rows state their number and some do not")
            number = self._line.number + 1
        self._line = FilledRow(number, {}, is_hidden=attributes.get("hidden") in ("1", "true"))
        self._numeric = set()
        self._column = -1

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        self._column = _column_of(reference) if reference else self._column + 1
        if self._column >= MAX_COLUMNS:
            raise WrongFile(TOO_WIDE)
        self._kind = attributes.get("t", "n")
        self._style = attributes.get("s", "")
        self._value = []
        self._has_formula = False

    def _end_cell(self) -> None:
        raw = "".join(self._value)
        try:
            text = self._text_of(raw)
        except NotAsShown as fault:
            self._line.cells[self._column] = raw[:MAX_CELL_LENGTH] or "?"
            self._line.faults[self._column] = str(fault)
            return
        if text:
            self._line.cells[self._column] = text

    def _text_of(self, raw: str) -> str:
        """Text of the cell. Raises NotAsShown."""
        kind = self._kind
        if not raw.strip():
            if self._has_formula and kind != "str":
                raise NotAsShown(NO_RESULT)
            return ""
        if kind == "s":
            index = whole(raw.strip())
            if index >= len(self._book.texts):
                raise NotAsShown(NO_TEXT)
            return self._book.texts[index].strip(" ")
        if kind in ("str", "inlineStr"):
            return raw[:MAX_CELL_LENGTH].strip(" ")
        if kind == "b":
            raise NotAsShown(A_BOOLEAN)
        if kind == "e":
            raise NotAsShown(f"es un error de Excel ({raw.strip()[:20]})")
        if kind == "d":
            raise NotAsShown(A_DATE)
        self._numeric.add(self._column)
        return self._number(raw.strip())

    def _number(self, raw: str) -> str:
        style = whole(self._style)
        if style in self._date_styles:
            raise NotAsShown(A_DATE)
        formats = self._book.formats
        return shown(raw, formats[style] if style < len(formats) else GENERAL)


def _column_of(reference: str) -> int:
    """`A1` -> 0, `AA7` -> 26."""
    column = 0
    for letter in reference:
        if not "A" <= letter <= "Z":
            break
        column = column * 26 + ord(letter) - 64
        if column > MAX_COLUMNS:
            raise WrongFile(TOO_WIDE)
    if not column:
        raise Damaged("a cell without a column")
    return column - 1
