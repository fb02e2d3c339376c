"""The threads that wait for providers on behalf of the codes queue.

Each code has a thread of its own while its provider answers, so that one that hangs delays neither the codes claimed
with it nor the next claim. What is claimed is never more than there are threads free to send it.
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
"""More than `failover.AT_ONCE`: a silent provider cannot have them all. Each keeps a connection to the database."""

_room = BoundedSemaphore(THREADS)
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="codes")


def deliver_due() -> int:
    """Claims what is due in `codes`, as much as there is room for, and sends it side by side. Returns how many it
    claimed; whoever is to end waits for them with `finish`."""
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
    """Waits for nobody: what is in hand is bounded by the places, and each thread gives back its own."""
    for message in batch:
        _threads.submit(_deliver, message)


def finish() -> None:
    """Waits for what is in hand: a worker that was told to end leaves nothing half done."""
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
