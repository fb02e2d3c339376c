"""What a restored database needs, because transaction ids do not survive a dump."""

from dataclasses import dataclass

from django.db import connection, transaction

from clients.events import sql
from clients.events.models import new_epoch


@dataclass(frozen=True)
class Renumbered:
    """Events that have got new places, and the epoch of these."""

    events: int
    epoch: str


def is_ahead() -> bool:
    """Whether an event is of a transaction that this server has not begun: the database was restored, and the feed
    would hide the event until the server's count has come as far."""
    with connection.cursor() as cursor:
        cursor.execute(sql.IS_AHEAD)
        return bool(cursor.fetchone()[0])


def ensure_epoch() -> None:
    """Begin an epoch where there is none of this server: cursors of another one are refused from then on."""
    with connection.cursor() as cursor:
        cursor.execute(sql.HAS_EPOCH)
        if not cursor.fetchone()[0]:
            cursor.execute(sql.BEGIN_EPOCH, {"epoch": new_epoch(), "anew": False})


def renumber() -> Renumbered:
    """Give all events places of this server's count, in the order they had, and begin a new epoch.

    Cursors of the one before are refused (410). May be run again.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("LOCK TABLE clients_partnerevent IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(sql.RENUMBER)
        changed = int(cursor.rowcount)
        epoch = new_epoch()
        cursor.execute(sql.BEGIN_EPOCH, {"epoch": epoch, "anew": True})
    return Renumbered(changed, epoch)
