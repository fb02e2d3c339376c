"""Recorder of messages that providers took: those that wait are written together, by one of the threads that wait."""

from collections import deque
from threading import Lock

from messaging.delivery import send

MOST = 100
"""Messages in one statement."""
PATIENCE = 0.02
"""Seconds that a thread waits for the statement of another one. A record that takes longer is stuck, and must not keep
others from the database: a worker that is killed would leave them UNKNOWN."""


class Recorder:
    """Collects messages that were taken while a statement runs, and writes them in the next one.

    Each thread adds its message, waits for its turn, and records everything that waits; mostly another thread has done
    so by then. So a single message is recorded at once, and under load each statement records many.
    """

    def __init__(self) -> None:
        self._waiting: deque[send.Taken] = deque()
        self._turn = Lock()

    def add(self, taken: send.Taken) -> None:
        """Raises what the database raises, for the messages that this thread has recorded."""
        self._waiting.append(taken)
        has_turn = self._turn.acquire(timeout=PATIENCE)
        try:
            self._record(self._take())
        finally:
            if has_turn:
                self._turn.release()

    def _take(self) -> list[send.Taken]:
        batch: list[send.Taken] = []
        try:
            while len(batch) < MOST:
                batch.append(self._waiting.popleft())
        except IndexError:  # another thread may take at the same time
            pass
        return batch

    def _record(self, batch: list[send.Taken]) -> None:
        if not batch:
            return
        send.with_new_connection_if_broken(lambda: send.record_all_taken(batch))
        for each in batch:
            send.report_result(each.message.provider, each.receipt, at=each.at)
