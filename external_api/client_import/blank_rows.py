"""Blank rows of a sheet, dropped before the parser sees them.

A border drawn down to the last row leaves hundreds of thousands of rows whose cells have a style and no value. The
parser takes microseconds for each cell; a regular expression over the bytes takes a tenth of that.
"""

import re
from collections.abc import Iterable, Iterator

from external_api.client_import.limits import Damaged

_ROW = re.compile(
    rb"""<(?:\w{1,20}:)?+row\ r="[0-9]{1,7}"[^<>/]*+
         (?:/>|>(?:\s*+<(?:\w{1,20}:)?+c(?:\s[^<>/]*+)?+(?:/>|></(?:\w{1,20}:)?+c>))*+\s*+</(?:\w{1,20}:)?+row>)""",
    re.X,
)
"""A row that states its number, with cells that have nothing inside. Nothing is tried twice: the time is linear."""
_LONGEST = 1024 * 1024
"""Bytes between two ends of tags; a cell holds up to 32,767 characters."""
_NOT_MARKUP = (b"<![CDATA[", b"<!--")
"""Beginnings of sections in which `<` is text."""


class BlankRows:
    """Drops blank rows that state their number, and remembers that it did: the number of a row that states none is
    counted from the one before."""

    def __init__(self) -> None:
        self.dropped = False
        self._is_markup = True

    def without(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces without blank rows, cut anew where a tag ends."""
        rest = b""
        for piece in pieces:
            if len(rest) > _LONGEST:
                raise Damaged("no tag ends")
            whole, end, rest = (rest + piece).rpartition(b">")
            yield self._shrunk(whole + end)
        yield rest

    def _shrunk(self, piece: bytes) -> bytes:
        if any(each in piece for each in _NOT_MARKUP):
            self._is_markup = False
        if not self._is_markup:
            return piece
        piece, rows = _ROW.subn(b"", piece)
        self.dropped |= bool(rows)
        return piece
