"""Counts of the contracts' calls in a web process, written to the database every ten seconds and at its end.

A request adds to a dictionary under a lock that is held for some microseconds; a thread of its own writes. Neither a
database that does not answer nor a fault delays or fails a request: what could not be written is kept for the next
time, up to MOST_ROWS different counts. A process that is killed loses its last seconds.
"""

import atexit
import logging
import threading
from datetime import datetime

from django.db import Error, connection
from django.utils import timezone

from metrics.catalog import REQUESTS
from metrics.counting import Counts, add

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
MOST_ROWS = 5_000
"""Counts that are kept while they cannot be written: some tens a minute, so about an hour."""


class RequestCounts:
    """Buffer of one process, and the thread that empties it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()
        self._lost = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def observe(self, contract: str, status: int, seconds: float, *, at: datetime) -> None:
        """Count a call. Never raises and never waits for the database."""
        with self._lock:
            if len(self._counts.found) < MOST_ROWS:
                self._counts.observe(REQUESTS, at, seconds, contract, str(status))
            else:
                self._lost += 1

    def start(self) -> None:
        """Start to write, in the process that serves requests. Nothing is written before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
            self._thread.start()
            atexit.register(self.finish)

    def flush(self) -> None:
        """Write what was counted. Raises django.db.Error; the counts are then kept."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
            lost, self._lost = self._lost, 0
        if lost:
            log.warning("calls were not counted", extra={"calls": lost})
        try:
            add(counts)
        except Error:
            self._put_back(counts)
            raise

    def _put_back(self, counts: Counts) -> None:
        with self._lock:
            for key, (number, seconds) in counts.found.items():
                row = self._counts.found.setdefault(key, [0, 0.0])
                row[0] += number
                row[1] += seconds

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            self._flush_logged()

    def _flush_logged(self) -> None:
        if not self._counts:
            return
        try:
            connection.close_if_unusable_or_obsolete()
            self.flush()
        except Exception as fault:  # noqa: BLE001  the thread must live; the next round tries again
            log.warning("calls could not be counted yet", extra={"fault": repr(fault)[:200]})

    def finish(self) -> None:
        """Write what is left, at the end of the process."""
        self._stopping.set()
        if self._thread is not None and self._counts:
            self._flush_logged()
            connection.close()


requests = RequestCounts()
"""The buffer of this process."""


def observe(contract: str, status: int, seconds: float) -> None:
    requests.observe(contract, status, seconds, at=timezone.now())
