"""Alarms without Prometheus: `ALARM_URL` gets a signed webhook when one fires, every four hours while it goes on, and
when it is over.

The list is that of the rules (`metrics.alarms`). The states are rows, judged and claimed under one lock, so that
several processes may evaluate; nobody is called inside the transaction. The task `metrics.evaluate_alarms` evaluates,
and so does the process metrics, which needs neither the broker nor beat and so can tell that they are away. Without
PostgreSQL each process remembers by itself that it has told so.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from functools import partial
from threading import Timer
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from metrics import marks, sql
from metrics.alarm_states import State
from metrics.alarms import ALARMS, DATABASE_DOWN, Alarm
from metrics.conditions import Figures
from metrics.gauges import read_all
from metrics.models import AlarmState
from webhooks import addresses, signing
from webhooks.client import DEADLINE, Try

log = logging.getLogger(__name__)

MARK = "alarms"
_BY_NAME = {alarm.name: alarm for alarm in ALARMS}
_FIELDS = [each.name for each in fields(State)]
_remembered: dict[str, State] = {}
"""State of DATABASE_DOWN while there is no database to keep it."""

Message = tuple[Alarm, State, str, float | None]
"""An alarm, its claimed state, what is told, and the value of its condition."""


def evaluate(*, at: datetime) -> int:
    """Judge every alarm and tell `ALARM_URL` what must be told. Returns how many messages were taken."""
    if not settings.ALARM_URL:
        return 0
    figures = figures_of(at=at)
    try:
        messages = _judge(figures, at=at)
    except (DatabaseError, InterfaceError) as fault:
        log.warning("alarms are judged without the database", extra={"fault": repr(fault)[:200]})
        return tell_without_database(at=at)
    return sum(_tell(message, at=at) for message in messages)


def figures_of(*, at: datetime) -> Figures:
    snapshot = read_all(at=at)
    windows = {window for alarm in ALARMS for window in alarm.condition.windows}
    counted = {}
    for window in windows:
        found = snapshot.read("counts", partial(_counted, at - window))
        if found is not None:
            counted[window] = found
    return Figures({**snapshot.values, **snapshot.health}, counted)


def _counted(since: datetime) -> list[tuple[str, dict[str, str], int]]:
    with connection.cursor() as cursor:
        cursor.execute(sql.COUNTED_SINCE, {"since": since})
        return [(metric, json.loads(labels), count) for metric, labels, count in cursor.fetchall()]


def _judge(figures: Figures, *, at: datetime) -> list[Message]:
    """Keep the states of all alarms, and claim what must be told. Empty where another process does it."""
    with transaction.atomic(), connection.cursor() as cursor:
        if marks.lock(cursor, MARK) is None:
            return []
        known = {row["name"]: State(**row) for row in AlarmState.objects.values(*_FIELDS)} | _remembered
        judged = list(_judged_in_order(known, figures, at))
        _keep(state for _, state, _, _ in judged)
    _remembered.clear()
    return [each for each in judged if each[2]]


def _judged_in_order(known: Mapping[str, State], figures: Figures, at: datetime) -> Iterator[Message]:
    firing: set[str] = set()
    for alarm in ALARMS:
        judged = _judged(
            alarm, known.get(alarm.name, State(alarm.name)), figures, at, is_explained=alarm.unless in firing
        )
        if judged[1].is_firing:
            firing.add(alarm.name)
        yield judged


def _judged(alarm: Alarm, state: State, figures: Figures, at: datetime, *, is_explained: bool) -> Message:
    """`is_explained`: the alarm that would be its cause fires."""
    value = alarm.condition.value(figures)
    holds = None if value is None else alarm.condition.holds(value) and not is_explained
    state = state.judged(holds, alarm.lasting, at=at)
    message = state.message(at=at)
    return (alarm, state.claimed(at=at), message, value) if message else (alarm, state, "", value)


def _keep(states: Iterable[State]) -> None:
    AlarmState.objects.bulk_create(
        [AlarmState(**asdict(state)) for state in states],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=[name for name in _FIELDS if name != "name"],
    )


def _tell(message: Message, *, at: datetime) -> bool:
    """Send a message and note that it was taken, unless its claim has lapsed since."""
    alarm, state, what, value = message
    if not send(alarm, state, what, value, at=at):
        return False
    taken = state.taken(what, at=at)
    changes = {"told": taken.told, "told_at": taken.told_at, "try_after": None}
    AlarmState.objects.filter(name=alarm.name, try_after=state.try_after).update(**changes)
    return True


def tell_without_database(*, at: datetime) -> int:
    """Judge DATABASE_DOWN, which holds, by what this process remembers. Returns how many messages were taken."""
    alarm = _BY_NAME[DATABASE_DOWN]
    state = _remembered.get(DATABASE_DOWN, State(DATABASE_DOWN)).judged(True, alarm.lasting, at=at)
    what = state.message(at=at)
    if what:
        state = state.claimed(at=at)
        if send(alarm, state, what, 0.0, at=at):
            state = state.taken(what, at=at)
    _remembered[DATABASE_DOWN] = replace(state)
    return int(state.told_at == at)


def send(alarm: Alarm, state: State, what: str, value: float | None, *, at: datetime) -> bool:
    """POST a message to ALARM_URL, as Standard Webhooks 1.0 says. Returns whether it was taken.

    The id is the same for each try of a message, so that a receiver can tell a repetition.
    """
    body = json.dumps(_body(alarm, state, what, value, at=at), ensure_ascii=False)
    number = int(state.told_at.timestamp()) if state.told_at else 0
    began = int(state.since.timestamp()) if state.since else 0
    signed = signing.headers(
        f"alarm_{alarm.name}_{what}_{began}_{number}", body, [settings.ALARM_SECRET], at=at.astimezone(UTC)
    )
    attempt = Try(addresses.target_of_operator(settings.ALARM_URL), sandbox=False, internal=True)
    deadline = Timer(DEADLINE, attempt.abort)
    deadline.daemon = True
    deadline.start()
    agent = {"Content-Type": "application/json", "User-Agent": f"Aval-Alarms/{settings.AVAL_VERSION}"}
    outcome = attempt.post(body.encode(), {**agent, **signed})
    deadline.cancel()
    log.warning("alarm", extra={"alarm": alarm.name, "what": what, "taken": outcome.is_success, "fault": outcome.error})
    return outcome.is_success


def _body(alarm: Alarm, state: State, what: str, value: float | None, *, at: datetime) -> dict[str, Any]:
    return {
        "type": f"alarm.{what}",
        "timestamp": at.astimezone(UTC).isoformat(),
        "data": {
            "alarm": alarm.name,
            "severity": alarm.severity,
            "summary": alarm.summary,
            "since": state.since.astimezone(UTC).isoformat() if state.since else None,
            "value": value,
            "runbook": alarm.runbook,
            "installation": settings.PUBLIC_URL,
        },
    }
