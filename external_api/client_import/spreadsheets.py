"""Spreadsheets of authorised clients, CSV and XLSX: read into rows of `alta`, and written so that none runs a formula.

A spreadsheet takes a cell that begins with = + - or @ for a formula, and so for a way to call a program or to send the
sheet's contents elsewhere (CSV injection, OWASP). On export such a cell gets an apostrophe, on import that apostrophe
is removed: an exported file imports unchanged.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, NamedTuple

from openpyxl import Workbook as WrittenWorkbook  # type: ignore[import-untyped]

from external_api.client_import import columns, file_kinds, text_files
from external_api.client_import.cell_texts import FORMULA, fault_of, in_the_contracts_form, neutral, original, typed
from external_api.client_import.columns import COLUMNS, ENDED, FIELDS, Header
from external_api.client_import.filled_rows import FilledRow
from external_api.client_import.limits import Deadline, WrongFile
from external_api.client_import.workbook_parts import Sheet
from external_api.client_import.workbooks import Workbook

MAX_BYTES = 5 * 1024 * 1024
SHOWN_NUMBERS = 10
"""Numbers of hidden rows that the review names."""

_TOTAL = re.compile(r"Total: [0-9]+ filas")


class SheetRow(NamedTuple):
    """A client of the file, before the contract's rules."""

    number: int
    """Of its line, as the spreadsheet shows it."""
    cells: list[str]
    """Values of FIELDS, "" for a missing one."""
    faults: Sequence[str] = ()
    """Why the row cannot be read as its sheet shows it, in Spanish."""


@dataclass
class ClientList:
    """The clients of a file, and what whoever imports them should know of it."""

    rows: list[SheetRow] = field(default_factory=list)
    source: str = ""
    """Which sheet was read, or how the CSV was understood."""
    notes: list[str] = field(default_factory=list)
    """Hidden rows, other sheets with rows, lines above the names of the columns."""


def read(data: bytes, *, at_most: int, too_many: str) -> ClientList:
    """The clients of a file: of a workbook the first visible sheet that names the columns. Raises WrongFile."""
    if len(data) > MAX_BYTES:
        raise WrongFile("El archivo pasa de 5 MB.")
    deadline = Deadline()
    if file_kinds.is_zip(data):
        return _of_workbook(Workbook(data, deadline), at_most, too_many)
    table = text_files.table_of(data)
    header, lines = columns.split(_without_total(text_files.lines(table, deadline)))
    found = ClientList(source=table.description)
    _gather(found, header, lines, at_most, too_many, is_csv=True)
    return found


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
    book = WrittenWorkbook(write_only=True)
    sheet = book.create_sheet(title)
    for row in chain([columns], rows):
        sheet.append([neutral(cell) for cell in row])
    book.save(into)


# --- which sheet ---


def _of_workbook(book: Workbook, at_most: int, too_many: str) -> ClientList:
    sheet, header, lines = _sheet_with_the_header(book)
    found = ClientList(source=f"Hoja «{sheet.name}»")
    _gather(found, header, lines, at_most, too_many, is_csv=False)
    others = [each for each in book.sheets if each is not sheet and book.has_lines(each)]
    if others:
        names = ", ".join(f"«{each.name}»" + (" (oculta)" if each.is_hidden else "") for each in others[:SHOWN_NUMBERS])
        found.notes.append(f"No se leen otras hojas con datos: {names}.")
    return found


def _sheet_with_the_header(book: Workbook) -> tuple[Sheet, Header, Iterator[FilledRow]]:
    """The first visible sheet that names the columns. Raises WrongFile: for the first visible sheet with anything in
    it, where none does."""
    nearest: WrongFile = columns.EmptyFile()
    for sheet in book.sheets:
        if sheet.is_hidden:
            continue
        try:
            return (sheet, *columns.split(_without_total(book.lines(sheet))))
        except columns.EmptyFile:
            continue
        except columns.NoHeader as fault:
            if isinstance(nearest, columns.EmptyFile):
                nearest = columns.NoHeader(f"Hoja «{sheet.name}»: {fault}")
    for sheet in book.sheets:
        if sheet.is_hidden and _names_columns(book, sheet):
            raise WrongFile(
                f"Las columnas están en la hoja oculta «{sheet.name}», que no se lee. Muéstrela en Excel (clic derecho "
                "en las pestañas, Mostrar) y guarde el archivo."
            )
    raise nearest


def _names_columns(book: Workbook, sheet: Sheet) -> bool:
    try:
        columns.split(book.lines(sheet))
    except columns.NoHeader:
        return False
    return True


# --- rows ---


def _gather(
    found: ClientList, header: Header, lines: Iterator[FilledRow], at_most: int, too_many: str, *, is_csv: bool
) -> None:
    if header.number > 1:
        found.notes.append(f"Los nombres de las columnas están en la fila {header.number}; lo de arriba no se lee.")
    hidden: list[int] = []
    ended = header.columns.get(ENDED)
    for line in lines:
        if ended is not None and ended in line.cells:
            raise WrongFile(f"La fila {line.number} está dada de baja; quítela para no autorizarla otra vez.")
        if not header.nameless.isdisjoint(line.cells):
            raise columns.unnamed(min(header.nameless.intersection(line.cells)), line.number)
        found.rows.append(_row(header, line, is_csv=is_csv))
        if line.is_hidden:
            hidden.append(line.number)
        if len(found.rows) > at_most:
            raise WrongFile(too_many)
    if hidden:
        shown = ", ".join(map(str, hidden[:SHOWN_NUMBERS]))
        if len(hidden) > SHOWN_NUMBERS:
            shown += f" y {len(hidden) - SHOWN_NUMBERS} más"
        found.notes.append(f"Filas ocultas en Excel (por un filtro, por ejemplo), que también se leen: {shown}.")


def _row(header: Header, line: FilledRow, *, is_csv: bool) -> SheetRow:
    values: dict[str, str] = {}
    faults: list[str] = []
    beyond = max(line.cells) - header.width + 1
    if beyond > 0:
        cells = "celda" if beyond == 1 else "celdas"
        faults.append(f"Tiene {beyond} {cells} más que columnas: puede haber una coma sin comillas.")
    for name in FIELDS:
        column = header.columns.get(name, -1)
        text = line.cells.get(column, "")
        values[name] = value = typed(text) if is_csv else original(text)
        is_formula = is_csv and value == text and text.startswith("=")
        fault = line.faults.get(column) or (FORMULA if is_formula else fault_of(value))
        if fault:
            faults.append(f"{name}: {fault}.")
    numeric = frozenset(name for name in FIELDS if header.columns.get(name, -1) in line.numeric)
    in_the_contracts_form(values, numeric)
    return SheetRow(line.number, list(values.values()), faults)


def _without_total(lines: Iterator[FilledRow]) -> Iterator[FilledRow]:
    """Leave out the last line of an export."""
    return (line for line in lines if not (len(line.cells) == 1 and _TOTAL.fullmatch(next(iter(line.cells.values())))))
