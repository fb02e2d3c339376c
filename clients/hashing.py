"""Limit on concurrent password hashes: two in a process. Each takes a third of a second of a core, and a thread that
waits for one is missing for partners' calls.

The limit is in the hasher, so that no page that sets or checks a password can forget it. A third hash is refused at
once with HashesBusy, which contracts and staff pages answer with 429 (`staff.middleware`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import PBKDF2PasswordHasher

CONCURRENT_HASHES = 2
RETRY_AFTER = 1
"""Seconds after which a hash is finished."""


class HashesBusy(Exception):
    """All slots for hashes are taken. Try again in RETRY_AFTER seconds."""


_slots = threading.BoundedSemaphore(CONCURRENT_HASHES)
_mine = threading.local()


@contextmanager
def slot() -> Iterator[None]:
    """Slot for a hash. Re-entrant: a thread takes one however often it asks."""
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
    """Django's PBKDF2 hasher, limited to the slots."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with slot():
            return str(super().encode(password, salt, iterations))
