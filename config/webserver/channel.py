"""One connection: what it may take to send a request and to read the answer."""

import socket
import threading
import time
from collections import deque
from typing import Any

from waitress.channel import HTTPChannel

from config.webserver.request import RequestParser
from config.webserver.selector import READ, WRITE
from config.webserver.tasks import CorkedTask, RefusalTask

HEADER_SECONDS = 10
"""A header may take so long in all, however its bytes are spread; a new connection counts from its beginning."""
BODY_SECONDS = 20
"""A body may take so long in all ..."""
BODY_RATE = 32 * 1024
"""... and a second more for so many bytes received."""
KEEP_ALIVE_SECONDS = 75
"""Without a further request; longer than what proxies keep an idle connection to us for."""
READER_RATE = 64 * 1024
"""Bytes a second that a caller must take while a thread waits for them ..."""
READER_SECONDS = 10
"""... in each span of so many seconds."""
STALLED_SECONDS = 60
"""Without a byte taken, where no thread waits: the rest of an answer stands in memory."""
LINGER_SECONDS = 5
"""A refused body is read and thrown away for so long: closed at once, the caller would see a reset and no answer."""

serving = threading.local()
"""`channel`: the connection whose request this thread serves."""


class Channel(HTTPChannel):
    """Connection with deadlines. The loop and a thread share it; what a thread changes, it says by `pull_trigger`."""

    task_class = CorkedTask
    error_task_class = RefusalTask
    parser_class = RequestParser

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        self.peer = server.peer_of(addr[0])
        self.waiting_since = self.sent_at = time.monotonic()
        self.body_began: float | None = None
        self.lingers_until: float | None = None
        self.has_spoken = False
        """Whether a whole request has come."""
        self.must_linger = False
        self.sent_bytes = 0
        self.watched = READ
        self.is_deaf = False
        """Whether bytes came that may not be read yet; the kernel is not asked for more then."""
        self._timed: Any = None
        self._sent_before: deque[int] = deque(maxlen=READER_SECONDS + 1)
        super().__init__(server, sock, addr, adj, map=map)
        server.arrived(self)

    # --- the loop's side ---

    def handle_read(self) -> None:
        if self.lingers_until is not None:
            self.recv(self.adj.recv_bytes)
            return
        if not self.readable():
            self.is_deaf = True
            if not self.readable():  # looked at again: a thread that has just ended its request looks at is_deaf after
                return
            self.is_deaf = False
        super().handle_read()

    def readable(self) -> bool:
        return self.lingers_until is not None or bool(super().readable())

    def received(self, data: bytes) -> bool:
        now = time.monotonic()
        answer = bool(super().received(data))
        self.has_spoken = self.has_spoken or bool(self.requests)
        request = self.request
        if request is not None:
            if request is not self._timed:
                self._timed, self.body_began = request, None
                if self.has_spoken:
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
        """Tell the kernel what to wait for, if that has changed."""
        if self._fileno is None:
            return
        if self.is_deaf and self.readable():
            self.is_deaf = False
        events = (0 if self.is_deaf else READ) | (WRITE if self.writable() else 0)
        if events != self.watched:
            self.watched = events
            self._map.watch(self._fileno, events)

    def is_waiting(self) -> bool:
        """Whether nothing of ours is under way: the next byte is the caller's to send."""
        return not self.requests and not self.total_outbufs_len

    def body_bytes(self) -> int:
        """Of bodies that stand in memory."""
        under_way = self.request.body_bytes_received if self.request is not None else 0
        return int(under_way + sum(each.body_bytes_received for each in list(self.requests)))

    def is_overdue(self, now: float) -> bool:
        """Asked once a second."""
        if self.lingers_until is not None:
            return now > self.lingers_until
        if not self.is_waiting():
            return self._reads_too_slowly(now)
        self._sent_before.clear()
        request = self.request
        if request is None:
            allowed = KEEP_ALIVE_SECONDS if self.has_spoken else HEADER_SECONDS
            return now - max(self.waiting_since, self.sent_at) > allowed
        if self.body_began is None:
            return now - self.waiting_since > HEADER_SECONDS
        return now - self.body_began > BODY_SECONDS + int(request.body_bytes_received) / BODY_RATE

    def _reads_too_slowly(self, now: float) -> bool:
        """A caller that lets output wait while a thread stands behind it, or that has stopped reading altogether."""
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
        self.server.left(self)

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
            self._sent_before.clear()  # all was taken: whoever makes the answer is the slower one
        return flushed

    # --- a thread's side ---

    def service(self) -> None:
        serving.channel = self
        try:
            super().service()
        finally:
            serving.channel = None

    def needs_loop(self) -> bool:
        """Whether the loop has something to do for this connection, after a thread was at it."""
        return self.is_deaf or bool(self.writable())
