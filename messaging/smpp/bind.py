"""Bind that is kept up: connects, binds, serves, and starts again after every loss, with growing pauses."""

import logging
import random
from threading import Event

from messaging.gateways.smpp import SmppGateway
from messaging.gateways.smpp_codes import ALREADY_BOUND
from messaging.smpp.connection import LineBroken, connect
from messaging.smpp.gateway_queue import Lane
from messaging.smpp.parts import Memory
from messaging.smpp.session import BindRefused, Session
from messaging.smpp.timing import Pace, Rate, clock

log = logging.getLogger(__name__)


class Bind:
    """Bind of one gateway, run by one thread until `stopping` is set."""

    def __init__(self, gateway: SmppGateway, stopping: Event, pace: Pace | None = None) -> None:
        self._account = gateway.account
        self._lane = Lane(gateway)
        self._stopping = stopping
        self._pace = pace or Pace()
        self._rate = Rate(gateway.account.per_second)
        self._memory = Memory()
        self._extra = {"provider": gateway.name}

    def run(self) -> None:
        """Serve until stopped. Exceptions are logged, and it starts again."""
        failures = 0
        while not self._stopping.is_set():
            began = clock()
            was_bound = self._once()
            failures = 0 if was_bound and clock() - began >= self._pace.steady else failures + 1
            if failures > 1:  # after a loss, and at the start, it tries again at once
                self._pause(self._pace.first_pause * 2.0 ** min(failures - 2, 10))
        self._say_last()

    def _once(self) -> bool:
        """One session from connect to close; whether it was bound."""
        session: Session | None = None
        bound = False
        try:
            line = connect(self._account, timeout=self._pace.connect)
            session = Session(self._lane, line, self._rate, self._pace, self._memory)
            session.bind()
            bound = True
            log.info("smpp bound", extra=self._extra)
            while not self._stopping.is_set():
                session.step()
            session.finish()
        except LineBroken as broken:
            self._lost(broken, bound=bound)
        except Exception:
            log.exception("an smpp session failed", extra=self._extra)
        finally:
            if session is not None:
                session.abandon()
                self._lane.record()
        return bound

    def _lost(self, broken: LineBroken, *, bound: bool) -> None:
        if self._stopping.is_set():
            log.info("smpp unbound", extra=self._extra)
            return
        log.warning("no smpp session", extra={**self._extra, "reason": str(broken), "bound": bound})
        if bound or (isinstance(broken, BindRefused) and broken.status == ALREADY_BOUND):
            return  # it is tried again at once; or a second process has the bind, and sends
        self._lane.has_no_line(str(broken))

    def _pause(self, seconds: float) -> None:
        """Pause with up to a tenth of jitter, so that several binds do not reconnect together. Unrecorded answers are
        kept."""
        seconds = min(seconds, self._pace.longest_pause)
        until = clock() + seconds * (1 + random.random() / 10)  # noqa: S311  spreads tries, guards nothing
        while clock() < until and not self._stopping.wait(min(1.0, max(0.0, until - clock()))):
            self._lane.record()

    def _say_last(self) -> None:
        """Record the last answers; an unavailable database gets a few seconds."""
        until = clock() + self._pace.farewell
        while not self._lane.record() and clock() < until:
            Event().wait(0.2)
