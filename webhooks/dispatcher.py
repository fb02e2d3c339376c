"""Dispatcher: the process `manage.py dispatch_webhooks`. Several may run; claims keep them out of each other's way.

One thread, with one database connection, takes over events, claims deliveries and records results. The tries are made
by a pool of threads that know nothing of the database, so a receiver that hangs holds a thread and nothing else.
"""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Event
from uuid import UUID

from django.conf import settings
from django.db import Error, close_old_connections
from django.utils import timezone

from clients import heartbeat
from clients.events import restore, watch
from clients.sealing import CannotUnseal
from webhooks import deliveries, signing, takeover
from webhooks.addresses import BadUrl, target_of
from webhooks.client import DEADLINE, TOO_LATE, Outcome, Try
from webhooks.deliveries import Claim, Result, Slots

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
"""Seconds between two looks for events; a result that comes back is recorded at once."""
UPKEEP_SECONDS = 5.0
"""Seconds between two looks at the feed itself: a restored database, a transaction that has long been open."""
OUTAGE_SECONDS = 1.0
"""Seconds until the next look while the database does not answer."""
SLOW_SECONDS = 3.0
"""A try that took as long makes its endpoint a slow one, until one is quicker."""
GRACE = 2.0
"""Seconds after its deadline at which a try counts as failed, although its thread has not come back."""
STOP_SECONDS = 20.0
"""Seconds that a stop waits for tries; supervisors kill after 30."""


@dataclass(slots=True)
class Running:
    """A try under way."""

    claim: Claim
    try_: Try
    is_delayed: bool


class Dispatcher:
    """Loop of the process. `stopping` ends it; what is being tried is recorded first."""

    def __init__(self, stopping: Event, *, threads: int | None = None, sandbox: bool | None = None) -> None:
        self.stopping = stopping
        self.threads = threads or settings.WEBHOOK_THREADS
        self.sandbox = settings.SANDBOX if sandbox is None else sandbox
        self.running: dict[UUID, Running] = {}
        self.stuck = 0
        """Threads of tries that have been given up, and that have not come back."""
        self.slow: set[UUID] = set()
        self.is_restored = False
        """The database was restored and its events are not renumbered: nothing is taken over."""
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="webhooks")
        self._back: SimpleQueue[Result] = SimpleQueue()
        self._news = Event()
        self._unrecorded: list[Result] = []
        self._next_upkeep = 0.0

    def wake(self) -> None:
        """End the current wait. Safe in a signal handler."""
        self._news.set()

    def run(self) -> None:
        log.info("the dispatcher of webhooks started", extra={"threads": self.threads})
        while not self.stopping.is_set():
            try:
                close_old_connections()
                wait = 0.0 if self.step() else IDLE_SECONDS
            except Error as fault:
                log.error("the database does not answer the dispatcher", extra={"fault": repr(fault)[:300]})
                wait = OUTAGE_SECONDS
            heartbeat.did("loop")
            self._news.wait(wait)
            self._news.clear()
        self._drain()

    def step(self) -> bool:
        """One round: record, look after the feed, take over, claim and start tries. Returns whether events were taken
        over, so that there may be more. Raises django.db.Error."""
        self._give_up_overdue()
        self._record()
        if time.monotonic() >= self._next_upkeep:
            self._upkeep()
            self._next_upkeep = time.monotonic() + UPKEEP_SECONDS
        if self.is_restored:
            return False
        taken = sum(takeover.take_over(each, at=timezone.now()) for each in takeover.endpoints_with_news())
        for claim in deliveries.claim(self._slots(), at=timezone.now()):
            self._start(claim)
        return taken > 0

    def _slots(self) -> Slots:
        free = self.threads - len(self.running) - self.stuck
        delayed = self.threads // 2 - sum(each.is_delayed for each in self.running.values()) - self.stuck
        delayed = max(0, min(free, delayed))
        return Slots(prompt=free - delayed, delayed=delayed, slow=self.slow)

    def _start(self, claim: Claim) -> None:
        try:
            secrets = [
                signing.unsealed(each, owner=claim.endpoint_id) for each in (claim.secret, claim.former_secret) if each
            ]
            target = target_of(claim.url, sandbox=self.sandbox)
        except (CannotUnseal, BadUrl) as fault:
            extra = {"endpoint": str(claim.endpoint_id), "fault": repr(fault)[:200]}
            log.error("a webhook cannot be tried", extra=extra)
            text = "la URL ya no se admite" if isinstance(fault, BadUrl) else "el secreto no se puede leer"
            self._unrecorded.append(Result(claim, Outcome(None, text, 0.0), timezone.now()))
            return
        try_ = Try(target, sandbox=self.sandbox)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Aval-Webhooks/{settings.AVAL_VERSION}",
            **signing.headers(claim.webhook_id, claim.body, secrets, at=timezone.now()),
        }
        self.running[claim.id] = Running(claim, try_, is_delayed=claim.is_failing or claim.endpoint_id in self.slow)
        future = self._pool.submit(try_.post, claim.body.encode(), headers)
        future.add_done_callback(partial(self._came_back, claim))

    def _came_back(self, claim: Claim, future: "Future[Outcome]") -> None:
        """Runs in the thread of the try."""
        fault = future.exception()
        if fault is not None:
            log.error("a try of a webhook broke off", exc_info=fault, extra={"endpoint": str(claim.endpoint_id)})
        outcome = Outcome(None, "una falla nuestra", 0.0) if fault is not None else future.result()
        self._back.put(Result(claim, outcome, timezone.now()))
        self._news.set()

    def _give_up_overdue(self) -> None:
        """Abort tries over their deadline. One whose thread does not come back even so waits for the resolver."""
        for key, each in list(self.running.items()):
            seconds = each.try_.seconds
            if seconds >= DEADLINE:
                each.try_.abort()
            if seconds >= DEADLINE + GRACE:
                del self.running[key]
                self.stuck += 1
                outcome = Outcome(None, TOO_LATE, seconds)
                self._unrecorded.append(Result(each.claim, outcome, timezone.now()))
                self.slow.add(each.claim.endpoint_id)

    def _record(self) -> None:
        """Record what came back. What cannot be recorded is kept for the next round."""
        while not self._back.empty():
            result = self._back.get()
            running = self.running.pop(result.claim.id, None)
            if running is None or running.claim is not result.claim:
                if running is not None:
                    self.running[result.claim.id] = running
                self.stuck -= 1  # given up before
                continue
            self._unrecorded.append(result)
            mark = self.slow.add if result.outcome.seconds >= SLOW_SECONDS else self.slow.discard
            mark(result.claim.endpoint_id)
        if not self._unrecorded:
            return
        deliveries.record(self._unrecorded)
        for each in self._unrecorded:
            log.log(
                logging.INFO if each.outcome.is_success else logging.WARNING,
                "webhook tried",
                extra={
                    "endpoint": str(each.claim.endpoint_id),
                    "webhook_id": each.claim.webhook_id,
                    "status": each.outcome.status,
                    "error": each.outcome.error,
                    "tries": each.claim.tries + 1,
                    "seconds": round(each.outcome.seconds, 3),
                },
            )
        self._unrecorded = []

    def _upkeep(self) -> None:
        watch.check(at=timezone.now())
        self.is_restored = restore.is_ahead()

    def _drain(self) -> None:
        """Wait for tries and record them. Raises nothing: what is not recorded is tried again."""
        until = time.monotonic() + STOP_SECONDS
        try:
            while self.running and time.monotonic() < until:
                self._news.wait(0.1)
                self._news.clear()
                self._give_up_overdue()
                self._record()
            self._record()
            deliveries.release([each.claim for each in self.running.values()])
        except Error as fault:
            log.error("tries could not be recorded at the stop", extra={"fault": repr(fault)[:300]})
        for each in self.running.values():
            each.try_.abort()
        self._pool.shutdown(wait=False, cancel_futures=True)
        log.info("the dispatcher of webhooks ended", extra={"left": len(self.running)})
