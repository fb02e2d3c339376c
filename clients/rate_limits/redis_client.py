"""Connection to Redis outside Celery, behind a circuit breaker.

A Redis that refuses or hangs costs a caller one second at most, once in five. For five seconds after a failure it is
not called, and everything works without it: the sweeper wakes the workers, and limits are counted in PostgreSQL.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import redis
from amqp.exceptions import AMQPError
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT = 1.0
"""Seconds to connect and to wait for an answer."""
PAUSE = 5.0
"""Seconds without a try after a failure."""


class Unavailable(Exception):
    """Server that does not answer, or did not a moment ago."""


class RedisUnavailable(Unavailable):
    """Redis, for limits and wake-ups."""


class BrokerUnavailable(Unavailable):
    """Celery's broker: the same Redis, another one, or RabbitMQ."""


class Breaker:
    """Circuit breaker: lets one call in PAUSE seconds find out whether a service is back."""

    def __init__(
        self, words: str, away: type[Unavailable], faults: tuple[type[Exception], ...], pause: float = PAUSE
    ) -> None:
        """`words` go to the log; `faults` are the exceptions that mean the service is unavailable."""
        self.words, self.away, self.faults, self.pause = words, away, faults, pause
        self.closed_until = 0.0

    def call(self, act: Callable[[], T]) -> T:
        """Return what `act` returns. Raises `away`; at once while the circuit is open."""
        if time.monotonic() < self.closed_until:
            raise self.away
        try:
            return act()
        except self.faults as fault:
            self.trip(fault)
            raise self.away from fault

    def trip(self, fault: BaseException) -> None:
        self.closed_until = time.monotonic() + self.pause
        log.warning(self.words, extra={"fault": repr(fault)[:200], "pause_seconds": self.pause})


_REDIS_FAULTS = (redis.RedisError, OSError)
breaker = Breaker("redis is away", RedisUnavailable, _REDIS_FAULTS)
broker = Breaker("the broker is away", BrokerUnavailable, (*_REDIS_FAULTS, OperationalError, AMQPError))
"""Separate from `breaker`: if RabbitMQ is unavailable, Redis, which counts the limits, need not be."""


@lru_cache
def connection() -> redis.Redis:
    """Connection pool without retries of its own: the caller has a client waiting."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=25,
    )
