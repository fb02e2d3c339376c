"""The one connection to Redis outside Celery, behind a breaker.

Redis refused, frozen or half open must cost a caller at most one second, once every five: after a failure nobody asks
again for that long, and everybody does without (the doorbell is rung by the sweeper, limits are counted in PostgreSQL).
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT = 1.0
"""Seconds to connect and to wait for an answer."""
PAUSE = 5.0
"""Seconds without a further try after a failure."""


class RedisAway(Exception):
    """Redis did not answer, or did not a moment ago."""


class Breaker:
    """Lets one call in PAUSE seconds find out whether a service that failed is back."""

    def __init__(self, pause: float = PAUSE) -> None:
        self.pause = pause
        self.closed_until = 0.0

    def call(self, act: Callable[[], T]) -> T:
        """Raises RedisAway, at once while the breaker is open."""
        if time.monotonic() < self.closed_until:
            raise RedisAway
        try:
            return act()
        except (redis.RedisError, OSError) as fault:
            self.trip(fault)
            raise RedisAway from fault

    def trip(self, fault: BaseException) -> None:
        self.closed_until = time.monotonic() + self.pause
        log.warning("redis is away", extra={"fault": repr(fault)[:200], "pause_seconds": self.pause})


breaker = Breaker()


@lru_cache
def connection() -> redis.Redis:
    """A pool that never retries by itself: the caller has a client waiting."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=25,
    )
