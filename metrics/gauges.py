"""Gauges: what is measured at the moment of a scrape.

A reading may fill several gauges from one statement. One that fails is logged, and the others go on.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from kombu.connection import Connection

from clients.events import watch
from clients.models import Credential
from clients.rate_limits.redis_client import BrokerUnavailable, RedisUnavailable, breaker, broker
from clients.rate_limits.redis_client import connection as redis_connection
from messaging.models import Via
from messaging.queue.names import QUEUE_OF, QUEUES
from metrics import gauges_sql as sql
from metrics.service_levels import mail_ratios
from metrics.sweep import providers_in_use
from metrics.task_runs import TASKS, last_runs
from webhooks.models import Endpoint

log = logging.getLogger(__name__)

STATEMENT_MS = 1_500
"""Limit of one reading, in milliseconds: a scrape has ten seconds."""
BROKER_SECONDS = 1.0
"""Limit of the broker's answer to a new connection."""
UNKNOWN_FOR = timedelta(hours=1)
ENDED_FOR = timedelta(days=30)
"""Time for which a key that has ended is still shown."""

Labels = tuple[str, ...]
Values = Mapping[Labels, float]
"""Values of a gauge by its labels' values."""


@dataclass(frozen=True, slots=True)
class Gauge:
    name: str
    help: str
    labels: tuple[str, ...] = ()


QUEUE_DUE = Gauge("aval_queue_due", "Messages that are due and not claimed.", ("queue", "via"))
QUEUE_OLDEST = Gauge(
    "aval_queue_oldest_seconds", "Time for which the oldest of them has been due; 0 without one.", ("queue", "via")
)
SENDING = Gauge("aval_messages_sending", "Messages that a worker has claimed.", ("via",))
UNKNOWN = Gauge("aval_messages_unknown", "Messages of the last hour whose outcome is not known.", ("via",))
PROVIDER_OPEN = Gauge("aval_provider_open", "1 while the provider is set aside (its circuit is open).", ("provider",))
TASK_AGE = Gauge("aval_task_age_seconds", "Time since a periodic task last did all of its work.", ("task",))
WEBHOOK_BACKLOG = Gauge("aval_webhook_backlog", "Open deliveries to active webhooks.")
WEBHOOK_OLDEST = Gauge("aval_webhook_oldest_seconds", "Time for which the oldest of them has been due.")
TAKE_OVER_LAG = Gauge(
    "aval_webhook_take_over_lag_seconds", "Time for which the oldest event has waited to be taken over for a webhook."
)
FEED_LAG = Gauge("aval_feed_lag_seconds", "Age of the transaction that the feed of events waits for.")
KEY_DAYS = Gauge(
    "aval_key_days_left", "Days to the end of a company's last key of a kind, where it ends.", ("partner", "kind")
)
COMPLAINTS = Gauge("aval_complaint_ratio", "Complaints of the last seven days for each mail; 0 below 500 mails.")
BOUNCES = Gauge("aval_bounce_ratio", "Mails of the last seven days that came back for good, the same way.")
REDIS_UP = Gauge("aval_redis_up", "1 while Redis answers.")
BROKER_UP = Gauge("aval_broker_up", "1 while the broker of Celery answers: Redis or RabbitMQ.")
DATABASE_UP = Gauge("aval_database_up", "1 while PostgreSQL answers.")
ERRORS = Gauge("aval_scrape_errors", "Readings that failed in this scrape. The log has the reason.")


def _rows(statement: str, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())


def _age(since: datetime | None, at: datetime) -> float:
    return 0.0 if since is None else max(0.0, (at - since).total_seconds())


Read = dict[Gauge, Values]


def _queues(at: datetime) -> Read:
    due: dict[Labels, float] = {(queue, via): 0.0 for queue in QUEUES for via in Via.values}
    oldest = dict(due)
    for via, kind, count, since in _rows(sql.QUEUES, at=at):
        key = (QUEUE_OF[kind], via)
        due[key] += count
        oldest[key] = max(oldest[key], _age(since, at))
    return {QUEUE_DUE: due, QUEUE_OLDEST: oldest}


def _by_via(rows: Iterable[tuple[Any, ...]]) -> Values:
    return {**{(via,): 0.0 for via in Via.values}, **{(via,): float(count) for via, count in rows}}


def _sending(at: datetime) -> Read:
    return {SENDING: _by_via(_rows(sql.SENDING))}


def _unknown(at: datetime) -> Read:
    return {UNKNOWN: _by_via(_rows(sql.UNKNOWN, since=at - UNKNOWN_FOR, at=at))}


def _providers(at: datetime) -> Read:
    is_open = {name for (name,) in _rows(sql.OPEN_CIRCUITS)}
    return {PROVIDER_OPEN: {(name,): float(name in is_open) for name in sorted(providers_in_use())}}


def _tasks(at: datetime) -> Read:
    runs = last_runs()
    return {TASK_AGE: {(name,): _age(runs[name], at) for name in TASKS if name in runs}}


def _webhooks(at: datetime) -> Read:
    ((count, since),) = _rows(sql.WEBHOOKS, at=at)
    ((waiting_since,),) = _rows(sql.NOT_TAKEN_OVER, most=Endpoint.MOST_OPEN)
    return {
        WEBHOOK_BACKLOG: {(): float(count)},
        WEBHOOK_OLDEST: {(): _age(since, at)},
        TAKE_OVER_LAG: {(): _age(waiting_since, at)},
    }


def _feed(at: datetime) -> Read:
    writer = watch.oldest_writer(at=at)
    return {FEED_LAG: {(): max(0.0, writer.seconds) if writer else 0.0}}


def _keys(at: datetime) -> Read:
    days: dict[Labels, float] = {}
    for slug, kind, end in _rows(sql.KEYS, since=at - ENDED_FOR):
        days[slug, str(Credential.Kind(kind))] = (end - at).total_seconds() / 86_400
    return {KEY_DAYS: days}


def _mails(at: datetime) -> Read:
    complaints, bounces = mail_ratios(at=at)
    return {COMPLAINTS: {(): complaints}, BOUNCES: {(): bounces}}


READINGS: tuple[Callable[[datetime], Read], ...] = (
    *(_queues, _sending, _unknown, _providers, _tasks, _webhooks, _feed, _keys, _mails),
)
"""Readings of the database."""
GAUGES = (
    *(QUEUE_DUE, QUEUE_OLDEST, SENDING, UNKNOWN, PROVIDER_OPEN, TASK_AGE, WEBHOOK_BACKLOG, WEBHOOK_OLDEST),
    *(TAKE_OVER_LAG, FEED_LAG, KEY_DAYS, COMPLAINTS, BOUNCES, REDIS_UP, BROKER_UP, DATABASE_UP, ERRORS),
)


@dataclass
class Snapshot:
    """What could be read at a moment."""

    values: Read = field(default_factory=dict)
    errors: int = 0
    is_database_up: bool = True

    @property
    def health(self) -> Read:
        """Gauges of the reading itself."""
        return {DATABASE_UP: {(): float(self.is_database_up)}, ERRORS: {(): float(self.errors)}}

    def read(self, what: str, reading: Callable[[], Any]) -> Any:
        """Result of a reading of the database, or None where it failed."""
        if not self.is_database_up:  # each further try would wait for the same
            self.errors += 1
            return None
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(sql.LIMIT_STATEMENTS, {"limit": f"{STATEMENT_MS}ms"})
                return reading()
        except Exception as fault:
            log.exception("a metric could not be read", extra={"reading": what})
            self.errors += 1
            if isinstance(fault, (DatabaseError, InterfaceError)):
                self.is_database_up = answers()
            return None


def answers() -> bool:
    """Whether PostgreSQL answers. A broken connection is replaced, so that a server that is back is noticed."""
    try:
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        _rows("SELECT 1")
    except (DatabaseError, InterfaceError) as fault:
        log.warning("PostgreSQL does not answer", extra={"fault": repr(fault)[:200]})
        return False
    return True


def read_all(*, at: datetime) -> Snapshot:
    """Read every gauge."""
    snapshot = Snapshot()
    for reading in READINGS:
        found = snapshot.read(reading.__name__.strip("_"), partial(reading, at))
        snapshot.values |= found or {}
    redis_up = _is_redis_up()
    snapshot.values[REDIS_UP] = {(): float(redis_up)}
    snapshot.values[BROKER_UP] = {(): float(redis_up if settings.REDIS_IS_BROKER else _is_broker_up())}
    return snapshot


def _is_redis_up() -> bool:
    try:
        with breaker:
            redis_connection().ping()
    except RedisUnavailable:
        return False
    return True


def _broker_link() -> Connection:
    """A connection that is not opened yet; whatever it waits for has a limit."""
    limits = {"read_timeout": BROKER_SECONDS, "write_timeout": BROKER_SECONDS}
    link: Connection = current_app.connection_for_write(connect_timeout=BROKER_SECONDS, transport_options=limits)
    return link


def _is_broker_up() -> bool:
    """Whether the broker takes a new connection within a second; a frozen RabbitMQ accepts it and stays silent."""
    try:
        with broker, _broker_link() as link:
            link.transport.close_connection(link.transport.establish_connection())  # once: `connect` tries again
    except BrokerUnavailable:
        return False
    return True
