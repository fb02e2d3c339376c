"""Exports of long lists from PostgreSQL as JSON, in constant memory: COPY of `row_to_json`, passed on in chunks.

One export at a time for each partner, ten minutes at most and not slower than 64 KB a second (`export_slots`), on a
connection of its own that is closed when the last chunk is out or the client disconnects. The server ends a broken
stream like a finished one: a JSON without its end shows that it broke.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import IO, Any

from external_api.frontdoor.export_slots import Slot

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""Bytes passed on together."""


class Export:
    """Rows of a query as the elements of a JSON array without its brackets; `count` is right once they are out."""

    def __init__(self, sql: str, params: Sequence[Any] = (), *, owner: str) -> None:
        """`sql` selects one JSON value a row. Raises Unavailable while another export of the owner runs."""
        self.count = 0
        self.slot = Slot(owner)
        self._sql = sql
        self._params = params

    def release(self) -> None:
        """Free the slot; also of an export that never began."""
        self.slot.release()

    def chunks(self) -> Iterator[bytes]:
        """Run the query. The caller must close the iterator and release the slot (a Body does)."""
        with self.slot.connection.cursor() as cursor:
            yield from self._chunks_of_copy(cursor)

    def _chunks_of_copy(self, cursor: Any) -> Iterator[bytes]:
        rows: list[bytes] = []
        size = 0
        with cursor.copy(f"COPY ({self._sql}) TO STDOUT", self._params) as copy:
            for row in copy:
                rows.append(bytes(row))
                size += len(rows[-1])
                if size >= CHUNK:
                    yield self._join(rows)
                    rows, size = [], 0
        if rows:
            yield self._join(rows)

    def _join(self, rows: list[bytes]) -> bytes:
        """Join rows with commas. COPY doubles every backslash and ends each row with a line feed that JSON text
        escapes."""
        text = b"".join(rows)
        begun = self.count > 0
        self.count += text.count(b"\n")
        elements = text.rstrip(b"\n").replace(b"\n", b",").replace(b"\\\\", b"\\")
        return b"," + elements if begun else elements


class Body:
    """Streamed body of an answer, measured by its slot. `done` is called once: at the end, when the stream breaks, or
    when the server closes it. The last also happens to a body that was never read, which a generator alone would not
    notice."""

    def __init__(self, chunks: Iterator[bytes], slot: Slot, done: Callable[[], None] = lambda: None) -> None:
        self._slot = slot
        self._chunks = slot.measured(chunks)
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
            self._slot.release()
            self._done()


def stream(export: Export, *, head: bytes, tail: Callable[[int], bytes], done: Callable[[], None]) -> Body:
    """Stream `head`, the elements, and `tail` of their number. `done` is called at the end, also of a broken stream."""

    def generate() -> Iterator[bytes]:
        try:
            yield head
            with closing(export.chunks()) as chunks:  # type: ignore[type-var]
                yield from chunks
            yield tail(export.count)
        except Exception:
            log.exception("an export broke off", extra={"rows": export.count})
            raise

    return Body(generate(), export.slot, done)


def file_body(file: IO[bytes], slot: Slot) -> tuple[Body, int]:
    """Body of a file that was made whole before it is sent, and its size. The body closes the file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)

    def read() -> Iterator[bytes]:
        while piece := file.read(CHUNK):
            yield piece

    return Body(read(), slot, file.close), size
