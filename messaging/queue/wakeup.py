"""Wake-ups: a Celery task that tells a worker to look into a queue, at most one at a time for each queue.

A `SET NX` in Redis saves the publish for every further message. A worker under load saves that one, too: it promises to
look again at the end of a tenth of a second, and until then no process asks (docs/adr/0118). The rows are the queue: a
wake-up that is lost, or not sent because Redis is away, delays a message until the next sweep.
"""

import logging
import time
from contextlib import suppress

from amqp.exceptions import AMQPError
from celery import current_app
from django.conf import settings
from kombu.connection import Connection

from clients.rate_limits.redis_client import BrokerUnavailable, RedisUnavailable, breaker, broker, connection

log = logging.getLogger(__name__)

TASKS = {"codes": "messaging.deliver_codes", "bulk": "messaging.deliver_bulk"}
PENDING_SECONDS = 1
"""Seconds after which an unanswered wake-up counts as lost and the next one is sent: a worker that was killed or is
frozen never answers. Less than the period of the sweep, which sends wake-ups too, so that a lost one costs one sweep
and not two. A wake-up too many finds nothing to do."""
PROMISE_SECONDS = 0.1
"""Seconds for which a promise keeps callers from waking a worker. One that is killed meanwhile costs their messages one
sweep, as one that is killed after it has taken its wake-up does."""
PROMISE_MARGIN = 0.005
"""Seconds by which the look is later: Redis counts in milliseconds, and by the clock as its cycle began."""
TASK_EXPIRES = 10
"""Seconds after which the task expires: by then the sweep has sent another one."""


_promised_until: dict[str, float] = {}
"""By queue, the monotonic time until which this process need not wake a worker."""


def _key(queue: str) -> str:
    return f"{settings.REDIS_PREFIX}ring:{queue}"


def _promise_key(queue: str) -> str:
    return f"{_key(queue)}:promise"


def wake(queue: str) -> bool:
    """Send a wake-up unless one is pending or a worker has promised to look. True: it was sent. Raises nothing if Redis
    or the broker fails. What the worker is to find must be committed."""
    now = time.monotonic()
    if now < _promised_until.get(queue, 0.0):
        return False
    try:
        with breaker:
            pipeline = connection().pipeline(transaction=False)
            pipeline.set(_key(queue), 1, nx=True, ex=PENDING_SECONDS)
            pipeline.pttl(_promise_key(queue))
            is_first, milliseconds = pipeline.execute()
        _promised_until[queue] = now + min(milliseconds / 1000, PROMISE_SECONDS)  # negative: there is no promise
        if not is_first:
            return False
    except RedisUnavailable:
        if settings.REDIS_IS_BROKER:
            return False
        # a pending wake-up cannot be detected: one too many finds nothing to do
    try:
        with broker:
            _publish(queue)
    except BrokerUnavailable:
        return False
    return True


def promise_look(queue: str) -> float:
    """Promise to look into a queue again in PROMISE_SECONDS, so that until then no process has to wake a worker.

    Returns the monotonic time from which on the caller must look; 0.0 without Redis, when it need not.
    """
    try:
        with breaker:
            connection().set(_promise_key(queue), 1, px=round(PROMISE_SECONDS * 1000))
    except RedisUnavailable:
        return 0.0
    return time.monotonic() + PROMISE_SECONDS + PROMISE_MARGIN


def forget_promises() -> None:
    _promised_until.clear()


def wake_another(queue: str) -> None:
    """Wake one more worker, once a second at most, for a queue of which a worker has found more than it can take: that
    one has not acknowledged its own wake-up, so `wake` sends none."""
    try:
        with breaker:
            is_first = connection().set(f"{_key(queue)}:more", 1, nx=True, ex=PENDING_SECONDS)
    except RedisUnavailable:
        is_first = not settings.REDIS_IS_BROKER
    if is_first:
        with suppress(BrokerUnavailable), broker:
            _publish(queue)


def _publish(queue: str) -> None:
    with current_app.producer_pool.acquire(block=True) as producer:
        _drop_if_closed(producer.connection)
        current_app.send_task(
            TASKS[queue], queue=queue, expires=TASK_EXPIRES, retry=False, ignore_result=True, producer=producer
        )


def _drop_if_closed(connection: Connection) -> None:
    """Drop a connection that RabbitMQ has closed. A publish over it is lost, or fails and opens the broker's circuit.

    Reading is the only way to notice: a process that only publishes never reads from the connection.
    """
    if not connection.connected or connection.transport.driver_type != "amqp":
        return
    try:
        connection.drain_events(timeout=0.001)
    except TimeoutError:
        return  # no close frame: the connection is open
    except (AMQPError, OSError):
        connection.collect()


def acknowledge(queue: str) -> None:
    """Mark the wake-up as answered: messages that become due from now on need another one."""
    try:
        with breaker:
            connection().delete(_key(queue))
    except RedisUnavailable:
        log.info("could not clear a wake-up: it lapses by itself", extra={"queue": queue})
