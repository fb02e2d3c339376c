"""Long lists out of PostgreSQL as JSON, in constant memory: COPY of `row_to_json`, passed on in chunks.

One export at a time for each partner, ten minutes at most and not slower than 64 KB a second (`export_slots`), on a
connection of its own that is closed when the last chunk is out or the client goes away. The server ends a broken stream
like a finished one: a JSON without its end is the sign of it.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import IO, Any

from external_api.frontdoor.export_slots import Slot

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""Bytes passed on at once."""


class Export:
    """The rows of a query, as the elements of a JSON array without its brackets; `count` is right once they are out."""

    def __init__(self, sql: str, params: Sequence[Any] = (), *, owner: str) -> None:
        """`sql` selects one JSON value a row. Raises Unavailable while another export of the owner runs."""
        self.count = 0
        self.slot = Slot(owner)
        self._sql = sql
        self._params = params

    def give_up(self) -> None:
        """Frees the slot; also of an export that never began."""
        self.slot.give_up()

    def chunks(self) -> Iterator[bytes]:
        """Runs the query. Whoever iterates must close what this returns, and give the slot up (a Body does)."""
        with self.slot.connection.cursor() as cursor:
            yield from self._copied(cursor)

    def _copied(self, cursor: Any) -> Iterator[bytes]:
        rows: list[bytes] = []
        size = 0
        with cursor.copy(f"COPY ({self._sql}) TO STDOUT", self._params) as copy:
            for row in copy:
                rows.append(bytes(row))
                size += len(rows[-1])
                if size >= CHUNK:
                    yield self._joined(rows)
                    rows, size = [], 0
        if rows:
            yield self._joined(rows)

    def _joined(self, rows: list[bytes]) -> bytes:
        """COPY doubles every backslash and ends each row with the only raw line feed that JSON text can hold."""
        text = b"".join(rows)
        begun = self.count > 0
        self.count += text.count(b"\n")
        elements = text.rstrip(b"\n").replace(b"\n", b",").replace(b"\\\\", b"\\")
        return b"," + elements if begun else elements


class Body:
    """The body of an answer that is made as it is read, at the pace its slot asks for. `done` is called once: at its
    end, when it breaks, or when the server closes it, which also happens to one that nobody began to read: a generator
    alone would not notice."""

    def __init__(self, chunks: Iterator[bytes], slot: Slot, done: Callable[[], None] = lambda: None) -> None:
        self._slot = slot
        self._chunks = slot.paced(chunks)
        self._done = done
        self._is_done = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        finally:
            self.close()

    def close(self) -> None:
        if self._is_done:
            return
        self._is_done = True
        try:
            self._chunks.close()  # type: ignore[attr-defined]
        finally:
            self._slot.give_up()
            self._done()


def stream(export: Export, *, head: bytes, tail: Callable[[int], bytes], done: Callable[[], None]) -> Body:
    """`head`, the elements, and `tail` of their number. `done` is called at the end, also of a broken stream."""

    def written() -> Iterator[bytes]:
        try:
            yield head
            with closing(export.chunks()) as chunks:  # type: ignore[type-var]
                yield from chunks
            yield tail(export.count)
        except Exception:
            log.exception("an export broke off", extra={"rows": export.count})
            raise

    return Body(written(), export.slot, done)


def file_body(file: IO[bytes], slot: Slot) -> tuple[Body, int]:
    """A file made whole before it is sent, as a body that closes it, and its size."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)

    def read() -> Iterator[bytes]:
        while piece := file.read(CHUNK):
            yield piece

    return Body(read(), slot, file.close), size
