"""Counters for rate limits: a sliding minute or hour, and whole days in Lima.

Counted in Redis, which all processes share; in PostgreSQL while Redis is unavailable
(`clients.rate_limits.postgres_counters`), so that limits hold across processes and machines without a setting for their
number. PostgreSQL then knows what Redis had counted: each twentieth of a daily cap is written there as it is reached,
and each process adds its own hits of the current minute and hour when it finds Redis unavailable. In total, at most a
tenth more than a cap is let through. When Redis is back, the day's counts are added to it at the next twentieth, and
each process adds the hits it let through meanwhile.

A process takes the hits of a busy key from Redis in small blocks (`clients.rate_limits.leases`), so that most requests
ask nobody.

Do not call inside a transaction. A request waits for an unavailable Redis at most once (`redis_client.breaker`).
"""

import math
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from clients.local_time import LIMA
from clients.rate_limits import leases, postgres_counters
from clients.rate_limits.redis_client import RedisUnavailable, breaker, connection

DAY_SECONDS = 86_400
STEPS = 20
"""Writes of a day's count to PostgreSQL on the way to its cap."""
REMEMBERED = 20_000
"""Callers whose hits of the last two windows a process keeps."""
HITS_PER_REPORT = 200
"""Most of these hits that one call reports to a Redis that is back."""
BATCHES = 50
"""Additions to an approximate count on the way to its cap."""
RECENT_SECONDS = 1.0
"""Seconds for which a count that was read serves `count_roughly`."""
_ANY_NUMBER = 2**31
_seen: dict[str, tuple[int, float]] = {}
_reserved: dict[str, dict[str, int]] = {}
"""Counts at the last reservation of keys that are counted together."""


def hit_minute(key: str, allowed: int) -> int:
    """Count one hit; 0 if it is allowed, otherwise the seconds to wait (1 to 60)."""
    size = leases.take_or_size(_name_of_minute(allowed, key), most=allowed // leases.SHARE, now=time.monotonic())
    return _hit(_minute(allowed), key, cost=size) if size else 0


def left_of_minute(key: str, allowed: int) -> tuple[int, int] | None:
    """Hits left and seconds until more are allowed, as this process last learnt it; None: it does not know."""
    found = leases.window(_name_of_minute(allowed, key), now=time.monotonic())
    return (found[0], max(1, math.ceil(found[1]))) if found else None


def give_back_minute(key: str, allowed: int) -> None:
    """Take back one hit of `hit_minute`, for a call that is counted under another key after all."""
    item, now = _minute(allowed), time.time()
    if leases.give_back(item.key_for(key), now=time.monotonic()):
        return
    try:
        with breaker:
            SlidingWindowCounterRateLimiter(_shared()).hit(item, key, cost=-1)
        _in_redis.add(item.key_for(key), item.get_expiry(), -1, now=now)
    except RedisUnavailable:
        _report_to_postgres(now=now)
        postgres_counters.take_back_hit(item.key_for(key), seconds=item.get_expiry(), now=now)
        _in_postgres.add(item.key_for(key), item.get_expiry(), -1, now=now)


def hit_hour(key: str, allowed: int) -> int:
    """Count one hit; 0 if it is allowed, otherwise the seconds to wait (1 to 3,600)."""
    return _hit(RateLimitItemPerHour(allowed, namespace="hour"), key)


def add_today(key: str, amount: int, *, at: datetime, cap: int) -> int:
    """Add to a key's count of the day and return it; a negative amount takes back. `cap`: the limit it is compared
    with."""
    return add_all_today({key: cap}, amount, at=at)[key]


def add_all_today(caps: dict[str, int], amount: int, *, at: datetime) -> dict[str, int]:
    """`add_today` for several keys in one exchange with Redis."""
    names = {key: _day_key(key, at) for key in caps}
    ends = _expires_at(at)
    try:
        with breaker:
            counts = _add_in_redis(names, amount)
    except RedisUnavailable:
        _report_to_postgres(now=time.time())
        counts = {key: postgres_counters.add(name, amount, ends=ends) for key, name in names.items()}
        _note_seen(names, counts)
        return counts
    for key, cap in caps.items():
        step = max(1, cap // STEPS)
        if amount > 0 and (counts[key] // step > (counts[key] - amount) // step or counts[key] == amount):
            counts[key] = _reconciled(names[key], counts[key], fresh=counts[key] == amount, ends=ends)
    _note_seen(names, counts)
    return counts


def reserve_today(caps: dict[str, int], *, at: datetime) -> dict[str, int]:
    """Count one under each key. Of busy keys some are counted ahead (`leases`).

    Returns the counts as this process last learnt them. Where one is over its cap, the caller has to give back what was
    counted.
    """
    name, now = _name_of_all(caps, at), time.monotonic()
    size = leases.take_or_size(name, most=min(caps.values()) // leases.SHARE, now=now)
    if not size:
        return _reserved.get(name, dict.fromkeys(caps, 0))
    counts = add_all_today(caps, size, at=at)
    if size > 1 and any(counts[key] > cap for key, cap in caps.items()):
        counts, size = add_all_today(caps, 1 - size, at=at), 1
    if len(_reserved) >= REMEMBERED:
        _reserved.clear()
    _reserved[name] = counts
    leases.add(name, size - 1, now=now, seconds=DAY_SECONDS)
    return counts


def give_back_today(caps: dict[str, int], *, at: datetime) -> None:
    """Take back what `reserve_today` counted."""
    if not leases.give_back(_name_of_all(caps, at), now=time.monotonic()):
        add_all_today(caps, -1, at=at)


def _name_of_all(caps: dict[str, int], at: datetime) -> str:
    """Name of the lease of these keys. A cap that was changed has another one."""
    return " ".join(f"{_day_key(key, at)}/{cap}" for key, cap in caps.items())


def add_one_roughly(key: str, *, at: datetime, cap: int) -> None:
    """Add one to an approximate count of the day, in batches of a fiftieth of the cap.

    What a process has not added yet is lost when it ends, and other processes do not see it.
    """
    amount = _unadded.add_one(_day_key(key, at), _day_key("", at), batch=cap // BATCHES)
    if amount:
        add_today(key, amount, at=at, cap=cap)


def counts_today(keys: Sequence[str], *, at: datetime) -> list[int]:
    """Counts of the day, with what this process has not added yet (`add_one_roughly`)."""
    names = [_day_key(key, at) for key in keys]
    try:
        with breaker:
            found: Any = connection().mget([_shared().prefixed_key(name) for name in names])
    except RedisUnavailable:
        found = [postgres_counters.count(name) for name in names]
    return [int(each or 0) + _unadded.count(name) for each, name in zip(found, names, strict=True)]


def count_roughly(key: str, *, at: datetime) -> int:
    """Count of the day, as this process last saw it: at most RECENT_SECONDS behind the additions of others."""
    name, now = _day_key(key, at), time.monotonic()
    seen = _seen.get(name)
    if seen is None or now - seen[1] >= RECENT_SECONDS:
        seen = (counts_today([key], at=at)[0], now)
        _remember(name, *seen)
    return seen[0]


def _note_seen(names: dict[str, str], counts: dict[str, int]) -> None:
    """Let `count_roughly` know what this process has just added."""
    for key, name in names.items():
        if name in _seen:
            _remember(name, counts[key], time.monotonic())


def _remember(name: str, count: int, now: float) -> None:
    if len(_seen) >= REMEMBERED:
        _seen.clear()
    _seen[name] = (count, now)


def seconds_to_midnight(at: datetime) -> int:
    """Seconds until the next day begins in Lima."""
    local = at.astimezone(LIMA)
    return DAY_SECONDS - (local.hour * 3600 + local.minute * 60 + local.second)


def forget() -> None:
    """Drop the hits that this process keeps, as in a new process."""
    leases.forget()
    _seen.clear()
    _reserved.clear()
    _in_redis.take(now=0.0)
    _in_postgres.take(now=0.0)
    _unadded.forget()


class _OwnHits:
    """Hits of the last two windows that this process counted in one store, to be reported to the other one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, int, int], int] = {}
        self._swept = 0.0

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, name: str, seconds: int, amount: int, *, now: float) -> None:
        key = (name, int(now // seconds), seconds)
        with self._lock:
            if now - self._swept > 60:
                self._counts = {each: count for each, count in self._counts.items() if _is_recent(each, now)}
                self._swept = now
            if key in self._counts or len(self._counts) < REMEMBERED:
                self._counts[key] = self._counts.get(key, 0) + amount

    def take(self, *, now: float, most: int = REMEMBERED) -> dict[tuple[str, int, int], int]:
        """Return the recent hits and drop them."""
        with self._lock:
            taken = dict(self._counts.popitem() for _ in range(min(most, len(self._counts))))
        return {key: count for key, count in taken.items() if _is_recent(key, now)}


class _Unadded:
    """Counts of the day that wait in this process for a batch of a key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._day = ""
        self._counts: dict[str, int] = {}

    def add_one(self, name: str, day: str, *, batch: int) -> int:
        """Count one; return the amount to add now, or 0."""
        with self._lock:
            if day != self._day:
                self._day, self._counts = day, {}
            count = self._counts.pop(name, 0) + 1
            if count >= batch or len(self._counts) >= REMEMBERED:
                return count
            self._counts[name] = count
            return 0

    def count(self, name: str) -> int:
        return self._counts.get(name, 0)

    def forget(self) -> None:
        with self._lock:
            self._counts = {}


def _is_recent(key: tuple[str, int, int], now: float) -> bool:
    return key[1] >= int(now // key[2]) - 1


_unadded = _Unadded()
_in_redis = _OwnHits()
_in_postgres = _OwnHits()


def _report_to_postgres(*, now: float) -> None:
    """Redis is unavailable: add to PostgreSQL what this process just counted in Redis."""
    postgres_counters.seed(_in_redis.take(now=now))


def _report_to_redis(*, now: float) -> None:
    """Redis has just answered: add to it what this process counted in PostgreSQL in this window. A part with each call,
    so that none takes long."""
    for (name, window, seconds), count in _in_postgres.take(now=now, most=HITS_PER_REPORT).items():
        if window == int(now // seconds):
            _shared().acquire_sliding_window_entry(name, _ANY_NUMBER, seconds, count)


@lru_cache(maxsize=256)
def _minute(allowed: int) -> RateLimitItem:
    return RateLimitItemPerMinute(allowed, namespace="minute")


@lru_cache(maxsize=4096)
def _name_of_minute(allowed: int, key: str) -> str:
    """Name of the counter of a key; a request asks for it twice."""
    return _minute(allowed).key_for(key)


def _hit(item: RateLimitItem, key: str, *, cost: int = 1) -> int:
    """Count a hit, with a lease for `cost` - 1 more where so many are left."""
    name, seconds = item.key_for(key), item.get_expiry()
    reset, remaining, now = 0.0, 0, time.time()
    try:
        with breaker:
            limiter = SlidingWindowCounterRateLimiter(_shared())
            allowed = limiter.hit(item, key, cost=cost)
            if not allowed and cost > 1:
                cost, allowed = 1, limiter.hit(item, key)
            if _in_postgres:
                _report_to_redis(now=now)
            reset, remaining = limiter.get_window_stats(item, key)
    except RedisUnavailable:
        _report_to_postgres(now=now)
        wait = postgres_counters.hit(name, item.amount, seconds=seconds, now=now)
        if not wait:
            _in_postgres.add(name, seconds, 1, now=now)
        return wait
    wait = min(seconds, max(1, round(reset - datetime.now(UTC).timestamp())))
    leases.note_window(name, remaining=remaining if allowed else 0, resets_at=time.monotonic() + wait)
    if not allowed:
        return wait
    _in_redis.add(name, seconds, cost, now=now)
    leases.add(name, cost - 1, now=time.monotonic())
    return 0


def _add_in_redis(names: dict[str, str], amount: int) -> dict[str, int]:
    """One command for each key; the first of a day sets when the key expires."""
    keys = [_shared().prefixed_key(name) for name in names.values()]
    if len(keys) == 1:
        counts = [int(connection().incrby(keys[0], amount))]  # type: ignore[arg-type]
    else:
        pipe = connection().pipeline(transaction=False)
        for key in keys:
            pipe.incrby(key, amount)
        counts = [int(count) for count in pipe.execute()]
    for key, count in zip(keys, counts, strict=True):
        if count == amount:
            connection().expire(key, 2 * DAY_SECONDS)
    return dict(zip(names, counts, strict=True))


def _reconciled(name: str, seen: int, *, fresh: bool, ends: datetime) -> int:
    """Store in PostgreSQL how far Redis has counted, and add to Redis what was counted without it. Returns the whole
    count."""
    known, added = postgres_counters.claim(name, seen=seen)
    missing = added + max(0, known - seen if fresh else 0)  # fresh: Redis has lost its count
    if missing:
        try:
            with breaker:
                seen = int(_shared().incr(name, 2 * DAY_SECONDS, amount=missing))
        except RedisUnavailable:
            return postgres_counters.add(name, added, ends=ends)
    postgres_counters.know(name, seen=seen, ends=ends)
    return seen


@lru_cache
def _shared() -> RedisStorage:
    return RedisStorage(
        "redis://the-pool-knows-where",
        connection_pool=connection().connection_pool,
        key_prefix=settings.REDIS_PREFIX + "limits",
    )


def _day_key(name: str, at: datetime) -> str:
    return f"day:{_day(at.replace(minute=0, second=0, microsecond=0))}:{name}"


@lru_cache(maxsize=8)
def _day(hour: datetime) -> str:
    """Day in Lima, whose days begin with an hour of UTC. A call asks for it up to four times."""
    return f"{hour.astimezone(LIMA):%Y%m%d}"


def _expires_at(at: datetime) -> datetime:
    return at + timedelta(days=2)
