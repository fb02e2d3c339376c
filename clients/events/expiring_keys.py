"""Events of keys that are about to expire."""

from datetime import datetime

from django.db import connection

from clients.events import sql


def announce(*, at: datetime) -> int:
    """Write an event for each live key that has entered its last 30, 7 or 1 days; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(sql.EXPIRING_KEYS, {"at": at})
        return int(cursor.rowcount)
