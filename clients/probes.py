"""Probes: questions to the database that are answered in time whatever hangs.

Each has a thread of its own, which alone waits when the database hangs. While one query is unanswered no other is sent:
further calls wait for the same answer, and not at all once it is late. All probes of a web process have one thread, and
`/health/live` must not stand behind a queue of them.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from threading import Lock

from django.db import Error, connection

DATABASE_TIMEOUT = 0.8
"""Seconds for the database; the rest of the second is for the network."""


class Probe:
    """A question to the database, asked in a thread of its own and by one caller at a time."""

    def __init__(self, question: Callable[[], bool], name: str) -> None:
        self._question = question
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._lock = Lock()
        self._pending: Future[bool] | None = None
        self._asked_at = 0.0

    def answers(self, *, max_age: float = 0.0) -> bool:
        """Whether the answer is yes, and came in time. An answer of the last `max_age` seconds is given again."""
        with self._lock:
            now = time.monotonic()
            if self._pending is None or (self._pending.done() and now - self._asked_at >= max_age):
                self._pending = self._thread.submit(self._question)
                self._asked_at = now
            pending, left = self._pending, self._asked_at + DATABASE_TIMEOUT - now
        try:
            return pending.result(timeout=max(left, 0))
        except TooSlow:
            return False


def select_one() -> bool:
    try:
        connection.close_if_unusable_or_obsolete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except Error:
        connection.close()
        return False
