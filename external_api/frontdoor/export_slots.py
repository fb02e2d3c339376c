"""Export slots: one at a time per partner over all processes, one for staff, and an end for readers that are too slow.

A slot is a connection of its own whose transaction holds an advisory lock named after the owner. Whatever ends the
connection frees the slot: the last chunk, a client that disconnects, a killed process, the watchdog. Each process also
lends at most half of its threads to exports, since an export holds one as long as its reader takes.

The reader's rate is measured from sending a chunk to being asked for the next. The web server asks when its buffer has
drained, so this is the rate beyond that buffer.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from external_api.frontdoor.errors import Unavailable

log = logging.getLogger(__name__)

STAFF = "staff"
MIN_RATE = 64 * 1024
"""Bytes a second that a reader must take."""
RATE_WINDOW = 10.0
"""Seconds of waiting for the reader over which the rate is measured."""
MAX_DURATION = 600.0
"""Seconds that an export may take in all."""
_RESOLUTION = 0.1
"""Seconds of waiting whose bytes are counted together."""


class ReaderTooSlow(ConnectionError):
    """The reader took less than MIN_RATE; its export was ended."""


class ReadRate:
    """Bytes taken by a reader in the last RATE_WINDOW seconds of waiting for it. The caller passes the time."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._since: float | None = None
        self._taken: deque[tuple[float, int]] = deque()

    def sent(self, size: int, at: float) -> None:
        """Count a chunk that was sent: from now on the reader is waited for."""
        if self._taken and self._waited - self._taken[-1][0] < _RESOLUTION:
            self._taken[-1] = (self._taken[-1][0], self._taken[-1][1] + size)
        else:
            self._taken.append((self._waited, size))
        self._since = at

    def requested(self, at: float) -> None:
        """Stop the clock: the next chunk was asked for, and the time until it is sent is ours."""
        if self._since is not None:
            self._waited += at - self._since
            self._since = None

    def is_too_slow(self, at: float) -> bool:
        waited = self._waited + (at - self._since if self._since is not None else 0.0)
        while self._taken and self._taken[0][0] < waited - RATE_WINDOW:
            self._taken.popleft()
        return waited >= RATE_WINDOW and sum(size for _, size in self._taken) < MIN_RATE * RATE_WINDOW


class Slot:
    """Export slot, one per partner. Release it in `finally`, so that a broken stream never keeps it. Raises Unavailable
    while it is taken.

    `connection` is in a transaction in which no statement times out: `Watchdog` limits the time.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.began = time.monotonic()
        self.rate = ReadRate()
        self._lock = threading.Lock()
        self._has_thread = self._is_ended = False
        self._wrapper: Any = None
        _threads.acquire()
        self._has_thread = True
        try:
            self._open()
        except BaseException:
            self.release()
            raise
        watchdog.watch(self)

    @property
    def connection(self) -> Any:
        return self._wrapper.connection

    def _open(self) -> None:
        self._wrapper = connections.create_connection(DEFAULT_DB_ALIAS)
        self._wrapper.inc_thread_sharing()  # a server may close a response in another thread
        self._wrapper.ensure_connection()
        self.connection.autocommit = False
        with self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"export:{self.owner}"])
            if not cursor.fetchone()[0]:
                raise Unavailable

    def release(self) -> None:
        """End the transaction and the connection, and give the thread back. A second call changes nothing."""
        with self._lock:
            was_ended, self._is_ended = self._is_ended, True
            watchdog.unwatch(self)
            if self._wrapper is not None and self.connection is not None:
                with suppress(Exception):  # an aborted one cannot be rolled back, and need not be
                    if not was_ended:
                        self.connection.rollback()
                with suppress(Exception):
                    self._wrapper.close()
            if self._has_thread:
                self._has_thread = False
                _threads.release()

    def abort(self, why: str) -> None:
        """End the connection under an export whose thread may be stuck, and may stay so until its server ends it.

        Only the socket is shut: the connection itself belongs to its thread. PostgreSQL notices at once, rolls back and
        with that frees the slot; the thread notices at its next read.
        """
        with self._lock:
            if self._is_ended:
                return
            self._is_ended = True
            watchdog.unwatch(self)
            with (
                suppress(Exception),
                closing(socket.socket(fileno=os.dup(self.connection.pgconn.socket))) as connection,
            ):
                connection.shutdown(socket.SHUT_RDWR)
        log.warning("an export was ended", extra={"owner": self.owner, "why": why})

    def reason_to_end(self, at: float) -> str:
        """The reason to end this export now; empty where there is none."""
        if at - self.began > MAX_DURATION:
            return f"longer than {MAX_DURATION:.0f} s"
        return f"its reader took less than {MIN_RATE} bytes a second" if self.rate.is_too_slow(at) else ""

    def measured(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the chunks on and measure how fast they are taken. A reader who never asks for the first is slow too."""
        self.rate.sent(0, time.monotonic())
        return self._measured(chunks)

    def _measured(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        self.rate.requested(time.monotonic())
        with closing(chunks):  # type: ignore[type-var]
            for chunk in chunks:
                self.rate.sent(len(chunk), time.monotonic())
                yield chunk
                self.rate.requested(time.monotonic())
                if self._is_ended:
                    raise ReaderTooSlow


class _Threads:
    """Threads of this process that are lent to exports."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lent = 0

    def acquire(self) -> None:
        """Raises Unavailable when half of them are lent."""
        with self._lock:
            if self._lent >= max(1, settings.WEB_THREADS // 2):
                raise Unavailable
            self._lent += 1

    def release(self) -> None:
        with self._lock:
            self._lent -= 1


class Watchdog:
    """Thread that checks all exports of this process each second, and sleeps while there are none."""

    def __init__(self) -> None:
        self._slots: set[Slot] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, slot: Slot) -> None:
        with self._changed:
            self._slots.add(slot)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="export-watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def unwatch(self, slot: Slot) -> None:
        with self._changed:
            self._slots.discard(slot)

    def release_all(self) -> None:
        """Release every slot of this process."""
        for slot in list(self._slots):
            slot.release()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slots)
                slots = list(self._slots)
            for slot in slots:
                why = slot.reason_to_end(time.monotonic())
                if why:
                    slot.abort(why)
            time.sleep(min(1.0, RATE_WINDOW / 10))


_threads = _Threads()
watchdog = Watchdog()
