"""Limits on reading a client file: seconds, cells, texts, columns and bytes, checked before they are spent.

openpyxl reads a workbook part by part out of its zip: small parts whole, as trees, the sheet and its texts as streams.
Every part passes through `BoundedZip`, which measures it before the first element is parsed. A deadline backs these
limits: it is checked for each piece of a stream and for each line.
"""

import re
import time
from typing import IO, Any, cast
from zipfile import ZipFile

MAX_SECONDS = 10.0
MAX_COLUMNS = 100
"""Of a line of CSV, empty ones included; a sheet may have as many columns as its cells allow."""
MAX_CELLS = 250_000
"""Of a whole stream: 10,000 clients with twice the columns of an export; four seconds."""
MAX_TEXTS = 150_000
"""Shared texts, for which openpyxl takes 40 µs each, empty or not."""
MAX_ELEMENTS = 2_000_000
"""Of any kind, in one stream."""
MAX_TREE_ELEMENTS = 20_000
MAX_TREE_BYTES = 4 * 1024 * 1024
"""Of a part that is read whole: workbook, styles, properties, relations."""
MAX_PARTS = 1_000
MAX_UNZIPPED_BYTES = 64 * 1024 * 1024

TOO_SLOW = "Leer el archivo toma más de 10 segundos. Divídalo en archivos más pequeños."
TOO_BIG = (
    "El XLSX es demasiado grande: tiene demasiadas celdas o textos. Deje solo la hoja de clientes y sus columnas, "
    "o guárdelo como «CSV UTF-8»."
)
TOO_WIDE = f"El archivo tiene más de {MAX_COLUMNS} columnas. Deje solo las de los clientes."

_PIECE = 256 * 1024
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_TEXT = re.compile(rb"<(?:\w+:)?si[\s/>]")
_FORBIDDEN = re.compile(rb"<!DOCTYPE|<!ENTITY|\x00", re.I)
"""A document type defines entities, which unfold; NUL shows UTF-16, in which these patterns find nothing."""
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}encoding\s*=\s*["'](?!utf-8["']|us-ascii["'])""", re.I)
_OVERLAP = 64
"""Bytes of a piece that are searched again with the next one, for matches across the border."""


class WrongFile(Exception):
    """The file as a whole is rejected; the text is the reason, in Spanish."""


class Deadline:
    """Time limit of reading one file."""

    def __init__(self) -> None:
        self._ends = time.monotonic() + MAX_SECONDS

    def check(self) -> None:
        """Raises WrongFile when the time is over."""
        if time.monotonic() > self._ends:
            raise WrongFile(TOO_SLOW)


class BoundedZip(ZipFile):
    """A zip whose parts are measured before they are parsed. Raises WrongFile."""

    def __init__(self, file: IO[bytes], deadline: Deadline) -> None:
        super().__init__(file)
        self._deadline = deadline
        if len(self.infolist()) > MAX_PARTS or sum(part.file_size for part in self.infolist()) > MAX_UNZIPPED_BYTES:
            raise WrongFile(TOO_BIG)

    def read(self, name: Any, pwd: bytes | None = None) -> bytes:
        self._deadline.check()
        if self.getinfo(name).file_size > MAX_TREE_BYTES:
            raise WrongFile(TOO_BIG)
        with super().open(name, "r", pwd) as part:
            data = part.read()
        _Measure().add(data)
        if data.count(b"<") > MAX_TREE_ELEMENTS:
            raise WrongFile(TOO_BIG)
        return data

    def open(self, name: Any, mode: Any = "r", pwd: bytes | None = None, *, force_zip64: bool = False) -> IO[bytes]:
        measure = _Measure()
        with super().open(name, mode, pwd, force_zip64=force_zip64) as part:
            while piece := part.read(_PIECE):
                self._deadline.check()
                measure.add(piece)
        return cast(IO[bytes], _Stream(super().open(name, mode, pwd, force_zip64=force_zip64), self._deadline))


class _Measure:
    """Counter of a part's elements, piece by piece."""

    def __init__(self) -> None:
        self._cells = self._texts = self._elements = 0
        self._end_of_last = b""

    def add(self, piece: bytes) -> None:
        if not self._end_of_last and _ENCODING.match(piece.removeprefix(b"\xef\xbb\xbf")):
            raise ValueError("not UTF-8")
        self._elements += piece.count(b"<")
        self._cells += len(_CELL.findall(piece))
        self._texts += len(_TEXT.findall(piece))
        if _FORBIDDEN.search(self._end_of_last + piece):
            raise ValueError("a document type, or not UTF-8")
        self._end_of_last = piece[-_OVERLAP:]
        if self._cells > MAX_CELLS or self._texts > MAX_TEXTS or self._elements > MAX_ELEMENTS:
            raise WrongFile(TOO_BIG)


class _Stream:
    """A part as openpyxl reads it, with a check of the deadline for each piece."""

    def __init__(self, part: IO[bytes], deadline: Deadline) -> None:
        self._part = part
        self._deadline = deadline

    def read(self, size: int = -1) -> bytes:
        self._deadline.check()
        return self._part.read(size)

    def close(self) -> None:
        self._part.close()

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
