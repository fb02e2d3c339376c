"""Clock of a test twin: instead of the time, the twin's rows are moved. Production code knows of no offset."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from messaging.models import Message
from messaging.queue.transitions import move
from messaging.transitions_sql import EXPIRE_OF_PARTNER
from messaging.twins import sandbox
from tokens import channel_fallback as fallback
from tokens.sql import CLOSE_EXPIRED_OF_TWIN
from tokens.twins import sql

MOST = timedelta(days=30)
"""Most that the clock goes forward at once."""
LEAVING_SECONDS = 1.0
"""Longest wait for messages that are due. Without a worker they do not leave, and expire with the time."""


def advance(twin: int, by: timedelta, *, at: datetime) -> None:
    """Move every business time of the twin's rows back, and do for them what the sweeps would have done meanwhile.

    What belongs to no test of time stays: claims of messages that a worker has, keys, idempotency, limits, the audit
    and events. Messages that are due leave first, as they would have in the time that is skipped. Then one transaction,
    with the locks in the order of every act on codes.
    """
    _let_messages_leave(twin, at=at)
    params: dict[str, Any] = {"twin": twin, "by": by, "at": at}
    with transaction.atomic():
        with connection.cursor() as cursor:
            for statement in (sql.LOCK_APPLICANTS, sql.LOCK_CODES, sql.LOCK_MESSAGES, *sql.MOVE_BACK.values()):
                cursor.execute(statement, params)
        _sweep(twin, at=at)


def _let_messages_leave(twin: int, *, at: datetime) -> None:
    due = Message.objects.filter(partner_id=twin, state__in=["QUEUED", "SENDING"], next_attempt_at__lte=at)
    ends = time.monotonic() + LEAVING_SECONDS
    while due.exists() and time.monotonic() < ends:
        time.sleep(0.02)


def _sweep(twin: int, *, at: datetime) -> None:
    move("EXPIRED", EXPIRE_OF_PARTNER, {"partner": twin}, at=at, detail="venció antes de salir")
    sandbox.report_late(twin=twin, at=at)
    fallback.sweep(twin=twin, at=at)
    with connection.cursor() as cursor:
        cursor.execute(CLOSE_EXPIRED_OF_TWIN, {"twin": twin, "at": at})
