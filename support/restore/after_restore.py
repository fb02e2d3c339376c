"""What a database that was restored from a backup needs before Aval runs on it again (docs/backup.md)."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import connection, transaction

from clients.events.models import EventEpoch
from clients.models import AuditEntry, audit
from messaging.campaigns import restore as mails
from staff.models import ResetRequest
from support import sql
from support.restore import journal
from support.restore.journal import Erased
from webhooks.models import Endpoint
from webhooks.restore import renumber

ACTION = "database.restored"
SKIPPED_IDS = 1_000_000
"""Numbers that are left out, for those that were given after the backup: more than a day has."""
SEQUENCES = ("clients_partnerevent_id_seq", "external_api_apirequest_id_seq", "clients_authorizedclient_id_seq")
"""Of ids that others keep: a receiver knows an event by its id, a partner a request, an unsubscribe link a client."""


@dataclass(frozen=True)
class Connected:
    """A process of Aval that is connected to the database."""

    pid: int
    user: str
    address: str
    since: datetime


class StillRunning(Exception):
    """Processes of Aval are connected: they would mail what is about to be set aside."""

    def __init__(self, connected: Sequence[Connected]) -> None:
        super().__init__(f"{len(connected)} connections of Aval")
        self.connected = connected


@dataclass(frozen=True)
class Done:
    """What was done, as (what, how many). `is_first`: False where this restore was seen to before."""

    counts: list[tuple[str, int]]
    is_first: bool
    failed: int


def connected() -> list[Connected]:
    with connection.cursor() as cursor:
        cursor.execute(sql.CONNECTED)
        return [Connected(*row) for row in cursor.fetchall()]


def run(erased: Iterable[Erased], *, by: str, at: datetime, force: bool, skipped: int = SKIPPED_IDS) -> Done:
    """Set aside what may have left, renumber events, and repeat erasures. Raises StillRunning, unless `force`.

    A second run for the same restore repeats erasures only, unless `force`; one that was broken off goes on.
    """
    others = connected()
    if others and not force:
        raise StillRunning(others)
    place = _place()
    is_first = force or not AuditEntry.objects.filter(action=ACTION, data__place=place).exists()
    counts: list[tuple[str, int]] = []
    if is_first:
        counts += _set_aside(by=by, at=at)
        counts += _renumber(skipped)
    repeated = journal.repeat(erased, by=by, at=at)
    counts += [
        ("persons erased again", repeated.again),
        ("erased rows that the backup has not, or blank", repeated.nothing),
        ("erasures that failed: run this again", repeated.failed),
    ]
    if is_first:
        row = EventEpoch.objects.get()
        audit(row, ACTION, at=at, by=by, reason=mails.WHY, place=place, done=[list(each) for each in counts])
    return Done(counts, is_first, repeated.failed)


def _set_aside(*, by: str, at: datetime) -> list[tuple[str, int]]:
    found = asdict(mails.set_aside(by=by, at=at))
    links, _ = ResetRequest.objects.all().delete()
    notices = Endpoint.objects.filter(mail_due=True).update(mail_due=False)
    return [
        ("campaigns paused", found["paused"]),
        ("campaigns that are drafts again", found["withdrawn"]),
        ("campaigns that were paused", found["marked"]),
        ("mails cancelled", found["mails"]),
        ("messages of which nobody knows", found["unknown"]),
        ("mails with a link for a password dropped", links),
        ("notices of paused webhooks dropped", notices),
    ]


def _renumber(skipped: int) -> list[tuple[str, int]]:
    """Give events places of this server in a new epoch, and leave out the ids that were given after the backup."""
    done = renumber()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for each in SEQUENCES:
            cursor.execute(sql.SKIP_IDS, {"sequence": each, "skipped": skipped})
    return [("events renumbered", done.events), ("ids left out, of three sequences", skipped)]


def _place() -> str:
    """Name of this restore: the server, its timeline, and the table, which a restore makes anew."""
    with connection.cursor() as cursor:
        cursor.execute(sql.PLACE)
        return str(cursor.fetchone()[0])
