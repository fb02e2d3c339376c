"""Fallback to another via: the messages whose code is sent again, and how long their seal is kept.

Only what messages know is here. Whether the code is still live, and which via comes next, is up to the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection

AT_ONCE = 200
"""Messages that a sweep reads."""


@dataclass(frozen=True)
class Overdue:
    """Message that was refused, or whose provider has not reported in time that it arrived."""

    id: UUID
    reference: UUID
    via: str


@dataclass(frozen=True)
class Taken:
    """What the new message takes over from the old one."""

    sealed: bytes
    recipient: str
    send_before: datetime


def is_armed() -> bool:
    """Whether any via has a fallback."""
    return any(settings.AVAL_FALLBACK.values())


def overdue(via: str, patience: timedelta, *, at: datetime) -> list[Overdue]:
    """Messages of a via that failed, did not arrive, or had no receipt for so long. Bounded by what is live."""
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
    """Take the seal out of a message, once: of two sweeps one gets it. None: it is gone, or arrived meanwhile."""
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
    """The code is settled: its seals are no longer needed."""
    if is_armed():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE messaging_message SET kept_until = NULL,"
                " sealed = CASE WHEN state IN ('QUEUED', 'SENDING') THEN sealed END"
                " WHERE reference = ANY(%s) AND kept_until IS NOT NULL",
                [list(references)],
            )


def forget_old(*, at: datetime) -> None:
    """Drop seals that are older than any fallback could use, whatever the setting says today."""
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
