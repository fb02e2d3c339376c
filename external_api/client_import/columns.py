"""Columns of a list of clients: their names, as people write them, and the line that names them."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from external_api.client_import.filled_rows import FilledRow, column_name
from external_api.client_import.limits import WrongFile

FIELDS = ("nombre", "tipo_documento", "numero_documento", "celular", "codigo_externo", "perfil", "correo")
"""Fields of a row of `alta`, in the contract's order; the columns have the same names."""
REQUIRED = ("codigo_externo", "perfil", "correo")
ENDED = "dado_de_baja_el"
EXPORTED_ONLY = ("empresa", "suscrito", "id_solicitud", "autorizado_el", ENDED)
"""Columns of an export that an import ignores."""
COLUMNS = FIELDS + EXPORTED_ONLY

TITLE_LINES = 20
"""Filled lines, titles and remarks, that may stand above the names of the columns."""

_ALSO = {
    "nombre": ("nombrecompleto", "nombresyapellidos", "apellidosynombres", "nombreyapellido"),
    "tipo_documento": ("tipodoc", "tipodedoc", "tipodedocumento", "tipododocumentodeidentidad", "tdoc"),
    "numero_documento": (
        "numerodedocumento",
        "numdocumento",
        "nrodocumento",
        "nrodedocumento",
        "ndocumento",
        "ndedocumento",
        "nodocumento",
        "nodedocumento",
        "numdoc",
        "nrodoc",
        "ndoc",
        "numerodoc",
        "documento",
    ),
    "celular": ("telefonocelular", "numerodecelular", "nrocelular", "ncelular", "movil", "telefonomovil", "telefono"),
    "codigo_externo": ("codexterno", "codigoexternodelcliente"),
    "perfil": ("codigodeperfil", "codigoperfil", "perfildelcliente"),
    "correo": ("correoelectronico", "correoe", "email", "mail", "emailcorreo", "direcciondecorreo", "correodelcliente"),
}
_BY_SPELLING = {
    **{name.replace("_", ""): name for name in COLUMNS},
    **{spelling: name for name, spellings in _ALSO.items() for spelling in spellings},
}
_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


class NoHeader(WrongFile):
    """No line names the required columns."""


class EmptyFile(NoHeader):
    """Nothing is written in the file, or in a sheet."""

    def __init__(self) -> None:
        super().__init__("El archivo está vacío.")


@dataclass(frozen=True, slots=True)
class Header:
    """The line that names the columns."""

    number: int
    columns: Mapping[str, int]
    """Column name -> index."""
    width: int
    """Columns up to the last one that has a name."""
    nameless: frozenset[int]
    """Columns between those that have a name, without one."""


def plain(cell: str) -> str:
    """`Código externo*` -> `codigo_externo`."""
    ascii_only = unicodedata.normalize("NFKD", _REMARK.sub(" ", cell)).encode("ascii", "ignore").decode()
    return "_".join(re.findall("[a-z0-9]+", ascii_only.lower()))


def recognised(cells: Sequence[str] | Mapping[int, str]) -> dict[int, str]:
    """The cells that name a column: index -> column name."""
    indexed = cells.items() if isinstance(cells, Mapping) else enumerate(cells)
    found = ((index, _BY_SPELLING.get(plain(cell[:100]).replace("_", ""))) for index, cell in indexed)
    return {index: name for index, name in found if name is not None}


def split(lines: Iterator[FilledRow]) -> tuple[Header, Iterator[FilledRow]]:
    """Find the line that names the columns: the first that names all the required ones. Return it with the lines
    below. Raises WrongFile, and NoHeader where no line names them; its text is about the line that comes nearest."""
    above: list[FilledRow] = []
    for line in lines:
        above.append(line)
        if set(REQUIRED) <= set(recognised(line.cells).values()):
            return header_of(line), lines
        if len(above) == TITLE_LINES:
            break
    if not above:
        raise EmptyFile
    best = max(above, key=lambda line: len(recognised(line.cells)))  # of equals the first
    try:
        header_of(best)
    except WrongFile as fault:
        raise NoHeader(str(fault)) from None
    raise AssertionError("a line without the required columns is no header")


def header_of(line: FilledRow) -> Header:
    """Raises WrongFile for unknown, repeated and missing columns: a misspelled one must not be ignored."""
    known = recognised(line.cells)
    names: dict[str, int] = {}
    unknown: list[str] = []
    for index in sorted(line.cells):
        name = known.get(index)
        if name is None:
            unknown.append(_quoted(line.cells[index], index))
        elif name in names:
            raise WrongFile(f"La columna {name} está repetida.")
        else:
            names[name] = index
    if unknown:
        shown = ", ".join(unknown[:10])
        raise WrongFile(f"Columnas desconocidas: {shown}. Las columnas son: {', '.join(FIELDS)}.")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise WrongFile(f"Faltan columnas: {', '.join(missing)}.")
    width = max(names.values()) + 1
    return Header(line.number, names, width, frozenset(range(width)) - frozenset(names.values()))


def unnamed(column: int, number: int) -> WrongFile:
    return WrongFile(
        f"La columna {column_name(column)} no tiene nombre y tiene datos (fila {number}). Póngale uno de los nombres "
        f"que se leen, o bórrela. Las columnas son: {', '.join(FIELDS)}."
    )


def _quoted(cell: str, index: int) -> str:
    return plain(cell)[:60] or f"la {column_name(index)} («{cell[:20]}»)"
