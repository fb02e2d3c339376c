"""What beat does every two seconds: nothing stays where a dead worker or a lost ring left it.

Every statement is a claim or a conditional UPDATE over a partial index, so two beats at once do no harm and the cost
follows what is live, not the history.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from messaging import doorbell
from messaging.delivery import QUEUES
from messaging.transitions import move

AT_ONCE = 500
"""Rows a statement: a sweep after a long outage must not hold its locks for long."""


def sweep(*, at: datetime) -> None:
    """Returns lapsed claims, parks lapsed hand-overs, ends what is dead, and rings for what is due."""
    lapsed = "lease_until < %(at)s"
    move("EXPIRED", "send_before <= %(at)s", {}, at=at, detail="venció antes de salir", limit=AT_ONCE)
    move("QUEUED", f"{lapsed} AND handed_over_at IS NULL", {}, at=at, detail="reclamo vencido", limit=AT_ONCE)
    move("UNKNOWN", f"{lapsed} AND handed_over_at IS NOT NULL", {}, at=at, detail="sin respuesta", limit=AT_ONCE)
    for queue in QUEUES:
        if is_due(queue, at=at):
            doorbell.ring(queue)


def is_due(queue: str, *, at: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT EXISTS (
                SELECT FROM messaging_message
                WHERE state = 'QUEUED' AND {QUEUES[queue]} AND next_attempt_at <= %s
                  AND (send_before IS NULL OR send_before > %s)
            )
            """,  # noqa: S608
            [at, at],
        )
        return bool(cursor.fetchone()[0])


RECENT = timedelta(hours=1)
"""How far back a listener that was not told looks for itself; far more than any restart takes."""


def not_taken_lately(kind: str, *, at: datetime) -> list[tuple[UUID, str]]:
    """(reference, state) of what no provider is known to have taken in the last hour, newest first, 1,000 at most."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reference, state FROM messaging_message"
            " WHERE state IN ('FAILED', 'UNKNOWN', 'EXPIRED') AND created_at >= %s AND kind = %s"
            " AND reference IS NOT NULL ORDER BY created_at DESC LIMIT 1000",
            [at - RECENT, kind],
        )
        return list(cursor.fetchall())
