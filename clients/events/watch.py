"""Watch over the feed: what holds it up, and whether the database was restored."""

import logging
from dataclasses import dataclass

from django.db import connection

from clients.events import restore, sql

log = logging.getLogger(__name__)

LATE_SECONDS = 10
"""Age of the oldest writing transaction from which it is logged: the feed waits for it."""


@dataclass(frozen=True)
class OldestWriter:
    """The transaction that the feed waits for."""

    seconds: float
    pid: int
    database: str


def oldest_writer() -> OldestWriter | None:
    """The oldest transaction of the server that has written; None: there is none.

    Transactions of other users are seen only by a role with `pg_read_all_stats`.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.OLDEST_WRITER)
        row = cursor.fetchone()
    return OldestWriter(*row) if row else None


def check() -> None:
    """Log what holds the feed up, and that events must be renumbered after a restore."""
    writer = oldest_writer()
    if writer is not None and writer.seconds >= LATE_SECONDS:
        log.warning(
            "an open transaction holds the feed of events up",
            extra={"seconds": round(writer.seconds, 1), "pid": writer.pid, "database": writer.database},
        )
    if restore.is_ahead():
        log.error("the database was restored: run manage.py renumber_events, or its events stay hidden")
