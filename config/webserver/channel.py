"""Connection with deadlines for sending a request and reading the answer."""

import socket
import threading
import time
from collections import deque
from typing import Any

from waitress.channel import HTTPChannel

from config.webserver.request import RequestParser
from config.webserver.selector import READ, WRITE
from config.webserver.tasks import CorkedTask, EnvelopedErrorTask

HEADER_SECONDS = 10
"""Limit for a whole header, however its bytes are spread; counted from the start of a new connection."""
BODY_SECONDS = 20
"""Limit for a whole body ..."""
BODY_RATE = 32 * 1024
"""... and one second more for each of these bytes received."""
KEEP_ALIVE_SECONDS = 75
"""Limit without a further request; longer than proxies keep an idle connection to us."""
READER_RATE = 64 * 1024
"""Bytes a second that a caller must read while a thread waits for them ..."""
READER_SECONDS = 10
"""... on average over these seconds."""
STALLED_SECONDS = 60
"""Limit without a byte read while no thread waits: the rest of the answer is in memory."""
LINGER_SECONDS = 5
"""Time for which a refused body is read and dropped: after a close at once the caller would see a reset, no answer."""

serving = threading.local()
"""Its `channel` is the connection whose request this thread serves."""


class Channel(HTTPChannel):
    """Connection shared by the loop and a thread; the thread announces changes with `pull_trigger`."""

    task_class = CorkedTask
    error_task_class = EnvelopedErrorTask
    parser_class = RequestParser

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        self.peer = server.peer_of(addr[0])
        self.waiting_since = self.sent_at = time.monotonic()
        self.body_began: float | None = None
        self.lingers_until: float | None = None
        self.has_sent_request = False
        """Whether a whole request has arrived."""
        self.must_linger = False
        self.sent_bytes = 0
        self.watched = READ
        self.is_reading_paused = False
        """Whether bytes arrived that must not be read yet; the selector then ignores the socket."""
        self._timed: Any = None
        self._sent_before: deque[int] = deque(maxlen=READER_SECONDS + 1)
        super().__init__(server, sock, addr, adj, map=map)
        server.count_opened(self)

    # --- the loop's side ---

    def handle_read(self) -> None:
        if self.lingers_until is not None:
            self.recv(self.adj.recv_bytes)
            return
        if not self.readable():
            self.is_reading_paused = True
            if not self.readable():  # checked again: a thread that has just ended its request reads the flag afterwards
                return
            self.is_reading_paused = False
        super().handle_read()

    def readable(self) -> bool:
        return self.lingers_until is not None or bool(super().readable())

    def received(self, data: bytes) -> bool:
        now = time.monotonic()
        answer = bool(super().received(data))
        self.has_sent_request = self.has_sent_request or bool(self.requests)
        request = self.request
        if request is not None:
            if request is not self._timed:
                self._timed, self.body_began = request, None
                if self.has_sent_request:
                    self.waiting_since = now
            if request.headers_finished:
                self.body_began = self.body_began or now
        self.server.count_body(len(data))
        return answer

    def handle_write(self) -> None:
        if self.must_linger and self.close_when_flushed and not self.total_outbufs_len:
            self._linger()
        else:
            super().handle_write()

    def _linger(self) -> None:
        self.close_when_flushed = self.must_linger = False
        self.lingers_until = time.monotonic() + LINGER_SECONDS
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the caller has gone
            self.handle_close()

    def watch(self) -> None:
        """Update the events that the selector waits for."""
        if self._fileno is None:
            return
        if self.is_reading_paused and self.readable():
            self.is_reading_paused = False
        events = (0 if self.is_reading_paused else READ) | (WRITE if self._has_output() else 0)
        if events != self.watched:
            self.watched = events
            self._map.watch(self._fileno, events)

    def _has_output(self) -> bool:
        """Whether the loop has something to write, or is to close. What a thread is just writing is not the loop's, but
        makes the socket ready to be written all the time; so the loop waits for what the thread leaves, if anything."""
        if not self.writable():
            return False
        with self.outbuf_lock:  # a thread that waits for the caller to read lets go of it
            return bool(self.writable())

    def is_waiting(self) -> bool:
        """Whether the next byte must come from the caller."""
        return not self.requests and not self.total_outbufs_len

    def body_bytes(self) -> int:
        """Bytes of its bodies in memory."""
        under_way = self.request.body_bytes_received if self.request is not None else 0
        return int(under_way + sum(each.body_bytes_received for each in list(self.requests)))

    def is_overdue(self, now: float) -> bool:
        """Whether a deadline has passed; checked once a second."""
        if self.lingers_until is not None:
            return now > self.lingers_until
        if not self.is_waiting():
            return self._reads_too_slowly(now)
        self._sent_before.clear()
        request = self.request
        if request is None:
            allowed = KEEP_ALIVE_SECONDS if self.has_sent_request else HEADER_SECONDS
            return now - max(self.waiting_since, self.sent_at) > allowed
        if self.body_began is None:
            return now - self.waiting_since > HEADER_SECONDS
        return now - self.body_began > BODY_SECONDS + int(request.body_bytes_received) / BODY_RATE

    def _reads_too_slowly(self, now: float) -> bool:
        """Whether the caller reads too slowly while a thread waits, or has stopped reading."""
        if not self.total_outbufs_len:
            self._sent_before.clear()
            return False
        if not self.requests:
            return now - self.sent_at > STALLED_SECONDS
        self._sent_before.append(self.sent_bytes)
        is_full = len(self._sent_before) > READER_SECONDS
        return bool(is_full and self.sent_bytes - self._sent_before[0] < READER_RATE * READER_SECONDS)

    def del_channel(self, map: Any = None) -> None:
        super().del_channel(map)
        self.server.count_closed(self)

    # --- both sides ---

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent = int(super().send(data, do_close=do_close))
        if sent:
            self.sent_bytes += sent
            self.sent_at = time.monotonic()
        return sent

    def _flush_some(self, do_close: bool = True) -> bool:
        flushed = bool(super()._flush_some(do_close=do_close))
        if not self.total_outbufs_len:
            self._sent_before.clear()  # all was read: the application is the slower side
        return flushed

    # --- a thread's side ---

    def service(self) -> None:
        serving.channel = self
        try:
            super().service()
        finally:
            serving.channel = None

    def needs_loop(self) -> bool:
        """Whether the loop must act on this connection after a thread has used it."""
        return self.is_reading_paused or bool(self.writable())
