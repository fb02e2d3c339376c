"""Thread pool that calls providers for the `codes` queue.

Each code has a thread of its own while its provider answers, so that a hanging provider delays neither the other codes
of its claim nor the next claim. No more is claimed than there are free threads.
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
"""More than a single provider may have, so that a silent one cannot take them all. Each thread keeps a database
connection."""

_room = BoundedSemaphore(THREADS)
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="codes")


def deliver_due() -> int:
    """Claim what is due in `codes`, as much as there are free slots, and send it in the pool. Returns how many were
    claimed; a process that ends waits with `finish`."""
    places = _take_places(BATCH["codes"])
    if not places:
        return 0  # every thread waits for a provider; the next sweep rings again
    claimed = 0
    try:
        claimed = send.deliver_due("codes", limit=places, send=_side_by_side)
        return claimed
    finally:
        for _ in range(places - claimed):
            _room.release()


def _side_by_side(batch: Sequence[Message]) -> None:
    """Waits for nothing: the slots bound what is running, and each thread frees its own."""
    for message in batch:
        _threads.submit(_deliver, message)


def finish() -> None:
    """Wait for running calls, so that a worker told to end leaves nothing half done."""
    _threads.shutdown(wait=True)


def _take_places(wanted: int) -> int:
    take = partial(_room.acquire, blocking=False)
    return next((taken for taken in range(wanted) if not take()), wanted)


def _deliver(message: Message) -> None:
    close_old_connections()
    try:
        send.deliver(message)
    except Exception:
        # The row knows how far it came: its lease ends, and the sweep frees it or says UNKNOWN.
        log.exception("a delivery broke off", extra={"message_id": str(message.id)})
    finally:
        _room.release()
