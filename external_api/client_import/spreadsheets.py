"""Spreadsheets of authorised clients, CSV and XLSX: read into rows of `alta`, and written so that none runs a formula.

A spreadsheet takes a cell that begins with = + - or @ for a formula, and so for a way to call a program or to send the
sheet's contents elsewhere (CSV injection, OWASP). On export such a cell gets an apostrophe, on import that apostrophe
is removed: an exported file imports unchanged.
"""

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Any
from xml.etree.ElementTree import ParseError

from openpyxl import Workbook  # type: ignore[import-untyped]
from openpyxl.reader.excel import ExcelReader  # type: ignore[import-untyped]
from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]

from external_api.client_import.limits import MAX_COLUMNS, TOO_WIDE, BoundedZip, Deadline, WrongFile

FIELDS = ("nombre", "tipo_documento", "numero_documento", "celular", "codigo_externo", "perfil", "correo")
"""Fields of a row of `alta`, in the contract's order; the columns have the same names."""
REQUIRED = ("codigo_externo", "perfil", "correo")
ENDED = "dado_de_baja_el"
EXPORTED_ONLY = ("empresa", "suscrito", "id_solicitud", "autorizado_el", ENDED)
"""Columns of an export that an import ignores."""
COLUMNS = FIELDS + EXPORTED_ONLY

MAX_BYTES = 5 * 1024 * 1024
MAX_LINES = 50_000
"""Lines that are read, empty ones included: a sheet can claim a million of them."""
MAX_CELL_LENGTH = 300
"""Characters read of a cell: more than any rule allows, so that a longer one is invalid all the same."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_UNDONE = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
_TOTAL = re.compile(r"Total: [0-9]+ filas")
_BROKEN_XLSX = (
    zipfile.BadZipFile,
    zlib.error,
    InvalidFileException,
    ParseError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    RuntimeError,
    UnicodeError,
    ArithmeticError,
)

SheetRow = tuple[int, list[str]]
"""A line's number, as the spreadsheet shows it, and its cells."""


def neutral(cell: str) -> str:
    """The cell in a form that a spreadsheet shows without running it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def original(cell: str) -> str:
    """Inverse of `neutral`."""
    return cell[1:] if _UNDONE.match(cell) else cell


def read(data: bytes, *, at_most: int, too_many: str) -> list[SheetRow]:
    """The filled lines of a file as values of FIELDS, with their numbers. Raises WrongFile."""
    if len(data) > MAX_BYTES:
        raise WrongFile("El archivo pasa de 5 MB.")
    deadline = Deadline()
    lines = _filled(_xlsx(data, deadline) if data.startswith(b"PK\x03\x04") else _csv(data), deadline)
    header = next(lines, None)
    if header is None:
        raise WrongFile("El archivo está vacío.")
    indexes = _column_indexes(header[1])
    ended = _indexes_by_name(header[1]).get(ENDED)
    rows: list[SheetRow] = []
    for number, cells in lines:
        if ended is not None and cells[ended : ended + 1] not in ([], [""]):
            raise WrongFile(f"La fila {number} está dada de baja; quítela para no autorizarla otra vez.")
        rows.append((number, [original(cells[at]) if at is not None and at < len(cells) else "" for at in indexes]))
        if len(rows) > at_most:
            raise WrongFile(too_many)
    return rows


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([neutral(cell) for cell in row] for row in rows)
    return text.getvalue()


def total_line(count: int) -> str:
    """Last line of a CSV: a file without it was broken off on the way."""
    return f"Total: {count} filas\r\n"


def write_xlsx(
    rows: Iterable[Sequence[str]], into: IO[bytes], *, title: str = "Clientes", columns: Sequence[str] = COLUMNS
) -> None:
    """Write row by row by way of the disk: the sheet is never whole in memory."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    for row in chain([columns], rows):
        sheet.append([neutral(cell) for cell in row])
    book.save(into)


def _csv(data: bytes) -> Iterator[SheetRow]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WrongFile("No es XLSX ni CSV en UTF-8. En Excel: Guardar como, «CSV UTF-8».") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    try:
        for number, cells in enumerate(reader, start=1):
            if len(cells) > MAX_COLUMNS:
                raise WrongFile(TOO_WIDE)
            yield number, [cell[:MAX_CELL_LENGTH].strip(" ") for cell in cells]
    except csv.Error:
        raise WrongFile(f"El CSV está mal formado cerca de la línea {reader.line_num}.") from None


def _xlsx(data: bytes, deadline: Deadline) -> Iterator[SheetRow]:
    """Read the first sheet, from a zip that measures its parts: 31 KB can unfold into millions of cells and texts."""
    try:
        with BoundedZip(io.BytesIO(data), deadline) as parts:
            reader = ExcelReader(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            reader.archive.close()
            reader.archive = parts
            reader.read()
            sheet = reader.wb.worksheets[0]
            sheet.reset_dimensions()  # the size stated in the file may be wrong
            for number, cells in enumerate(sheet.iter_rows(max_col=2 * len(COLUMNS), values_only=True), start=1):
                yield number, [_as_text(cell) for cell in cells]
    except _BROKEN_XLSX:
        raise WrongFile("El XLSX está dañado o protegido.") from None


def _as_text(cell: Any) -> str:
    """A number as it was typed: spreadsheets store 12345678 as 12345678.0."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell)[:MAX_CELL_LENGTH].strip(" ")


def _filled(lines: Iterator[SheetRow], deadline: Deadline) -> Iterator[SheetRow]:
    """Leave out empty lines, and the last line of an export."""
    for number, cells in lines:
        deadline.check()
        if number > MAX_LINES:
            raise WrongFile(f"El archivo pasa de {MAX_LINES} líneas, vacías incluidas.")
        filled = [cell for cell in cells if cell]
        if filled and not (len(filled) == 1 and _TOTAL.fullmatch(filled[0])):
            yield number, cells


def _column_indexes(header: list[str]) -> list[int | None]:
    """Column index of each of FIELDS. Raises WrongFile: a misspelled column must not be ignored."""
    found = _indexes_by_name(header)
    unknown = [name for name in found if name not in COLUMNS]
    if unknown:
        raise WrongFile(f"Columnas desconocidas: {', '.join(unknown)}. Las columnas son: {', '.join(FIELDS)}.")
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise WrongFile(f"Faltan columnas: {', '.join(missing)}.")
    return [found.get(name) for name in FIELDS]


def _indexes_by_name(header: list[str]) -> dict[str, int]:
    """Column name -> index; `Código externo` is read as `codigo_externo`."""
    found: dict[str, int] = {}
    for index, cell in enumerate(header):
        plain = unicodedata.normalize("NFKD", cell).encode("ascii", "ignore").decode()
        name = "_".join(plain.lower().split())
        if name in found:
            raise WrongFile(f"La columna {name} está repetida.")
        if name:
            found[name] = index
    return found
