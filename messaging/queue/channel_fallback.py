"""Channel fallback, the part about messages: those that are due for another via, and their sealed codes.

The caller decides whether the code is still valid and which via comes next (`tokens.channel_fallback`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection

from messaging import sql


@dataclass(frozen=True)
class Overdue:
    """A message that failed, did not arrive, or whose receipt has not come in time."""

    id: UUID
    reference: UUID
    via: str


@dataclass(frozen=True)
class TakenOver:
    """Fields of a message that its fallback takes over."""

    sealed: bytes
    recipient: str
    send_before: datetime


def is_enabled() -> bool:
    """True if the settings give any via a fallback."""
    return any(settings.AVAL_FALLBACK.values())


def overdue(via: str, wait: timedelta, *, partner: int | None = None, at: datetime) -> list[Overdue]:
    """Messages of a via that failed, did not arrive, or got no receipt within `wait`, of one partner or of all.
    `sql.FALLBACK_SIZE` at most."""
    with connection.cursor() as cursor:
        cursor.execute(sql.OVERDUE, {"at": at, "via": via, "partner": partner, "before": at - wait})
        return [Overdue(*row) for row in cursor.fetchall()]


def take_over(message_id: UUID) -> TakenOver | None:
    """Take the sealed code out of a message, once: of two sweeps one gets it. None: it is gone, or the code arrived."""
    with connection.cursor() as cursor:
        cursor.execute(sql.TAKE_OVER, {"message": message_id})
        row = cursor.fetchone()
    return TakenOver(bytes(row[0]), row[1], row[2]) if row else None


def drop_seals(references: Sequence[UUID]) -> None:
    """Drop the seals of codes that are settled and need no fallback any more."""
    if is_enabled():
        with connection.cursor() as cursor:
            cursor.execute(sql.DROP_SEALS, {"references": list(references)})


def drop_expired_seals(*, at: datetime) -> None:
    """Drop seals that are older than a fallback may use, whatever the setting says today."""
    with connection.cursor() as cursor:
        cursor.execute(sql.DROP_EXPIRED_SEALS, {"at": at})
