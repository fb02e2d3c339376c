"""What webhooks need after a restore: cursors among events that have got new places."""

from django.db import connection, transaction

from clients.events import restore
from clients.events.restore import Renumbered
from webhooks import sql


def renumber() -> Renumbered:
    """`clients.events.restore.renumber`, and each endpoint goes on with what it had not taken over.

    After the new places events are in the order of their ids. An endpoint goes back to the first that it lacks; those
    behind it that it has had are deliveries already and are not taken over twice, as long as deliveries are kept.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(sql.LOCK_TABLES)
        cursor.execute(sql.FIRST_UNSENT)
        first = dict(cursor.fetchall())
        done = restore.renumber()
        cursor.execute(sql.MOVE_CURSORS, {"epoch": done.epoch, "ids": list(first), "firsts": list(first.values())})
    return done
