"""One bind: connects, runs sessions, and reconnects after every loss with exponential backoff."""

import logging
import random
from threading import Event

from clients import heartbeat
from messaging.gateways.smpp import SmppGateway
from messaging.gateways.smpp_codes import ALREADY_BOUND
from messaging.smpp.connection import ConnectionLost, connect
from messaging.smpp.gateway_queue import GatewayQueue
from messaging.smpp.parts import SmscTraits
from messaging.smpp.session import BindRefused, Session
from messaging.smpp.timing import Rate, Timing, clock

log = logging.getLogger(__name__)


class Bind:
    """The bind of one gateway, run by one thread until `stopping` is set."""

    def __init__(self, gateway: SmppGateway, stopping: Event, timing: Timing | None = None) -> None:
        self._account = gateway.account
        self._queue = GatewayQueue(gateway)
        self._stopping = stopping
        self._timing = timing or Timing()
        self._rate = Rate(gateway.account.per_second)
        self._traits = SmscTraits()
        self._name = gateway.name
        self._extra = {"provider": gateway.name}

    def run(self) -> None:
        """Run sessions until stopped. Errors are logged and end only the session."""
        failures = 0
        while not self._stopping.is_set():
            began = clock()
            was_bound = self._run_session()
            failures = 0 if was_bound and clock() - began >= self._timing.stable_after else failures + 1
            if failures > 1:  # the first attempt after a loss, and at the start, does not wait
                self._back_off(self._timing.first_backoff * 2.0 ** min(failures - 2, 10))
        self._record_last_answers()

    def _run_session(self) -> bool:
        """Run one session from its connection to its end. Returns whether it was bound."""
        session: Session | None = None
        bound = False
        try:
            connection = connect(self._account, timeout=self._timing.connect)
            session = Session(self._queue, connection, self._rate, self._timing, self._traits)
            session.bind()
            bound = True
            log.info("smpp bound", extra=self._extra)
            while not self._stopping.is_set():
                session.step()
                heartbeat.did(self._name)
            session.finish()
        except ConnectionLost as error:
            self._handle_loss(error, bound=bound)
        except Exception:
            log.exception("an smpp session failed", extra=self._extra)
        finally:
            if session is not None:
                session.abandon()
                self._queue.record()
        return bound

    def _handle_loss(self, error: ConnectionLost, *, bound: bool) -> None:
        if self._stopping.is_set():
            log.info("smpp unbound", extra=self._extra)
            return
        log.warning("no smpp session", extra={**self._extra, "reason": str(error), "bound": bound})
        if bound or (isinstance(error, BindRefused) and error.status == ALREADY_BOUND):
            return  # it reconnects at once; or a second process has the bind, and sends
        self._queue.open_circuit(str(error))

    def _back_off(self, seconds: float) -> None:
        """Wait, with up to a tenth of jitter so that several binds do not reconnect together. Answers are recorded."""
        seconds = min(seconds, self._timing.max_backoff)
        until = clock() + seconds * (1 + random.random() / 10)  # noqa: S311  spreads tries, guards nothing
        while clock() < until and not self._stopping.wait(min(1.0, max(0.0, until - clock()))):
            self._queue.record()
            heartbeat.did(self._name)

    def _record_last_answers(self) -> None:
        """Record the last answers, with a few seconds for a database that is unavailable just now."""
        until = clock() + self._timing.unbind
        while not self._queue.record() and clock() < until:
            Event().wait(0.2)
