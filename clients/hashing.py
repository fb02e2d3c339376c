"""Password hashes, two at once in a process at most: each takes a processor for a third of a second, and whoever waits
for one holds a thread that partners' calls need.

The bound stands in the hasher, so that no page that sets or compares a password can be forgotten. A third is refused
at once and nobody waits: HashesBusy, which a contract answers 429 and the staff's pages too (`staff.middleware`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import PBKDF2PasswordHasher

AT_ONCE = 2
RETRY_AFTER = 1
"""Seconds; a hash is over by then."""


class HashesBusy(Exception):
    """As many hashes are being worked out as may be; try again in RETRY_AFTER seconds."""


_slots = threading.BoundedSemaphore(AT_ONCE)
_mine = threading.local()


@contextmanager
def slot() -> Iterator[None]:
    """One of the process's hashes, for as long as the thread is in it; taken once however often a thread asks."""
    if getattr(_mine, "has", False):
        yield
        return
    if not _slots.acquire(blocking=False):
        raise HashesBusy
    _mine.has = True
    try:
        yield
    finally:
        _mine.has = False
        _slots.release()


class BoundedPBKDF2(PBKDF2PasswordHasher):
    """Django's own hasher, algorithm and all, in one of the slots."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with slot():
            return str(super().encode(password, salt, iterations))
