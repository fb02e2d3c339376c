"""Sweep of metrics, run by beat every ten seconds: counts rows of messages and codes that were settled since its mark.

A source is read from its mark and counted in one transaction with the new mark: after a crash nothing is counted twice
or left out. Of two sweeps at once one finds the mark locked and leaves it. On its first run a source begins with what
comes from then on. Test twins are not counted.
"""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import connection, transaction

from messaging.gateways import in_use
from messaging.models import Message
from messaging.steps import run_each
from metrics import sql
from metrics.catalog import CODES, DELIVERED, HAND_OVER, MESSAGES, NONE, OTHER, VERIFIED
from metrics.counting import Counts, add
from metrics.marks import keep, lock
from metrics.positions import Missing, Position
from tokens.models import CODE_LIFETIME

NAME = "metrics.sweep"
"""Its name in the log and among the failures of steps."""
SECONDS = 5.0
"""Time after which a sweep begins no further part; the next one goes on."""
CLOSED_AFTER = CODE_LIFETIME + timedelta(seconds=30)
"""Age from which a code has ended: its life, and the sweep that closes it."""
PART = timedelta(minutes=10)
"""Longest time of codes that one transaction counts, after an outage."""
_S = Message.State


class Event(NamedTuple):
    """A row of `metrics.sql.EVENTS`."""

    id: int
    at: datetime
    state: str
    provider: str
    attempt: int
    kind: str | None
    via: str | None
    asked_at: datetime | None
    is_twin: bool


def sweep(*, at: datetime) -> None:
    """Count what was settled. A source that fails does not prevent the other."""
    run_each(NAME, [("messages", partial(_repeat, count_messages, at)), ("codes", partial(count_codes, at=at))])


def _repeat(part: Any, at: datetime) -> None:
    end = time.monotonic() + SECONDS
    while part(at=at) and time.monotonic() < end:
        pass


def count_messages(*, at: datetime) -> bool:
    """Count the next events of messages. Returns whether there may be more."""
    with transaction.atomic(), connection.cursor() as cursor:
        mark = lock(cursor, "message_events")
        if mark is None:
            return False
        origin = _value(cursor, sql.EVENTS_ORIGIN)
        if mark.origin != origin:  # the first run, or a restored database: what is there was counted, or is history
            keep(cursor, mark.name, origin, _value(cursor, sql.LAST_EVENT), None, [])
            return False
        position = Position(mark.position, tuple(Missing.from_json(each) for each in mark.missing))
        oldest_running = _value(cursor, sql.OLDEST_RUNNING)
        cursor.execute(sql.EVENTS, {"after": position.highest, "missing": position.missing_ids})
        events = [Event(*row) for row in cursor.fetchall()]
        add(counts_of_events(events, providers_in_use()))
        seen = [event.id for event in events]
        reached = position.after(
            seen, oldest_running=oldest_running, next_xid=_value(cursor, sql.NEXT_TRANSACTION), at=at
        )
        missing = [each.as_json() for each in reached.missing]
        keep(cursor, mark.name, origin, reached.highest, None, missing)
    return len(events) >= sql.EVENTS_AT_ONCE


def counts_of_events(events: Iterable[Event], providers: frozenset[str]) -> Counts:
    """Counts of some events. A provider that is not in `providers` is named `other`."""
    counts = Counts()
    for event in events:
        if event.via is None or event.is_twin:
            continue
        provider = (event.provider if event.provider in providers else OTHER) if event.provider else NONE
        counts.count(MESSAGES, event.at, event.via, provider, event.state)
        if event.kind == Message.Kind.VERIFICATION and event.asked_at is not None:
            _observe_code(counts, event, (event.at - event.asked_at).total_seconds())
    return counts


def _observe_code(counts: Counts, event: Event, seconds: float) -> None:
    """Times of a code: to its first hand-over, or to its end without one, and to the receipt."""
    via = str(event.via)
    if event.state == _S.DELIVERED:
        counts.observe(DELIVERED, event.at, seconds, via)
    if event.state == _S.SENDING and event.attempt == 1:
        counts.observe(HAND_OVER, event.at, seconds, via)
    elif event.attempt == 0 and event.state in (_S.FAILED, _S.EXPIRED):
        counts.observe(HAND_OVER, event.at, None, via)
    elif event.attempt == 0 and event.state == _S.CANCELLED:  # no longer wanted; it had waited so long by then
        counts.observe(HAND_OVER, event.at, seconds, via)


def providers_in_use() -> frozenset[str]:
    return frozenset(name for names in in_use().values() for name in names)


def count_codes(*, at: datetime) -> None:
    """Count the codes that ended, by the time at which they were asked for.

    A time is counted once all of its codes are closed: one that is closed late, because the sweep of codes did not run,
    delays the count and is not lost. The end of the time was noted by an earlier sweep, and the transactions that ran
    then are over, so that no code of it becomes visible later.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        mark = lock(cursor, "codes")
        if mark is None:
            return
        noted = [(datetime.fromisoformat(each["until"]), int(each["xid"])) for each in mark.missing]
        oldest_running = _value(cursor, sql.OLDEST_RUNNING)
        until, end = mark.until, noted[0][0] if noted else None
        if until is None:
            until = at - CLOSED_AFTER
        elif end is not None and oldest_running >= noted[0][1]:
            end = min(_closed_until(cursor, end), until + PART)
            if end > until:
                add(_counts_of_codes(cursor, until, end))
                until = end
            noted = [] if until >= noted[0][0] else noted
        if not noted and at - CLOSED_AFTER > until:
            noted = [(at - CLOSED_AFTER, _value(cursor, sql.NEXT_TRANSACTION))]
        kept = [{"until": moment.isoformat(), "xid": xid} for moment, xid in noted]
        keep(cursor, mark.name, "", 0, until, kept)


def _closed_until(cursor: Any, end: datetime) -> datetime:
    """The time before which every code is closed, at most `end`."""
    cursor.execute(sql.OLDEST_OPEN_CODE, {"until": end + CODE_LIFETIME})
    oldest = cursor.fetchone()[0]
    return end if oldest is None else min(end, oldest)


def _counts_of_codes(cursor: Any, since: datetime, until: datetime) -> Counts:
    counts = Counts()
    cursor.execute(sql.CODES, {"since": since, "until": until})
    for minute, via, outcome, seconds in cursor.fetchall():
        counts.count(CODES, minute, via, outcome)
        if seconds is not None:
            counts.observe(VERIFIED, minute, seconds, via)
    return counts


def _value(cursor: Any, statement: str) -> Any:
    cursor.execute(statement)
    return cursor.fetchone()[0]
