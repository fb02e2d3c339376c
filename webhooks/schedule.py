"""Schedule of the tries of a delivery. Arithmetic without a clock.

Source: Standard Webhooks 1.0, Delivery; the waits are the issue's and the specification's own example.
"""

from datetime import timedelta

WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Waits between two tries; the first is made at once."""
TRIES = len(WAITS) + 1
JITTER = 0.1
"""Most that a wait is longer, as a part of it, so that what failed together does not come back together."""
LONGEST_RETRY_AFTER = timedelta(hours=24)


def wait_after(tries: int, *, jitter: float, retry_after: timedelta | None = None) -> timedelta | None:
    """Wait after so many failed tries; None: that was the last. `jitter` is from 0 to 1.

    A receiver's Retry-After makes it longer, never shorter, up to LONGEST_RETRY_AFTER.
    """
    if tries >= TRIES:
        return None
    wait = WAITS[tries - 1] * (1 + JITTER * jitter)
    return wait if retry_after is None else max(wait, min(retry_after, LONGEST_RETRY_AFTER))
