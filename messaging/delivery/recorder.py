"""Recorder of messages that providers took: those that wait are written together, by one of the threads that wait."""

import logging
from collections import deque
from threading import Lock

from django.db import InterfaceError, OperationalError, close_old_connections

from messaging.delivery import send

log = logging.getLogger(__name__)

MOST = 100
"""Messages in one statement."""


class Recorder:
    """Collects messages that were taken while a statement runs, and writes them in the next one.

    A thread that adds a message records everything that waits, unless another thread is recording: that one goes on
    until nothing waits. So a single message is recorded at once, and under load each statement records many. Whoever
    waits for all threads has waited for all records.
    """

    def __init__(self) -> None:
        self._waiting: deque[send.Taken] = deque()
        self._recording = Lock()

    def add(self, taken: send.Taken) -> None:
        """Raises what the database raises, for the messages that this thread has recorded."""
        self._waiting.append(taken)
        while self._waiting and self._recording.acquire(blocking=False):
            try:
                self._record([self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))])
            finally:
                self._recording.release()

    def _record(self, batch: list[send.Taken]) -> None:
        try:
            send.record_all_taken(batch)
        except (OperationalError, InterfaceError):  # the database connection broke during a call
            close_old_connections()
            send.record_all_taken(batch)
        for each in batch:
            send.report_result(each.message.provider, each.receipt, at=each.at)
