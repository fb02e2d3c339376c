"""Wake-up of workers: the task "something is due in this queue", at most one at a time.

One `SET NX` instead of a task for every message. The row is the truth: a wake-up that is lost, or never sent because
Redis is unavailable, costs the seconds until the next sweep.
"""

import logging

from amqp.exceptions import AMQPError
from celery import current_app
from django.conf import settings
from kombu.connection import Connection

from clients.rate_limits.redis_client import BrokerUnavailable, RedisUnavailable, breaker, broker, connection

log = logging.getLogger(__name__)

TASKS = {"codes": "messaging.deliver_codes", "bulk": "messaging.deliver_bulk"}
WAITING_FOR = 1
"""Seconds after which an unacknowledged wake-up counts as lost and the next one is sent: a worker that was killed or is
frozen takes it along. Shorter than the period of the sweep, which wakes again, so that a lost wake-up costs one sweep
and not two. One wake-up too many finds nothing to do."""
LISTENED_TO = 10
"""Seconds after which a worker may ignore a wake-up: the sweep has sent another."""


def _key(queue: str) -> str:
    return f"{settings.REDIS_PREFIX}ring:{queue}"


def wake(queue: str) -> bool:
    """Send a wake-up unless one is waiting. Never raises for an unavailable broker; returns whether one was sent."""
    try:
        if not breaker.call(lambda: connection().set(_key(queue), 1, nx=True, ex=WAITING_FOR)):
            return False
    except RedisUnavailable:
        if settings.REDIS_IS_BROKER:
            return False
        # whether a ring is waiting cannot be known: one too many finds nothing to do
    try:
        broker.call(lambda: _publish(queue))
    except BrokerUnavailable:
        return False
    return True


def _publish(queue: str) -> None:
    with current_app.producer_pool.acquire(block=True) as producer:
        _leave_if_closed(producer.connection)
        current_app.send_task(
            TASKS[queue], queue=queue, expires=LISTENED_TO, retry=False, ignore_result=True, producer=producer
        )


def _leave_if_closed(connection: Connection) -> None:
    """Drop a connection that RabbitMQ has closed; a kept one would cost a wake-up, or the pause of a circuit.

    What is published over it is lost or fails, and nothing says so before, since a publisher never reads.
    """
    if not connection.connected or connection.transport.driver_type != "amqp":
        return
    try:
        connection.drain_events(timeout=0.001)
    except TimeoutError:
        return  # nothing to hear: it is well
    except (AMQPError, OSError):
        connection.collect()


def acknowledge(queue: str) -> None:
    """A worker is about to look: what becomes due from now on needs a wake-up of its own."""
    try:
        breaker.call(lambda: connection().delete(_key(queue)))
    except RedisUnavailable:
        log.info("could not clear a ring: it lapses by itself", extra={"queue": queue})
