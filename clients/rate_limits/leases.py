"""Leases of hits: a process counts some hits of a busy key in Redis ahead, and then lets as many pass without asking.

A lease is a quarter of the hits that the process saw of its key lately, and a sixtieth of the limit at most, so a key
that is seldom used is counted hit by hit. What is leased is counted, so that all processes together never let more than
the limit through. What is left of a lease when it ends is lost to its caller; a lease of a count of the day lives as
long as the day.
"""

import threading
from dataclasses import dataclass

SHARE = 60
"""A lease is at most this part of a limit."""
SECONDS = 5.0
"""Life of a lease of hits in a window of a minute. A hit that is used so much later than it was counted leaves its
window that much too early, which is less than one hit of a lease."""
MOST_KEYS = 20_000
"""Keys that a process keeps."""


@dataclass(slots=True)
class _Lease:
    left: int
    until: float
    seen: int
    """Hits since `since`."""
    since: float
    remaining: int = 0
    """Hits that the limit still allowed when Redis was last asked, without those of the lease."""
    resets_at: float = 0.0
    """When more are allowed again; 0.0: unknown."""


_lock = threading.Lock()
_leases: dict[str, _Lease] = {}


def take_or_size(name: str, *, most: int, now: float) -> int:
    """Use a hit of the lease of a key and return 0; or, without one, the number of hits to count in Redis now.

    `now`: monotonic seconds, here and below.
    """
    with _lock:
        lease = _leases.get(name)
        if lease is None:
            if len(_leases) >= MOST_KEYS:
                _leases.clear()
            lease = _leases[name] = _Lease(0, 0.0, 0, now)
        if now - lease.since > SECONDS:
            lease.seen, lease.since = 0, now
        lease.seen += 1
        if lease.left and now < lease.until:
            lease.left -= 1
            return 0
        return max(1, min(most, lease.seen // 4))


def add(name: str, hits: int, *, now: float, seconds: float = SECONDS) -> None:
    """Add hits that were counted in Redis ahead. What is left of an earlier lease that has not ended stays."""
    if hits:
        with _lock:
            lease = _leases.get(name)
            if lease is not None:
                lease.left = hits + (lease.left if now < lease.until else 0)
                lease.until = now + seconds


def note_window(name: str, *, remaining: int, resets_at: float) -> None:
    """Keep what Redis said about the window of a key."""
    with _lock:
        lease = _leases.get(name)
        if lease is not None:
            lease.remaining, lease.resets_at = remaining, resets_at


def window(name: str, *, now: float) -> tuple[int, float] | None:
    """Hits that are left, as far as this process knows, and the seconds until more are allowed; None: unknown."""
    with _lock:
        lease = _leases.get(name)
        if lease is None or lease.resets_at <= now:
            return None
        return lease.remaining + lease.left, lease.resets_at - now


def give_back(name: str, *, now: float) -> bool:
    """Put a hit back into the lease of a key. False: there is no lease, so that it must be given back in Redis."""
    with _lock:
        lease = _leases.get(name)
        if lease is None or not lease.left or now >= lease.until:
            return False
        lease.left += 1
        return True


def forget() -> None:
    with _lock:
        _leases.clear()
