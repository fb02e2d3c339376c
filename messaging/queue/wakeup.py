"""Wake-ups: a Celery task that tells a worker to look into a queue, at most one at a time for each queue.

A `SET NX` in Redis saves the publish for every further message. The rows are the queue: a wake-up that is lost, or not
sent because Redis is away, delays a message until the next sweep.
"""

import logging
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
TASK_EXPIRES = 10
"""Seconds after which the task expires: by then the sweep has sent another one."""


def _key(queue: str) -> str:
    return f"{settings.REDIS_PREFIX}ring:{queue}"


def wake(queue: str) -> bool:
    """Send a wake-up unless one is pending. True: it was sent. Raises nothing if Redis or the broker fails."""
    try:
        with breaker:
            is_first = connection().set(_key(queue), 1, nx=True, ex=PENDING_SECONDS)
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
