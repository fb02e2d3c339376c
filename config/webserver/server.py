"""Server of one web process: accepts from a shared socket and limits connections and buffered bodies."""

import logging
import socket
import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from clients.client_ip import is_trusted_proxy, limiting_key
from config.webserver.channel import Channel, serving
from config.webserver.dispatcher import Dispatcher
from config.webserver.selector import READ, WRITE, SelectorMap

log = logging.getLogger("aval.web")

BACKLOG = 1024
"""Connections that wait in the kernel: a burst is not refused."""
CHECK_SECONDS = 1.0
"""Interval of the checks of the deadlines."""
STOP_SECONDS = 25.0
"""Limit for answers under way after a stop; requests still arriving have STOP_SECONDS_FOR_REQUESTS."""
STOP_SECONDS_FOR_REQUESTS = 5.0
STOP_SECONDS_FOR_IDLE = 1.0
"""Time after a stop for which a connection without a request stays open. Closed at once, it would end under a request
that a proxy is just sending; the answer to that request says `Connection: close`."""
HEADER_BYTES = 32 * 1024
BODY_BYTES = 9 * 1024 * 1024
"""Above the largest limit of a contract (8 MiB), so that the contract itself answers a body that is too large."""


@dataclass(frozen=True)
class Limits:
    """Limits of one process; `bodies` is MiB in memory over all connections."""

    connections: int = 2000
    connections_per_address: int = 256
    bodies: int = 64
    drain: int = 0
    """Seconds between a stop and the last connection that is accepted; `/health/ready` says 503 in them."""


class Server(TcpWSGIServer):
    """waitress over a listening socket, with limits per address and in all."""

    channel_class = Channel

    def __init__(self, application: Any, listening: socket.socket, threads: int, limits: Limits) -> None:
        self.limits = limits
        self.changed: deque[Channel] = deque()
        """Connections that need the loop after a thread has used them."""
        self._by_peer: dict[str, set[Channel]] = {}
        self._body_bytes = 0
        self._stop_asked_at: float | None = None
        self._stops_at: float | None = None
        about = (listening.family, listening.type, listening.proto, listening.getsockname())
        listening.listen(BACKLOG)
        super().__init__(
            application,
            map=SelectorMap(),
            _sock=listening,
            dispatcher=Dispatcher(threads),
            adj=_adjustments(listening),
            sockinfo=about,
            bind_socket=False,
        )

    # --- the loop ---

    def run(self) -> None:
        """Serve until `stop` was called and the requests under way are done."""
        self._serve()
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        self.task_dispatcher.shutdown(timeout=1)
        if not self.task_dispatcher.threads:
            self.trigger.close()

    def _serve(self) -> None:
        next_check = 0.0
        while not self._is_done():
            for dispatcher, events in self._map.wait(CHECK_SECONDS):
                self._handle(dispatcher, events)
            while self.changed:
                self.changed.popleft().watch()
            now = time.monotonic()
            if now >= next_check:
                next_check = now + CHECK_SECONDS
                self._close_overdue(now)

    def _handle(self, dispatcher: Any, events: int) -> None:
        if self._map.get(dispatcher._fileno) is not dispatcher:
            return  # closed by an earlier event of this round
        if events & READ:
            wasyncore.read(dispatcher)
        if events & WRITE and dispatcher._fileno is not None:
            wasyncore.write(dispatcher)
        if isinstance(dispatcher, Channel):
            dispatcher.watch()

    def pull_trigger(self) -> None:
        """Called by a thread at the end of each request; wakes the loop only if it is needed."""
        channel: Channel | None = getattr(serving, "channel", None)
        if channel is not None:
            if not channel.needs_loop():
                return
            self.changed.append(channel)
        super().pull_trigger()

    def _close_overdue(self, now: float) -> None:
        for channel in list(self.active_channels.values()):
            if channel.is_overdue(now) or (self._stops_at is not None and self._is_to_end(channel, now)):
                channel.handle_close()

    # --- limits ---

    def peer_of(self, address: str) -> str:
        """Key by which connections are counted; empty for a trusted proxy, which is not one caller."""
        return "" if is_trusted_proxy(address) else limiting_key(address)

    def count_opened(self, channel: Channel) -> None:
        """Count a new connection. Above a limit, close the one that has waited longest for its caller."""
        same = self._by_peer.setdefault(channel.peer, set())
        same.add(channel)
        if channel.peer and len(same) > self.limits.connections_per_address:
            self._close_one_of(same, channel)
        elif len(self.active_channels) > self.limits.connections:
            self._close_one_of(max(self._by_peer.values(), key=len), channel)

    def count_closed(self, channel: Channel) -> None:
        same = self._by_peer.get(channel.peer, set())
        same.discard(channel)
        if not same:
            self._by_peer.pop(channel.peer, None)

    def _close_one_of(self, channels: Collection[Channel], newest: Channel) -> None:
        waiting = [each for each in channels if each.is_waiting()]
        min(waiting, key=lambda each: each.waiting_since, default=newest).handle_close()

    def count_body(self, received: int) -> None:
        """Limit the memory of bodies over all connections; called for everything received."""
        self._body_bytes += received  # an upper bound; counted exactly only above the limit
        allowed = self.limits.bodies * 1024 * 1024
        if self._body_bytes <= allowed:
            return
        self._body_bytes = self._exact_body_bytes()
        while self._body_bytes > allowed:
            if not self._close_largest():
                return
            self._body_bytes = self._exact_body_bytes()

    def _exact_body_bytes(self) -> int:
        return sum(each.body_bytes() for each in self.active_channels.values())

    def _close_largest(self) -> bool:
        """Close the oldest unfinished body of the caller with the most bytes; False if there is none."""
        held = {peer: sum(each.body_bytes() for each in same) for peer, same in self._by_peer.items()}
        for peer in sorted(held, key=lambda each: -held[each]):
            receiving = [each for each in self._by_peer[peer] if each.is_waiting() and each.body_bytes()]
            if receiving:
                min(receiving, key=lambda each: each.body_began or 0).handle_close()
                log.warning("bodies under way exceed their memory; a connection was closed", extra={"address": peer})
                return True
        return False

    # --- stopping ---

    @property
    def is_stopping(self) -> bool:
        return self._stop_asked_at is not None

    def stop(self) -> None:
        """Accept no more connections once drained, finish requests under way, return from `run`.

        Safe in a signal handler.
        """
        self._stop_asked_at = self._stop_asked_at or time.monotonic()
        self.trigger.pull_trigger()

    def _is_done(self) -> bool:
        if self._stop_asked_at is None:
            return False
        now = time.monotonic()
        if now < self._stop_asked_at + self.limits.drain:
            return False
        if self._stops_at is None:
            self._stops_at = self._stop_asked_at + STOP_SECONDS
            self._accept_all()
            self.del_channel()  # of the listening socket; other processes still accept from it
            self.socket.close()
        self._close_overdue(now)
        return not self.active_channels or now > self._stops_at

    def _accept_all(self) -> None:
        """Accept what the kernel has already connected: it would reset those callers when the last process closes."""
        known = -1
        while known < len(self.active_channels) < self.limits.connections:
            known = len(self.active_channels)
            self.handle_accept()

    def _is_to_end(self, channel: Channel, now: float) -> bool:
        if not channel.is_waiting() or channel.is_reading_paused:
            return False
        asked_at = (self._stop_asked_at or now) + self.limits.drain
        allowed = STOP_SECONDS_FOR_IDLE if channel.request is None else STOP_SECONDS_FOR_REQUESTS
        return now > asked_at + allowed


def _adjustments(listening: socket.socket) -> Adjustments:
    return Adjustments(
        sockets=[listening],
        ident=None,
        clear_untrusted_proxy_headers=False,  # clients.client_ip decides which proxies to trust
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=BODY_BYTES,
        inbuf_overflow=BODY_BYTES,  # in memory, which `count_body` bounds, and not in files
        outbuf_high_watermark=256 * 1024,  # above this a thread waits for its reader
        outbuf_overflow=16 * 1024 * 1024,
        recv_bytes=64 * 1024,
        backlog=BACKLOG,
        log_socket_errors=False,
    )
