"""Sweeper, run by beat every two seconds: no message stays where a dead worker or a lost wake-up left it.

Every statement is a claim or a conditional UPDATE over a partial index, so two beats at once do no harm and the cost
depends on what is live, not on the history.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection

from messaging.delivery import failover
from messaging.queue import channel_fallback, wakeup
from messaging.queue.names import QUEUES
from messaging.queue.transitions import move
from messaging.steps import run_each

LANE_PATIENCE = timedelta(seconds=5)
"""How long a message waits for its gateway's process before it is released."""
SILENT_PROCESS = "su proceso no recoge los mensajes"
"""Reason for opening the circuit of a gateway whose process is silent. The process closes it when it is back
(messaging.smpp)."""
AT_ONCE = 500
"""Rows of one statement: a sweep after a long outage must not hold its locks for long."""


def sweep(*, at: datetime) -> None:
    """Return lapsed claims, turn lapsed hand-overs into UNKNOWN, expire dead messages, and wake workers for what is
    due.

    A step that fails does not stop the others (messaging.steps).
    """
    lapsed = "lease_until < %(at)s"
    ways = (
        ("EXPIRED", "send_before <= %(at)s", "venció antes de salir"),
        ("QUEUED", f"{lapsed} AND handed_over_at IS NULL", "reclamo vencido"),
        ("UNKNOWN", f"{lapsed} AND handed_over_at IS NOT NULL", "sin respuesta"),
    )
    moves = [(to, partial(move, to, where, {}, at=at, detail=detail, limit=AT_ONCE)) for to, where, detail in ways]
    rings = [(queue, partial(_wake_if_due, queue, at=at)) for queue in QUEUES]
    lanes, seals = partial(free_gateway_queues, at=at), partial(channel_fallback.forget_old, at=at)
    run_each("messaging.sweep", [*moves, ("lanes", lanes), ("seals", seals), *rings])


def _wake_if_due(queue: str, *, at: datetime) -> None:
    if is_due(queue, at=at):
        wakeup.wake(queue)


def free_gateway_queues(*, at: datetime) -> None:
    """Release what a gateway's own process does not take, and open that gateway's circuit as silent."""
    late = "state = 'QUEUED' AND lane <> '' AND next_attempt_at < %(late)s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH left_lying AS MATERIALIZED (
                SELECT id, lane FROM messaging_message WHERE {late} LIMIT {AT_ONCE:d} FOR UPDATE SKIP LOCKED
            ), freed AS (
                UPDATE messaging_message AS message SET lane = '', next_attempt_at = %(at)s
                FROM left_lying WHERE message.id = left_lying.id
            )
            SELECT DISTINCT lane FROM left_lying
            """,  # noqa: S608  this module's constants
            {"late": at - LANE_PATIENCE, "at": at},
        )
        silent = [lane for (lane,) in cursor.fetchall()]
    for lane in silent:
        failover.open_circuit(lane, SILENT_PROCESS, at=at)


def none_taken(references: Sequence[UUID]) -> list[UUID]:
    """References of whose messages no provider took any, nor is about to. A fallback is one more try."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reference FROM messaging_message WHERE reference = ANY(%s) GROUP BY reference"
            " HAVING bool_and(state IN ('FAILED', 'UNKNOWN', 'EXPIRED', 'CANCELLED') AND kept_until IS NULL)",
            [list(references)],
        )
        return [row[0] for row in cursor.fetchall()]


def is_due(queue: str, *, at: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT EXISTS (
                SELECT FROM messaging_message
                WHERE state = 'QUEUED' AND {QUEUES[queue]} AND next_attempt_at <= %s AND lane = ''
                  AND (send_before IS NULL OR send_before > %s)
            )
            """,  # noqa: S608
            [at, at],
        )
        return bool(cursor.fetchone()[0])


RECENT = timedelta(hours=1)
"""How far back a listener that missed a call looks for itself; far longer than any restart."""


def not_taken_lately(kind: str, *, at: datetime) -> list[tuple[UUID, str]]:
    """(reference, state) of messages that no provider is known to have taken in the last hour, newest first, 1,000 at
    most."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reference, state FROM messaging_message"
            " WHERE state IN ('FAILED', 'UNKNOWN', 'EXPIRED') AND created_at >= %s AND kind = %s"
            " AND reference IS NOT NULL AND kept_until IS NULL ORDER BY created_at DESC LIMIT 1000",
            [at - RECENT, kind],
        )
        return list(cursor.fetchall())
