"""Thread pool of a worker for the queue `codes`: one thread for each call to a provider.

A provider that hangs delays neither the other codes of the claim nor the next claim. A claim takes no more messages
than there are free threads. The messages of a claim are handed over in one statement, and those that were taken are
recorded together with whatever else waits to be recorded (`messaging.delivery.recorder`).
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore

from django.conf import settings
from django.db import OperationalError, close_old_connections, connection
from django.utils import timezone

from messaging.delivery import failover, recorder, send
from messaging.delivery.coalescing import Coalesced
from messaging.gateways.base import Receipt
from messaging.models import Message
from messaging.queue import wakeup
from messaging.queue.names import BATCH

log = logging.getLogger(__name__)

THREADS = settings.WORKER_THREADS
"""More than `failover.CALLS_PER_PROVIDER`, so that a silent provider cannot hold them all. Each thread keeps a database
connection."""

LOOK_EVERY = 0.008
"""Seconds between two looks for more codes ..."""
LOOK_EVERY_UNDER_LOAD = 0.024
"""... and after a look that found several, but less than a whole batch: fewer claims, hand-overs and records, of more
codes each."""
QUIET_SECONDS = 0.048
"""Seconds of such looks after the last one that found some."""
LINGER_SECONDS = 0.8
"""Most seconds that a task looks: less than `wakeup.PENDING_SECONDS`, for which its wake-up keeps others away."""

_free_slots = BoundedSemaphore(THREADS)
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="codes")


def deliver_due() -> int:
    """Claim due messages of `codes`, as many as there are free threads, and send them in the pool.

    Returns how many were claimed, without waiting for them; `finish` waits.
    """
    slots = _take_slots(BATCH["codes"])
    if not slots:
        return 0  # every thread waits for a provider; the next sweep wakes a worker again
    claimed = 0
    try:
        claimed = send.deliver_due("codes", limit=slots, send=_submit_all)
        return claimed
    finally:
        for _ in range(slots - claimed):
            _free_slots.release()


def _deliver_and_linger() -> None:
    """Deliver due codes, and look again for more before the wake-up is acknowledged.

    Under load a look finds what came meanwhile, which then needs no wake-up and no task of its own; and while looks
    find several, they are promised, so that nobody asks whether a wake-up is pending. After the acknowledgement follows
    a last look, for a message that came just before it, or before the end of the last promise.
    """
    close_old_connections()  # as at the start of a task: this may follow a run under which the connection broke
    until = time.monotonic() + LINGER_SECONDS
    found = deliver_due()
    quiet_since = time.monotonic() if found else 0.0
    promised = 0.0
    while (now := time.monotonic()) < max(promised, min(until, quiet_since + QUIET_SECONDS)):
        if found > 1 and promised - now < wakeup.PROMISE_SECONDS / 2 and now + wakeup.PROMISE_SECONDS < until:
            promised = wakeup.promise_look("codes")
        time.sleep(LOOK_EVERY_UNDER_LOAD if 1 < found < BATCH["codes"] else LOOK_EVERY)
        found = deliver_due()
        if found:
            quiet_since = time.monotonic()
    wakeup.acknowledge("codes")
    deliver_due()


deliver_and_linger = Coalesced(_deliver_and_linger)
"""Answers a wake-up. One thread of a process looks at a time: two that look in turn would find half as many codes each
time, with twice the statements."""


def _submit_all(batch: Sequence[Message]) -> None:
    """Hand the messages of a claim over, start a thread for each, and return. Each thread releases its own slot."""
    waiting = {message.id for message in batch}
    prepared: list[send.Prepared] = []
    try:
        prepared = [each for each in map(send.prepare, batch) if each is not None]
        for each in send.hand_over_all(prepared):
            _threads.submit(_deliver, each)
            waiting.discard(each.message.id)
    except Exception:
        # When the lease of these messages ends, the sweep returns them to the queue, or makes UNKNOWN what was marked.
        log.exception("a hand-over broke off", extra={"messages": len(waiting)})
    finally:
        for each in prepared:
            if each.message.id in waiting:
                each.call.ended(failed=None)
        for _ in waiting:
            _free_slots.release()


def finish() -> None:
    """Wait for running calls, so that a worker that is told to end leaves none unfinished."""
    _threads.shutdown(wait=True)


def _take_slots(wanted: int) -> int:
    take = partial(_free_slots.acquire, blocking=False)
    return next((taken for taken in range(wanted) if not take()), wanted)


def _connect() -> None:
    """Open the database connection of this thread before it calls a provider, so that the answer can be recorded.

    An attempt that was cut short while the process was frozen is repeated. If the database is away, the call is made
    all the same: the client waits for the code.
    """
    close_old_connections()
    for _ in range(2):
        with suppress(OperationalError):
            connection.ensure_connection()
            return


def _deliver(prepared: send.Prepared) -> None:
    _connect()
    message = prepared.message
    try:
        answer = send.call_in_time(prepared)
        if isinstance(answer, Receipt):
            failover.message_taken(message.provider)
            recorder.record(send.Taken(message, answer, timezone.now()))
        elif answer is not None:
            send.record_and_report(message, answer)
    except Exception:
        # The row records how far the message came: when its lease ends, the sweep frees it or makes it UNKNOWN.
        log.exception("a delivery broke off", extra=message.log_fields)
    finally:
        prepared.call.ended(failed=None)  # no effect where the answer has ended it already
        _free_slots.release()
