"""Long lists out of PostgreSQL as JSON, in constant memory: COPY of `row_to_json`, passed on in chunks.

One export at a time in each web process (it holds a thread), ten minutes at most, on a connection of its own that is
closed when the last chunk is out or the client goes away. The server ends a broken stream like a finished one: a JSON
without its end is the sign of it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import BoundedSemaphore
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from external_api.frontdoor.refusals import Unavailable

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""Bytes passed on at once."""
AT_MOST = "600s"
"""How long an export may take, slow clients included."""

_turn = BoundedSemaphore(1)


class Turn:
    """The right to export, which one has at a time. Whoever gets it gives it up, however his export ends."""

    def __init__(self) -> None:
        """Raises Unavailable while somebody else has it."""
        if not _turn.acquire(blocking=False):
            raise Unavailable
        self._has_turn = True

    def give_up(self) -> None:
        """Hands the turn on; also for an export that never began."""
        if self._has_turn:
            self._has_turn = False
            _turn.release()


class Export(Turn):
    """The rows of a query, as the elements of a JSON array without its brackets; `count` is right once they are out."""

    def __init__(self, sql: str, params: Sequence[Any] = ()) -> None:
        """`sql` selects one JSON value a row. Raises Unavailable while another export has the turn."""
        super().__init__()
        self.count = 0
        self._sql = sql
        self._params = params

    def chunks(self) -> Iterator[bytes]:
        """Runs the query. Whoever iterates must close what this returns, or the turn is kept."""
        try:
            with _own_connection() as cursor:
                yield from self._copied(cursor)
        finally:
            self.give_up()

    def _copied(self, cursor: Any) -> Iterator[bytes]:
        cursor.execute(f"SET LOCAL statement_timeout = '{AT_MOST}'")
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


@contextmanager
def _own_connection() -> Iterator[Any]:
    """A cursor in a transaction of a connection that nobody else uses, closed whatever happens."""
    with closing(connections.create_connection(DEFAULT_DB_ALIAS)) as own:
        own.ensure_connection()
        with own.connection.transaction(), own.connection.cursor() as cursor:
            yield cursor


class Body:
    """The body of an answer that is made as it is read. `done` is called once: at its end, when it breaks, or when the
    server closes it, which also happens to one that nobody began to read: a generator alone would not notice."""

    def __init__(self, chunks: Iterator[bytes], done: Callable[[], None]) -> None:
        self._chunks = chunks
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

    def ended() -> None:
        export.give_up()
        done()

    return Body(written(), ended)
