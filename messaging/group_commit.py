"""Group commit: what several threads want to write at the same moment is written by one of them, in one statement."""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

MOST = 100
"""Items in one statement."""
WITHOUT_LIMIT = -1.0
"""Patience without a limit, as `Lock.acquire` takes it."""

Item = TypeVar("Item")


class _Entry(Generic[Item]):
    """An item that waits to be written, and the error of the statement that was to write it."""

    __slots__ = ("error", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.error: BaseException | None = None


class GroupCommit(Generic[Item]):
    """Collects items while a statement runs, and writes them in the next one.

    Each thread adds its item, waits for its turn, and writes everything that waits; mostly another thread has done so
    by then. So a single item is written at once, and under load each statement writes many. `write` commits what it
    writes: threads must not be within a transaction.
    """

    def __init__(self, write: Callable[[Sequence[Item]], None]) -> None:
        self._write = write
        self._waiting: deque[_Entry[Item]] = deque()
        self._turn = Lock()

    def add(self, item: Item, *, patience: float = WITHOUT_LIMIT) -> None:
        """Write an item. Raises what `write` raised for it, in whichever thread.

        `patience`: seconds to wait for another thread's statement. After them the thread writes what waits beside it,
        and does not wait for its own item if that is in the other statement.
        """
        entry = _Entry(item)
        self._waiting.append(entry)
        has_turn = self._turn.acquire(timeout=patience)
        try:
            self._write_all(self._take())
        finally:
            if has_turn:
                self._turn.release()
        if entry.error is not None:
            raise entry.error

    def _take(self) -> list[_Entry[Item]]:
        batch: list[_Entry[Item]] = []
        try:
            while len(batch) < MOST:
                batch.append(self._waiting.popleft())
        except IndexError:  # another thread may take at the same time
            pass
        return batch

    def _write_all(self, batch: list[_Entry[Item]]) -> None:
        if not batch:
            return
        try:
            self._write([each.item for each in batch])
        except BaseException as error:
            for each in batch:
                each.error = error
            if not isinstance(error, Exception):
                raise
