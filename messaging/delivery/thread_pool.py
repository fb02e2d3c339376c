"""Thread pool of a worker for the queue `codes`: one thread for each call to a provider.

A provider that hangs delays neither the other codes of the claim nor the next claim. A claim takes no more messages
than there are free threads.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore

from django.conf import settings
from django.db import close_old_connections

from messaging.delivery import send
from messaging.models import Message
from messaging.queue.names import BATCH

log = logging.getLogger(__name__)

THREADS = settings.WORKER_THREADS
"""More than `failover.CALLS_PER_PROVIDER`, so that a silent provider cannot hold them all. Each thread keeps a database
connection."""

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


def _submit_all(batch: Sequence[Message]) -> None:
    """Start a thread for each message and return. The slots bound their number; each thread releases its own."""
    for message in batch:
        _threads.submit(_deliver, message)


def finish() -> None:
    """Wait for running calls, so that a worker that is told to end leaves none unfinished."""
    _threads.shutdown(wait=True)


def _take_slots(wanted: int) -> int:
    take = partial(_free_slots.acquire, blocking=False)
    return next((taken for taken in range(wanted) if not take()), wanted)


def _deliver(message: Message) -> None:
    close_old_connections()
    try:
        send.deliver(message)
    except Exception:
        # The row records how far the message came: when its lease ends, the sweep frees it or makes it UNKNOWN.
        log.exception("a delivery broke off", extra={"message_id": str(message.id)})
    finally:
        _free_slots.release()
