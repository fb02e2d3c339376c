"""Watch over the feed: what holds it up, and whether the database was restored."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from clients.events import restore, sql

log = logging.getLogger(__name__)

LATE_SECONDS = 10
"""Age of the oldest writing transaction from which it is logged: the feed waits for it."""
REPEAT_AFTER = timedelta(seconds=55)
"""Time after which a process logs again what is still so; a little less than the minute of the periodic task."""
_logged: dict[str, datetime] = {}
"""What this process has logged, and when."""
_first_seen: dict[str, datetime] = {}
"""Transaction whose age is hidden from our role, and when this process saw it first; one at most."""


@dataclass(frozen=True)
class OldestWriter:
    """The transaction that the feed waits for."""

    seconds: float
    pid: int
    database: str


def oldest_writer(*, at: datetime) -> OldestWriter | None:
    """The oldest transaction of the server that has written; None: there is none.

    The age of another role's is shown only to a role with `pg_read_all_stats`; to others it counts from the first look.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.OLDEST_WRITER)
        row = cursor.fetchone()
    if row is None:
        return None
    seconds, pid, database, transaction = row
    return OldestWriter(_since_first_look(transaction, at) if seconds is None else seconds, pid, database)


def _since_first_look(transaction: str, at: datetime) -> float:
    since = _first_seen.get(transaction, at)
    _first_seen.clear()
    _first_seen[transaction] = since
    return (at - since).total_seconds()


def check(*, at: datetime) -> None:
    """Begin the epoch of this server; log what holds the feed up, and that events must be renumbered after a restore.

    May be called every few seconds: what is still so is logged again once a minute.
    """
    restore.ensure_epoch()
    writer = oldest_writer(at=at)
    if writer is not None and writer.seconds >= LATE_SECONDS and _is_due(f"writer {writer.pid}", at=at):
        log.warning(
            "an open transaction holds the feed of events up",
            extra={"seconds": round(writer.seconds, 1), "pid": writer.pid, "database": writer.database},
        )
    if restore.is_ahead() and _is_due("restored", at=at):
        log.error("the database was restored: run manage.py renumber_events, or its events stay hidden")


def _is_due(what: str, *, at: datetime) -> bool:
    """Whether this process has not logged it within REPEAT_AFTER; notes that it does so now."""
    for known, when in list(_logged.items()):
        if at - when >= REPEAT_AFTER:
            del _logged[known]
    if what in _logged:
        return False
    _logged[what] = at
    return True
