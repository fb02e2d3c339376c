"""The figures of the admin's first page: today's codes, what became of them, what waits, and who calls.

A day is Lima's. Each panel is one statement over today's rows, bounded by an index whatever the history, and its
answer is kept for 30 s for all processes with the moment it was asked at. States are literals in it, as everywhere in
hand-written SQL. Nothing here knows who looks: `support.dashboard.view` leaves out what a person may not see.
"""

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from clients.rate_limits.redis_client import RedisUnavailable, breaker
from clients.rate_limits.redis_client import connection as redis_connection
from messaging.models import Message, Via
from messaging.queue.names import QUEUE_OF, QUEUES
from support.message_log.queries import LIMA
from tokens.cooldown import WAITS, format_wait
from tokens.models import VerificationToken

KEPT = 30
"""Seconds. Many who look at once cost one look."""
_UNSAID = {"EXPIRED": "Venció antes de salir", "UNKNOWN": "El proveedor no respondió"}
"""What a state says by itself."""
REASONS = 10
"""Of failures, in a panel; the rest is one line."""
Data = dict[str, Any]
_OK, _ARRIVED = "VALIDADO", ("VALIDADO", "DELIVERED")

_SAME_HOURS = """(t.created_at >= %(today)s AND t.created_at < %(at)s
           OR t.created_at >= %(yesterday)s AND t.created_at < %(day_before)s)"""
_CODES = f"""
    SELECT date_bin('1 hour', t.created_at, %(yesterday)s), t.via, t.operator, t.outcome, count(*)
    FROM tokens_verificationtoken t WHERE {_SAME_HOURS} GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT date_bin('1 hour', t.created_at, %(yesterday)s), t.via, t.operator, 'DELIVERED', count(*)
    FROM tokens_verificationtoken t
    WHERE {_SAME_HOURS} AND t.outcome <> 'VALIDADO' AND EXISTS (
        SELECT FROM messaging_message m WHERE m.reference = t.id AND m.state = 'DELIVERED')
    GROUP BY 1, 2, 3
"""  # noqa: S608  two constants of this file
"""The second half counts what arrived and was not typed back; only those are looked up among the messages."""
_TIMES = """
    WITH counted AS (
        SELECT via, (extract(epoch FROM finished_at - created_at) * 10)::int AS tenths, count(*) AS n
        FROM tokens_verificationtoken
        WHERE created_at >= %(today)s AND created_at < %(at)s AND outcome = 'VALIDADO'
        GROUP BY GROUPING SETS ((1, 2), (2))
    ), ranked AS (
        SELECT *, sum(n) OVER (PARTITION BY via ORDER BY tenths) AS up_to, sum(n) OVER (PARTITION BY via) AS of_all
        FROM counted
    )
    SELECT via, max(of_all), min(tenths) FILTER (WHERE up_to >= 0.5 * of_all),
           min(tenths) FILTER (WHERE up_to >= 0.95 * of_all)
    FROM ranked GROUP BY via
"""
"""Percentiles by counting tenths of a second: no day of rows is sorted."""
_FAILURES = """
    SELECT state, left(provider_reply, 80), count(*) FROM messaging_message
    WHERE created_at >= %(today)s AND created_at < %(at)s
      AND state IN ('FAILED', 'UNKNOWN', 'EXPIRED', 'UNDELIVERED') GROUP BY 1, 2
"""
_WAITS = """
    SELECT wait, count(*) FROM (
        SELECT DISTINCT ON (applicant_id, via) applicant_id, via, created_at,
               greatest(client_wait, destination_wait) AS wait
        FROM tokens_verificationtoken
        WHERE created_at > %(at)s - interval '24 hours' AND created_at <= %(at)s AND returned_at IS NULL
          AND created_at + greatest(client_wait, destination_wait) > %(at)s
        ORDER BY applicant_id, via, created_at DESC
    ) AS last
    WHERE (SELECT state FROM clients_applicant a WHERE a.id = last.applicant_id) = 'PENDIENTE'
      AND NOT EXISTS (SELECT FROM tokens_ladderforgiveness f
                      WHERE f.applicant_id = last.applicant_id AND f.via = last.via AND f.at >= last.created_at)
    GROUP BY wait
"""
_QUEUES = """
    SELECT kind, count(*), count(*) FILTER (WHERE next_attempt_at <= %(at)s), 0,
           min(next_attempt_at) FILTER (WHERE next_attempt_at <= %(at)s)
    FROM messaging_message WHERE state = 'QUEUED' GROUP BY kind
    UNION ALL
    SELECT kind, 0, 0, count(*), NULL FROM messaging_message WHERE state = 'SENDING' GROUP BY kind
"""
_PROVIDERS = """
    SELECT name, set_aside_at, until, reason FROM messaging_providerstate
    WHERE set_aside_at IS NOT NULL ORDER BY set_aside_at LIMIT 20
"""
_TRAFFIC = """
    WITH today AS (
        SELECT partner_id, contract, duration_ms, count(*) AS calls, count(*) FILTER (WHERE status >= 400) AS refused
        FROM external_api_apirequest WHERE created_at >= %(today)s AND created_at < %(at)s
        GROUP BY partner_id, contract, duration_ms
    ), ranked AS (
        SELECT *, sum(calls) OVER (PARTITION BY partner_id, contract ORDER BY duration_ms) AS up_to,
               sum(calls) OVER (PARTITION BY partner_id, contract) AS of_all
        FROM today
    )
    SELECT p.name, r.contract, sum(r.calls), sum(r.refused),
           min(r.duration_ms) FILTER (WHERE r.up_to >= 0.95 * r.of_all)
    FROM ranked r LEFT JOIN clients_partner p ON p.id = r.partner_id
    GROUP BY r.partner_id, p.name, r.contract ORDER BY 3 DESC, 1, 2 LIMIT 30
"""
"""The 95th percentile of whole milliseconds by counting, which sorts hundreds of rows in place of all of a day's."""


def codes(*, at: datetime) -> Data:
    """Asked, delivered, verified: today by the hour beside yesterday up to the same moment, by via and by operator;
    and how today's ended that nobody verified.

    Delivered is what a provider's receipt says arrived, and what was typed back.
    """
    hours: list[Data] = [{"hour": hour, "today": [0, 0, 0], "yesterday": [0, 0, 0]} for hour in range(24)]
    vias: dict[str, list[int]] = {via: [0, 0, 0] for via in Via.values}
    operators: dict[str, list[int]] = {}
    outcomes: dict[str, int] = {}
    today = _midnight(at)
    for began, via, operator, what, count in _rows(_CODES, at):
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
    """Seconds from the request of a code to its coming back: the median and the 95th percentile, all and by via."""
    rows = {via or "": [int(count), p50 / 10, p95 / 10] for via, count, p50, p95 in _rows(_TIMES, at)}
    shown: list[list[Any]] = [["Todas", *rows.get("", [0, None, None])]]
    shown += [[str(Via(via).label), *rows[via]] for via in Via.values if via in rows]
    return {"rows": shown}


def failures(*, at: datetime) -> Data:
    """Messages of today that did not arrive, by their state and reason."""
    reasons: dict[tuple[str, str], int] = {}
    for state, reply, count in _rows(_FAILURES, at):
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
    """Clients who must wait now, by the wait that their last request by a via imposed and that still runs."""
    found = dict(_rows(_WAITS, at))
    rows = [[format_wait(wait), rung, found[wait]] for rung, wait in enumerate(WAITS) if wait in found]
    return {"rows": rows, "clients": sum(found.values())}


def queues(*, at: datetime) -> Data:
    """Of each queue: due now, later, with a worker, and how long the oldest due one has waited."""
    rows = {name: {"due": 0, "later": 0, "sending": 0, "oldest": 0.0} for name in QUEUES}
    for kind, queued, due, sending, oldest in _rows(_QUEUES, at):
        row = rows[QUEUE_OF[kind]]
        row["due"] += due
        row["later"] += queued - due
        row["sending"] += sending
        if oldest is not None:
            row["oldest"] = max(row["oldest"], (at - oldest).total_seconds())
    return {"rows": [{"queue": name, **row} for name, row in rows.items()]}


def providers(*, at: datetime) -> Data:
    """Those set aside, since when, until when and why."""
    rows = [
        [name, since.isoformat(), until.isoformat() if until else None, reason]
        for name, since, until, reason in _rows(_PROVIDERS, at)
    ]
    return {"rows": rows}


def traffic(*, at: datetime) -> Data:
    """Requests of today by partner and contract: how many, how many refused, and the 95th percentile of their time."""
    return {
        "rows": [
            [name, contract, int(calls), int(refused), p95]
            for name, contract, calls, refused, p95 in _rows(_TRAFFIC, at)
        ]
    }


PANELS: dict[str, Callable[..., Data]] = {
    each.__name__: each for each in (codes, times, failures, waits, queues, providers, traffic)
}


def panel(name: str, *, at: datetime) -> Data:
    """A panel's figures with the moment they are of: from the last 30 s, or new. Without Redis they are always new."""
    key = f"{settings.REDIS_PREFIX}dashboard:{name}"
    try:
        kept = breaker.call(lambda: redis_connection().get(key))
        if kept is not None:
            return dict(json.loads(kept))  # type: ignore[arg-type]
    except RedisUnavailable:
        return _asked(name, at=at)
    fresh = _asked(name, at=at)
    with suppress(RedisUnavailable):  # which the breaker has logged; the next look asks anew
        breaker.call(lambda: redis_connection().set(key, json.dumps(fresh), ex=KEPT))
    return fresh


def normalised_reason(reply: str) -> str:
    """What a provider said without what differs each time: ids, addresses, moments, spelling. Its codes stay."""
    text = re.sub(r"[^\s@<>]+@[^\s@<>]+", "…", reply.strip().lower())
    text = re.sub(r"\b[0-9a-f]{8,}(?:-[0-9a-f]+)*\b|\b(?=\w*\d)(?=\w*[a-z])\w{12,}\b", "…", text)
    text = re.sub(r"\d{6,}|\d+(?:[:/-]\d+)+|\d+(?:\.\d+){3}", "…", text)
    text = re.sub(r"\s+", " ", text).strip(" .,:;")
    return text[:1].upper() + text[1:60]


def _asked(name: str, *, at: datetime) -> Data:
    return {**PANELS[name](at=at), "at": at.isoformat()}


def _rows(statement: str, at: datetime) -> list[tuple[Any, ...]]:
    today = _midnight(at)
    with connection.cursor() as cursor:
        day = timedelta(days=1)
        cursor.execute(statement, {"today": today, "at": at, "yesterday": today - day, "day_before": at - day})
        return list(cursor.fetchall())


def _midnight(at: datetime) -> datetime:
    """When the day in Lima began."""
    return timezone.make_aware(datetime.combine(at.astimezone(LIMA).date(), time()), LIMA)


def _add(totals: list[int], counts: Iterable[int]) -> None:
    for n, count in enumerate(counts):
        totals[n] += count
