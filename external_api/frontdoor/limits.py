"""How much a caller may do: requests a minute, paid messages and wrong codes a day.

Counted in Redis with the Lua scripts of `limits`, so that they hold across processes; while Redis is away each process
counts by itself. The breaker is the doorbell's: a request pays for a Redis that is away at most once.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from clients.callers import limiting_key
from clients.models import Partner
from external_api.frontdoor.refusals import RateLimited
from messaging.models import PAID_VIAS
from messaging.redis_link import RedisAway, breaker, connection

log = logging.getLogger(__name__)
T = TypeVar("T")

LIMA = ZoneInfo("America/Lima")
DAY_SECONDS = 86_400
REFUSED_SHARE = 5
"""Refused credentials may come at a fifth of an address's rate: guessing a key is slower than using one."""


@dataclass(frozen=True)
class Caller:
    """Who is counted: the partner, or in open mode the address."""

    partner: Partner | None
    address: str

    @property
    def key(self) -> str:
        return f"p{self.partner.pk}" if self.partner else f"a{limiting_key(self.address)}"

    @property
    def requests_per_minute(self) -> int:
        if self.partner is None:
            return int(settings.RATE_PER_ADDRESS)
        return self.partner.requests_per_minute or int(settings.RATE_PER_PARTNER)

    @property
    def paid_messages_per_day(self) -> int:
        own = self.partner.paid_messages_per_day if self.partner else None
        return int(settings.PAID_MESSAGES_PER_DAY) if own is None else own


def count_request(caller: Caller) -> None:
    """Raises RateLimited."""
    _count_per_minute(f"req:{caller.key}", caller.requests_per_minute)


def count_refused_credential(address: str) -> None:
    """Raises RateLimited."""
    allowed = max(1, int(settings.RATE_PER_ADDRESS) // REFUSED_SHARE)
    _count_per_minute(f"refused:a{limiting_key(address)}", allowed)


def reserve_paid_message(caller: Caller, via: str, *, at: datetime) -> Callable[[], None]:
    """Takes one of the day's paid messages; call what it returns to put it back. Raises RateLimited when none is left.

    Taken before the act and put back if that is refused, so that parallel requests cannot overshoot.
    """
    if via not in PAID_VIAS:
        return lambda: None
    key = _day_key(f"paid:{via}:{caller.key}", at)
    if _add(key, 1) > caller.paid_messages_per_day:
        _add(key, -1)
        log.warning("daily cap of paid messages reached", extra={"caller": caller.key, "via": via})
        raise RateLimited(_seconds_to_midnight(at))
    return lambda: void(_add(key, -1))


def check_wrong_codes(caller: Caller, *, at: datetime) -> None:
    """Raises RateLimited once the caller's clients have typed too many wrong codes today."""
    if _look(_day_key(f"wrong:{caller.key}", at)) >= settings.WRONG_CODES_PER_DAY:
        raise RateLimited(_seconds_to_midnight(at))


def count_wrong_code(caller: Caller, *, at: datetime) -> None:
    """One guess on each of many clients is not held by the ladder; this holds it, and says so once a day."""
    if _add(_day_key(f"wrong:{caller.key}", at), 1) == settings.WRONG_CODES_PER_DAY:
        log.error("daily limit of wrong codes reached: somebody may be guessing", extra={"caller": caller.key})


def void(_: object) -> None:
    """Drops a result that nobody needs."""


def _count_per_minute(key: str, allowed: int) -> None:
    item = RateLimitItemPerMinute(allowed, namespace="minute")

    def hit(storage: Storage) -> tuple[bool, float]:
        limiter = SlidingWindowCounterRateLimiter(storage)
        if limiter.hit(item, key):
            return True, 0.0
        return False, limiter.get_window_stats(item, key).reset_time

    allowed_now, reset = _with_storage(hit)
    if not allowed_now:
        raise RateLimited(min(60, max(1, round(reset - datetime.now(UTC).timestamp()))))


def _add(key: str, amount: int) -> int:
    return _with_storage(lambda storage: int(storage.incr(key, 2 * DAY_SECONDS, amount=amount)))


def _look(key: str) -> int:
    return _with_storage(lambda storage: int(storage.get(key)))


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


def _seconds_to_midnight(at: datetime) -> int:
    local = at.astimezone(LIMA)
    return DAY_SECONDS - (local.hour * 3600 + local.minute * 60 + local.second)
