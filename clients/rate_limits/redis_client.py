"""Connection to Redis outside Celery, behind a circuit breaker.

A Redis that refuses or hangs costs a caller one second at most, once in five. For five seconds after a failure it is
not called, and everything works without it: the sweeper wakes the workers, and limits are counted in PostgreSQL.
"""

import logging
import time
from functools import lru_cache
from types import TracebackType

import redis
from amqp.exceptions import AMQPError
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

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
    """Circuit breaker, as a context manager around calls to a service.

    A fault in it opens the circuit for PAUSE seconds and is raised as `away`; meanwhile entering raises `away` at once.
    """

    def __init__(
        self, words: str, away: type[Unavailable], faults: tuple[type[Exception], ...], pause: float = PAUSE
    ) -> None:
        """`words` go to the log; `faults` are the exceptions that mean the service is unavailable."""
        self.words, self.away, self.faults, self.pause = words, away, faults, pause
        self.closed_until = 0.0

    def __enter__(self) -> None:
        if time.monotonic() < self.closed_until:
            raise self.away

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(fault, self.faults):
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
