"""Export slots: one at a time per partner over all processes, one for staff, and an end for whoever reads too slowly.

A slot is a connection of its own whose transaction holds an advisory lock named after the owner. Whatever ends the
connection frees the slot: the last chunk, a client that goes away, a killed process, the watchdog. Each process also
lends at most half of its threads to exports, for an export holds one as long as its reader takes.

The pace is measured where it can be from here: from handing over a chunk to being asked for the next. The web server
asks when its buffer has drained, so that is the reader's pace beyond that buffer.
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
LEAST_PACE = 64 * 1024
"""Bytes a second that a reader must take."""
WINDOW = 10.0
"""Seconds of waiting for the reader over which the pace is measured."""
LONGEST = 600.0
"""Seconds that an export may take in all."""
_GRAIN = 0.1
"""Seconds of waiting whose bytes are counted together."""


class TooSlow(ConnectionError):
    """The reader took less than LEAST_PACE; its export was ended."""


class Pace:
    """Bytes that a reader took in the last WINDOW seconds in which it was waited for. Takes the time from outside."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._since: float | None = None
        self._taken: deque[tuple[float, int]] = deque()

    def handed(self, size: int, at: float) -> None:
        """A chunk was handed over: from now on the reader is waited for."""
        if self._taken and self._waited - self._taken[-1][0] < _GRAIN:
            self._taken[-1] = (self._taken[-1][0], self._taken[-1][1] + size)
        else:
            self._taken.append((self._waited, size))
        self._since = at

    def asked(self, at: float) -> None:
        """The next chunk is asked for: what passes now is ours."""
        if self._since is not None:
            self._waited += at - self._since
            self._since = None

    def is_too_slow(self, at: float) -> bool:
        waited = self._waited + (at - self._since if self._since is not None else 0.0)
        while self._taken and self._taken[0][0] < waited - WINDOW:
            self._taken.popleft()
        return waited >= WINDOW and sum(size for _, size in self._taken) < LEAST_PACE * WINDOW


class Slot:
    """The right to export. Whoever gets it gives it up, however the export ends. Raises Unavailable while it is taken.

    `connection` is in a transaction in which no statement times out: `Watchdog` sees to the time.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.began = time.monotonic()
        self.pace = Pace()
        self._lock = threading.Lock()
        self._has_thread = self._is_ended = False
        self._wrapper: Any = None
        _threads.take()
        self._has_thread = True
        try:
            self._open()
        except BaseException:
            self.give_up()
            raise
        watchdog.watch(self)

    @property
    def connection(self) -> Any:
        return self._wrapper.connection

    def _open(self) -> None:
        self._wrapper = connections.create_connection(DEFAULT_DB_ALIAS)
        self._wrapper.inc_thread_sharing()  # a server may close a response in another thread than began it
        self._wrapper.ensure_connection()
        self.connection.autocommit = False
        with self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"export:{self.owner}"])
            if not cursor.fetchone()[0]:
                raise Unavailable

    def give_up(self) -> None:
        """Ends the transaction and the connection, and gives the thread back. Once is enough, twice does no harm."""
        with self._lock:
            was_ended, self._is_ended = self._is_ended, True
            watchdog.forget(self)
            if self._wrapper is not None and self.connection is not None:
                with suppress(Exception):  # one that was cut cannot be rolled back, and needs not
                    if not was_ended:
                        self.connection.rollback()
                with suppress(Exception):
                    self._wrapper.close()
            if self._has_thread:
                self._has_thread = False
                _threads.give_back()

    def cut(self, why: str) -> None:
        """Ends the connection under an export whose thread may be stuck, and may stay so until its server ends it.

        Only the socket is shut: the connection itself is its thread's. PostgreSQL notices at once, rolls back and with
        that frees the slot; the thread notices at its next read.
        """
        with self._lock:
            if self._is_ended:
                return
            self._is_ended = True
            watchdog.forget(self)
            with suppress(Exception), closing(socket.socket(fileno=os.dup(self.connection.pgconn.socket))) as line:
                line.shutdown(socket.SHUT_RDWR)
        log.warning("an export was ended", extra={"owner": self.owner, "why": why})

    def must_end(self, at: float) -> str:
        """Why it must, at this time; empty while it need not."""
        if at - self.began > LONGEST:
            return f"longer than {LONGEST:.0f} s"
        return f"its reader took less than {LEAST_PACE} bytes a second" if self.pace.is_too_slow(at) else ""

    def paced(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, with a look at how fast they are taken; nobody asking for the first is slow as well."""
        self.pace.handed(0, time.monotonic())
        return self._paced(chunks)

    def _paced(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        self.pace.asked(time.monotonic())
        with closing(chunks):  # type: ignore[type-var]
            for chunk in chunks:
                self.pace.handed(len(chunk), time.monotonic())
                yield chunk
                self.pace.asked(time.monotonic())
                if self._is_ended:
                    raise TooSlow


class _Threads:
    """The threads of this process that are lent to exports."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lent = 0

    def take(self) -> None:
        """Raises Unavailable when half of them are lent."""
        with self._lock:
            if self._lent >= max(1, settings.WEB_THREADS // 2):
                raise Unavailable
            self._lent += 1

    def give_back(self) -> None:
        with self._lock:
            self._lent -= 1


class Watchdog:
    """A thread that looks at all exports of this process each second, and sleeps while there are none."""

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

    def forget(self, slot: Slot) -> None:
        with self._changed:
            self._slots.discard(slot)

    def end_all(self) -> None:
        """Gives up every slot of this process."""
        for slot in list(self._slots):
            slot.give_up()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slots)
                slots = list(self._slots)
            for slot in slots:
                why = slot.must_end(time.monotonic())
                if why:
                    slot.cut(why)
            time.sleep(min(1.0, WINDOW / 10))


_threads = _Threads()
watchdog = Watchdog()
