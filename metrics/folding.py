"""Folding of old minutes: after six hours into rows of their hours. These go after 90 days (`metrics.retention`).

Service levels are kept by day before that, and alarms look back an hour. The totals of a scrape have counted each row
when it was written (`metrics.sql.ADD`), so they do not change.
"""

import time
from datetime import datetime, timedelta

from django.db import connection

from metrics import sql

MINUTES_FOR = timedelta(hours=6)


def fold(*, at: datetime, seconds: float) -> int:
    """Fold minutes older than six hours, for about so many seconds. Returns how many rows were folded."""
    end, done = time.monotonic() + seconds, 0
    before = (at - MINUTES_FOR).replace(minute=0, second=0, microsecond=0)
    while time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute(sql.FOLD, {"before": before})
            folded = int(cursor.fetchone()[0])
        done += folded
        if folded < sql.FOLDED_AT_ONCE:
            break
    return done
