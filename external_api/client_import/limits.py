"""Limits on reading a client file: seconds, bytes, texts and columns, checked before they are spent.

A workbook is read as streams: a piece of a part, the rows that end in it, and nothing is kept of what is blank. So time
is bounded by a deadline, which is checked for each piece and each line, and memory by the limits below.
"""

import time
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

MAX_SECONDS = 10.0
MAX_COLUMNS = 16_384
"""Of one row, as in Excel."""
MAX_TEXTS = 250_000
"""Shared texts of a workbook: those of 10,000 clients with twice the columns of an export."""
MAX_TEXT_BYTES = 24 * 1024 * 1024
"""Of the part with the shared texts, which are kept while the sheets are read."""
MAX_ELEMENTS = 2_000_000
"""Tags of one part, without those of blank rows: of 10,000 clients with 30 columns; two seconds."""
MAX_SMALL_BYTES = 4 * 1024 * 1024
"""Of workbook, styles and relations."""
MAX_STYLES = 65_536
"""Cell styles: as many as Excel allows."""
MAX_SHEETS = 255
MAX_PARTS = 1_000
MAX_UNZIPPED_BYTES = 128 * 1024 * 1024
"""Of all parts together: half a million rows with a border and nothing else."""

TOO_SLOW = "Leer el archivo toma más de 10 segundos. Divídalo en archivos más pequeños."
TOO_BIG = (
    "El XLSX es demasiado grande: tiene demasiadas celdas o textos. Deje solo la hoja de clientes y sus columnas, "
    "o guárdelo como «CSV UTF-8»."
)
TOO_WIDE = f"El archivo tiene más de {MAX_COLUMNS} columnas. Deje solo las de los clientes."

PIECE = 128 * 1024
"""Bytes that are parsed between two checks of the deadline."""


class WrongFile(Exception):
    """The file as a whole is rejected; the text is the reason, in Spanish."""


class Damaged(Exception):
    """The workbook is not what its format demands. The text is English, for whoever debugs it."""


class Deadline:
    """Time limit of reading one file."""

    def __init__(self) -> None:
        self._ends = time.monotonic() + MAX_SECONDS

    def check(self) -> None:
        """Raises WrongFile when the time is over."""
        if time.monotonic() > self._ends:
            raise WrongFile(TOO_SLOW)


class BoundedZip:
    """Zip whose parts cannot unfold beyond the limits. Raises WrongFile.

    `ZipFile` never reads more of a part than its directory states, so the stated sizes bound what comes out. Names are
    found whatever their case and slashes: some writers use backslashes, which Excel accepts.
    """

    def __init__(self, file: IO[bytes], deadline: Deadline) -> None:
        self._zip = ZipFile(file)
        self._deadline = deadline
        parts = self._zip.infolist()
        if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNZIPPED_BYTES:
            raise WrongFile(TOO_BIG)
        self._parts: dict[str, ZipInfo] = {_plain(part.filename): part for part in parts}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._parts

    def is_encrypted(self) -> bool:
        return any(part.flag_bits & 1 for part in self._parts.values())

    def pieces(self, name: str, *, at_most: int = MAX_UNZIPPED_BYTES) -> Any:
        """The part, piece by piece. Raises Damaged where it is missing."""
        part = self._parts.get(_plain(name))
        if part is None:
            raise Damaged(f"no part {name}")
        if part.file_size > at_most:
            raise WrongFile(TOO_BIG)
        with self._zip.open(part) as stream:
            while piece := stream.read(PIECE):
                self._deadline.check()
                yield piece


def _plain(name: str) -> str:
    return name.replace("\\", "/").strip("/").lower()
