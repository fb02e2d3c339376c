"""Counting how often something happens: a sliding minute or hour, and whole Lima days.

Counted in Redis with the Lua scripts of `limits`, so that it holds across processes; while Redis is away each process
counts by itself. The breaker is the doorbell's: a request pays for a Redis that is away at most once.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from messaging.redis_link import RedisAway, breaker, connection

T = TypeVar("T")
LIMA = ZoneInfo("America/Lima")
DAY_SECONDS = 86_400


def hit_minute(key: str, allowed: int) -> int:
    """Counts one; 0 when it is allowed, otherwise the seconds to wait (1 to 60)."""
    return _hit(RateLimitItemPerMinute(allowed, namespace="minute"), key, longest=60)


def give_back_minute(key: str, allowed: int) -> None:
    """Takes one hit of `hit_minute` back, for a call that turned out to be somebody else's to count."""
    item = RateLimitItemPerMinute(allowed, namespace="minute")
    _with_storage(lambda storage: SlidingWindowCounterRateLimiter(storage).hit(item, key, cost=-1))


def hit_hour(key: str, allowed: int) -> int:
    """Counts one; 0 when it is allowed, otherwise the seconds to wait (1 to 3,600)."""
    return _hit(RateLimitItemPerHour(allowed, namespace="hour"), key, longest=3600)


def add_today(key: str, amount: int, *, at: datetime) -> int:
    """Adds to the day's count of a key and returns it; a negative amount takes back."""
    return _with_storage(lambda storage: int(storage.incr(_day_key(key, at), 2 * DAY_SECONDS, amount=amount)))


def count_today(key: str, *, at: datetime) -> int:
    return _with_storage(lambda storage: int(storage.get(_day_key(key, at))))


def seconds_to_midnight(at: datetime) -> int:
    """Until the next day begins in Lima."""
    local = at.astimezone(LIMA)
    return DAY_SECONDS - (local.hour * 3600 + local.minute * 60 + local.second)


def _hit(item: RateLimitItem, key: str, *, longest: int) -> int:
    def count(storage: Storage) -> tuple[bool, float]:
        limiter = SlidingWindowCounterRateLimiter(storage)
        if limiter.hit(item, key):
            return True, 0.0
        return False, limiter.get_window_stats(item, key).reset_time

    allowed, reset = _with_storage(count)
    return 0 if allowed else min(longest, max(1, round(reset - datetime.now(UTC).timestamp())))


def _with_storage(act: Callable[[Storage], T]) -> T:
    try:
        return breaker.call(lambda: act(_shared()))
    except RedisAway:
        return act(_own())


@lru_cache
def _shared() -> RedisStorage:
    return RedisStorage(
        "redis://the-pool-knows-where",
        connection_pool=connection().connection_pool,
        key_prefix=settings.REDIS_PREFIX + "limits",
    )


@lru_cache
def _own() -> MemoryStorage:
    return MemoryStorage()


def _day_key(name: str, at: datetime) -> str:
    return f"day:{at.astimezone(LIMA):%Y%m%d}:{name}"
