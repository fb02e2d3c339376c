"""Counters in PostgreSQL, for the time that Redis is unavailable.

A row holds `known`, as far as Redis is known to have counted, and `added`, what was counted here and Redis does not
know yet. Their sum is the count. Rows are named by a keyed hash, so that no address or name is stored. A call is one
short statement. Do not call inside a transaction, which would lock the row for all other callers.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils.crypto import salted_hmac

from clients import sql


def add(name: str, amount: int, *, ends: datetime) -> int:
    """Add to a count and return it."""
    with connection.cursor() as cursor:
        cursor.execute(sql.ADD_TO_COUNTER, {"key": _key(name), "amount": amount, "ends": ends})
        return int(cursor.fetchone()[0])


def count(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql.COUNT, {"key": _key(name)})
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def claim(name: str, *, seen: int) -> tuple[int, int]:
    """Return what Redis was known to have counted, and what it does not know yet; the caller adds the latter to
    Redis."""
    with connection.cursor() as cursor:
        cursor.execute(sql.CLAIM_COUNTER, {"key": _key(name), "seen": seen})
        row = cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def know(name: str, *, seen: int, ends: datetime) -> None:
    """Store how far Redis has counted."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SET_KNOWN_COUNT, {"key": _key(name), "seen": seen, "ends": ends})


def hit(name: str, allowed: int, *, seconds: int, now: float) -> int:
    """Count one hit in a sliding window of so many seconds; 0 if allowed, otherwise the seconds to wait."""
    window = int(now // seconds)
    left = 1 - (now % seconds) / seconds
    with connection.cursor() as cursor:
        cursor.execute(
            sql.HIT_WINDOW,
            {
                "key": _key(window_name(name, window)),
                "previous": _key(window_name(name, window - 1)),
                "left": left,
                "allowed": allowed,
                "ends": _window_ends(window, seconds),
            },
        )
        counted = bool(cursor.rowcount)
    return 0 if counted else max(1, min(seconds, round(seconds * left)))


def take_back_hit(name: str, *, seconds: int, now: float) -> None:
    window = int(now // seconds)
    add(window_name(name, window), -1, ends=_window_ends(window, seconds))


def seed(counted: Mapping[tuple[str, int, int], int]) -> None:
    """Add what a process counted in Redis just before: (name, window, seconds of a window) -> amount."""
    rows = [(_key(window_name(n, w)), amount, _window_ends(w, s)) for (n, w, s), amount in counted.items() if amount]
    if rows:
        keys, amounts, ends = (list(column) for column in zip(*rows, strict=True))
        with connection.cursor() as cursor:
            cursor.execute(sql.SEED_COUNTERS, {"keys": keys, "amounts": amounts, "ends": ends})


def window_name(name: str, window: int) -> str:
    return f"{name}:{window}"


def _window_ends(window: int, seconds: int) -> datetime:
    """When a row may be deleted: the window after it still uses its count."""
    return datetime.fromtimestamp((window + 2) * seconds, UTC) + timedelta(minutes=1)


def _key(name: str) -> str:
    return salted_hmac("aval.rate-count", name, algorithm="sha256").hexdigest()[:40]
