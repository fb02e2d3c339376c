"""The same code by another via: whose turn it is, and how long its seal is kept for that.

Here is only what messages know; whether the code still lives, and which via comes next, is the caller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection

AT_ONCE = 200
"""Messages a sweep looks at."""


@dataclass(frozen=True)
class Overdue:
    """A message whose provider refused it, or has not said in time that it arrived."""

    id: UUID
    reference: UUID
    via: str


@dataclass(frozen=True)
class Taken:
    """What the next message takes over from the one it stands in for."""

    sealed: bytes
    recipient: str
    send_before: datetime


def is_armed() -> bool:
    """Whether any via has a fallback."""
    return any(settings.AVAL_FALLBACK.values())


def overdue(via: str, patience: timedelta, *, at: datetime) -> list[Overdue]:
    """Messages of a via that failed, did not arrive, or of which no word came for so long. Bounded by what is live."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, reference, via FROM messaging_message
            WHERE kept_until > %(at)s AND via = %(via)s AND reference IS NOT NULL AND (
                state IN ('FAILED', 'UNDELIVERED')
                OR state IN ('SENT', 'UNKNOWN') AND handed_over_at <= %(before)s
            )
            ORDER BY kept_until LIMIT {AT_ONCE:d}
            """,  # noqa: S608
            {"at": at, "via": via, "before": at - patience},
        )
        return [Overdue(*row) for row in cursor.fetchall()]


def take_over(message_id: UUID) -> Taken | None:
    """Takes the seal out of a message, once: of two sweeps one gets it. None: it is gone, or arrived meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH found AS (
                SELECT id, sealed FROM messaging_message
                WHERE id = %s AND kept_until IS NOT NULL AND sealed IS NOT NULL
                  AND state IN ('FAILED', 'UNDELIVERED', 'SENT', 'UNKNOWN') FOR UPDATE
            )
            UPDATE messaging_message AS message SET kept_until = NULL, sealed = NULL
            FROM found WHERE message.id = found.id
            RETURNING found.sealed, message.recipient, message.send_before
            """,
            [message_id],
        )
        row = cursor.fetchone()
    return Taken(bytes(row[0]), row[1], row[2]) if row else None


def forget(references: Sequence[UUID]) -> None:
    """The code is settled: nobody may need its seal any more."""
    if is_armed():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE messaging_message SET kept_until = NULL,"
                " sealed = CASE WHEN state IN ('QUEUED', 'SENDING') THEN sealed END"
                " WHERE reference = ANY(%s) AND kept_until IS NOT NULL",
                [list(references)],
            )


def forget_old(*, at: datetime) -> None:
    """No seal outlives the time in which a fallback could use it, whatever the setting says today."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE messaging_message
            SET kept_until = NULL, sealed = CASE WHEN state IN ('QUEUED', 'SENDING') THEN sealed END
            WHERE id = ANY (ARRAY(
                SELECT id FROM messaging_message WHERE kept_until <= %s LIMIT {AT_ONCE:d} FOR UPDATE SKIP LOCKED
            ))
            """,  # noqa: S608
            [at],
        )
