"""Figures of the dashboard: today's codes and their outcome, queues, providers and traffic.

A day is Lima's. Each panel is one statement over today's rows, bounded by an index whatever the history, and cached for
30 s for all processes together with its time. States are literals, as in all hand-written SQL. Permissions are not
checked here: `support.dashboard.view` leaves out what a user may not see.
"""

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from clients.local_time import LIMA, midnight_before
from clients.rate_limits.redis_client import RedisUnavailable, breaker
from clients.rate_limits.redis_client import connection as redis_connection
from messaging.models import Message, Via
from messaging.queue.names import QUEUE_OF, QUEUES
from support import sql
from tokens.cooldown import WAITS, format_wait
from tokens.models import VerificationToken

CACHE_SECONDS = 30
"""Seconds for which a panel is cached."""
_UNSAID = {"EXPIRED": "Venció antes de salir", "UNKNOWN": "El proveedor no respondió"}
"""Reasons of states in which a provider gives none."""
REASONS = 10
"""Failure reasons in a panel; the others are one row."""
Data = dict[str, Any]
_OK, _ARRIVED = "VALIDADO", ("VALIDADO", "DELIVERED")


def codes(*, at: datetime) -> Data:
    """Codes requested, delivered and verified: today by hour beside yesterday up to the same time, by via and by
    operator; and the outcome of those not verified.

    Delivered means confirmed by a provider's receipt, or verified.
    """
    hours: list[Data] = [{"hour": hour, "today": [0, 0, 0], "yesterday": [0, 0, 0]} for hour in range(24)]
    vias: dict[str, list[int]] = {via: [0, 0, 0] for via in Via.values}
    operators: dict[str, list[int]] = {}
    outcomes: dict[str, int] = {}
    today = midnight_before(at)
    for began, via, operator, what, count in _rows(sql.CODES, at):
        counts = [0 if what == "DELIVERED" else count, count if what in _ARRIVED else 0, count if what == _OK else 0]
        _add(hours[began.astimezone(LIMA).hour]["today" if began >= today else "yesterday"], counts)
        if began >= today:
            _add(vias[via], counts)
            if operator:
                _add(operators.setdefault(operator, [0, 0, 0]), counts)
            if what not in (*_ARRIVED, "PENDIENTE"):
                label = str(VerificationToken.Outcome(what).label)
                outcomes[label] = outcomes.get(label, 0) + count
    return {
        "hours": hours,
        "today": [sum(each["today"][n] for each in hours) for n in range(3)],
        "yesterday": [sum(each["yesterday"][n] for each in hours) for n in range(3)],
        "vias": [[str(Via(via).label), *counts] for via, counts in vias.items()],
        "operators": sorted(([name, *counts] for name, counts in operators.items()), key=lambda row: (-row[1], row[0])),
        "outcomes": sorted(([label, count] for label, count in outcomes.items()), key=lambda row: (-row[1], row[0])),
    }


def times(*, at: datetime) -> Data:
    """Seconds from the request of a code to its verification: median and 95th percentile, in total and by via."""
    rows = {via or "": [int(count), p50 / 10, p95 / 10] for via, count, p50, p95 in _rows(sql.TIMES, at)}
    shown: list[list[Any]] = [["Todas", *rows.get("", [0, None, None])]]
    shown += [[str(Via(via).label), *rows[via]] for via in Via.values if via in rows]
    return {"rows": shown}


def failures(*, at: datetime) -> Data:
    """Messages of today that did not arrive, by state and reason."""
    reasons: dict[tuple[str, str], int] = {}
    for state, reply, count in _rows(sql.FAILURES, at):
        key = (str(Message.State(state).label), normalised_reason(reply) or _UNSAID.get(state, "Sin motivo"))
        reasons[key] = reasons.get(key, 0) + count
    ordered = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(count for _, count in ordered[REASONS:])
    return {
        "reasons": [[state, reason, count] for (state, reason), count in ordered[:REASONS]]
        + ([["", "Otros motivos", rest]] if rest else []),
        "failed": sum(reasons.values()),
    }


def waits(*, at: datetime) -> Data:
    """Clients who must wait now, by the wait that runs after their last request by a via."""
    found = dict(_rows(sql.WAITS, at))
    rows = [[format_wait(wait), rung, found[wait]] for rung, wait in enumerate(WAITS) if wait in found]
    return {"rows": rows, "clients": sum(found.values())}


def queues(*, at: datetime) -> Data:
    """For each queue: due now, due later, with a worker, and the age of the oldest due message."""
    rows = {name: {"due": 0, "later": 0, "sending": 0, "oldest": 0.0} for name in QUEUES}
    for kind, queued, due, sending, oldest in _rows(sql.QUEUES, at):
        row = rows[QUEUE_OF[kind]]
        row["due"] += due
        row["later"] += queued - due
        row["sending"] += sending
        if oldest is not None:
            row["oldest"] = max(row["oldest"], (at - oldest).total_seconds())
    return {"rows": [{"queue": name, **row} for name, row in rows.items()]}


def providers(*, at: datetime) -> Data:
    """Providers set aside: since when, until when and why."""
    rows = [
        [name, since.isoformat(), until.isoformat() if until else None, reason]
        for name, since, until, reason in _rows(sql.PROVIDERS, at)
    ]
    return {"rows": rows}


def traffic(*, at: datetime) -> Data:
    """API requests of today by partner and contract: number, refused, and the 95th percentile of their time."""
    return {
        "rows": [
            [name, contract, int(calls), int(refused), p95]
            for name, contract, calls, refused, p95 in _rows(sql.TRAFFIC, at)
        ]
    }


PANELS: dict[str, Callable[..., Data]] = {
    each.__name__: each for each in (codes, times, failures, waits, queues, providers, traffic)
}


def panel(name: str, *, at: datetime) -> Data:
    """Figures of a panel with their time, up to 30 s old. Without Redis they are always new."""
    key = f"{settings.REDIS_PREFIX}dashboard:{name}"
    try:
        with breaker:
            kept = redis_connection().get(key)
        if kept is not None:
            return dict(json.loads(kept))  # type: ignore[arg-type]
    except RedisUnavailable:
        return _asked(name, at=at)
    fresh = _asked(name, at=at)
    with suppress(RedisUnavailable), breaker:  # which has logged it; the next view queries again
        redis_connection().set(key, json.dumps(fresh), ex=CACHE_SECONDS)
    return fresh


def normalised_reason(reply: str) -> str:
    """Provider's reason without what differs each time: ids, addresses, times, spelling. Its codes stay."""
    text = re.sub(r"[^\s@<>]+@[^\s@<>]+", "…", reply.strip().lower())
    text = re.sub(r"\b[0-9a-f]{8,}(?:-[0-9a-f]+)*\b|\b(?=\w*\d)(?=\w*[a-z])\w{12,}\b", "…", text)
    text = re.sub(r"\d{6,}|\d+(?:[:/-]\d+)+|\d+(?:\.\d+){3}", "…", text)
    text = re.sub(r"\s+", " ", text).strip(" .,:;")
    return text[:1].upper() + text[1:60]


def _asked(name: str, *, at: datetime) -> Data:
    return {**PANELS[name](at=at), "at": at.isoformat()}


def _rows(statement: str, at: datetime) -> list[tuple[Any, ...]]:
    today = midnight_before(at)
    with connection.cursor() as cursor:
        day = timedelta(days=1)
        cursor.execute(statement, {"today": today, "at": at, "yesterday": today - day, "day_before": at - day})
        return list(cursor.fetchall())


def _add(totals: list[int], counts: Iterable[int]) -> None:
    for n, count in enumerate(counts):
        totals[n] += count
