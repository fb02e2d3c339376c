"""What becomes of data whose time is over, and of people who ask to be forgotten: the ground of every room's own part.

Rows with a person in them are blanked rather than deleted where others lean on them: states, times and companies stay,
nobody can be told from them. A kind of data goes in batches, each a transaction of its own over an index; rows that
somebody holds are skipped and meet the next batch, so two jobs at once do no harm and nobody waits for either.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient

BATCH = 1000
"""Rows a statement: some tens of milliseconds of locks, far from the 5 s any statement has."""
REDACTED = "[borrado]"
"""What a personal value gives way to in the audit; the trigger lets nothing else in (migration 0007)."""


@dataclass(frozen=True)
class RetentionRule:
    """One kind of data: whose time is over, and what is done to it.

    `which` selects the `id` of those rows, oldest first, and knows %(before)s and %(at)s. `away` is what follows
    `WITH over AS (...)`: statements over `over`, the last of which returns how many rows there were.
    """

    name: str
    which: str
    away: str
    kept: Callable[[], timedelta | None]
    of: str = ""  # which table's rows are locked, where `which` reads several

    def before(self, *, at: datetime) -> datetime | None:
        """Rows older than this are over; None: they are kept for ever."""
        kept = self.kept()
        return None if kept is None else at - kept

    def batch(self, *, at: datetime) -> int:
        """Does away with the oldest rows, BATCH at most, and returns how many."""
        before = self.before(at=at)
        if before is None:
            return 0
        lock = f"FOR UPDATE {f'OF {self.of} ' if self.of else ''}SKIP LOCKED"
        sql = f"WITH over AS MATERIALIZED ({self.which} LIMIT {BATCH:d} {lock}) {self.away}"
        return self._run(sql, {"before": before, "at": at})

    def count(self, *, at: datetime) -> int:
        """How many rows are over: reads all of them, for the dry run."""
        before = self.before(at=at)
        if before is None:
            return 0
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '10min'")
            cursor.execute(f"SELECT count(*) FROM ({self.which}) AS over", {"before": before, "at": at})  # noqa: S608
            return int(cursor.fetchone()[0])

    def _run(self, sql: str, params: dict[str, Any]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return int(cursor.fetchone()[0])


def kept(name: str) -> Callable[[], timedelta | None]:
    """How long a kind is kept, by its setting; asked at each run."""

    def found() -> timedelta | None:
        days: int = settings.AVAL_KEEP_DAYS[name]
        return timedelta(days=days) if days else None

    return found


def deleting(table: str, key: str = "id", *, then: str = " SELECT count(*) FROM over") -> str:
    """The `away` of rows that nothing leans on."""
    return f", {table}_gone AS (DELETE FROM {table} AS each USING over WHERE each.{key} = over.id){then}"  # noqa: S608


_NOBODY = "names = '', paternal_surname = '', maternal_surname = '', email = '', check_character = ''"
APPLICANT_BLANK = f"""
    document_type = '', document_number = '-' || left(replace(gen_random_uuid()::text, '-', ''), 14), {_NOBODY},
    department = '', province = '', district = '', ubigeo = '', proved_destination = '', proved_operator = '',
    forgotten_at = %(at)s
"""
"""SET of an applicant without his person. A number by lot instead of the document: (partner, document) is unique, and
the same person may come anew."""

CLIENT_BLANK = """
    email = '', name = '', document_type = '', document_number = '', phone = '', external_code = '', profile = '',
    deauthorized_at = coalesce(deauthorized_at, %(at)s), forgotten_at = %(at)s
"""

RULES = (
    RetentionRule(
        "deauthorized",
        "SELECT id FROM clients_authorizedclient WHERE deauthorized_at < %(before)s AND deauthorized_at IS NOT NULL"
        " AND forgotten_at IS NULL ORDER BY deauthorized_at",
        f", blanked AS (UPDATE clients_authorizedclient AS client SET {CLIENT_BLANK} FROM over"  # noqa: S608
        " WHERE client.id = over.id) SELECT count(*) FROM over",
        kept("deauthorized"),
    ),
)
"""This room's share of the nightly job. External clients are no part of it: they are there as long as their company
keeps them."""


def erase_applicants(ids: Sequence[Any], *, at: datetime) -> int:
    """Blanks the rows, which the caller has locked."""
    return _blank(Applicant, APPLICANT_BLANK, ids, at=at)


def erase_authorized(ids: Sequence[int], *, at: datetime) -> int:
    """Ends what is live and blanks the rows, in the order of their addresses, as alta and baja do."""
    mine = AuthorizedClient.objects.filter(pk__in=ids).order_by("email")
    locked = list(mine.select_for_update().values_list("pk", flat=True))
    return _blank(AuthorizedClient, CLIENT_BLANK, locked, at=at)


def erase_external(ids: Sequence[Any]) -> int:
    """Nothing leans on these rows: they go."""
    return int(ExternalClient.objects.filter(pk__in=ids).delete()[0])


def _blank(model: type[Applicant] | type[AuthorizedClient], changes: str, ids: Sequence[Any], *, at: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {model._meta.db_table} SET {changes} WHERE id = ANY(%(ids)s) AND forgotten_at IS NULL",  # noqa: S608
            {"ids": list(ids), "at": at},
        )
        return int(cursor.rowcount)


_TYPED = ("auth.user", "messaging.campaign", "clients.partner")
"""Entries about these may repeat what somebody typed: the filter of an export, the recipient of a test, a file's
name."""
_TELLING = re.compile("[0-9@]")
"""What tells one person. A passport of letters alone may be a word, and a word that a company chose would blank what
the audit says of the company."""


def redact_audit(rows: Iterable[tuple[str, str]], values: Iterable[str]) -> int:
    """Takes personal values out of the audit, not the entries: who did what, when, why and to which id stays.

    `rows` are the person's, as (object_type, object_id): there everything that changed is personal. Elsewhere a text
    that repeats one of `values` is. Part of the caller's transaction.
    """
    by_type: dict[str, list[str]] = {}
    for kind, key in rows:
        by_type.setdefault(kind, []).append(key)
    found: dict[int, Any] = {}
    for kind, keys in by_type.items():
        for entry in AuditEntry.objects.filter(object_type=kind, object_id__in=keys).exclude(data={}):
            found[entry.pk] = redacted(entry.data, lambda text: False)
    needles = [each.lower() for each in values if _TELLING.search(each)]
    for pk, data in _typed(needles) if needles else ():
        found[pk] = redacted(data, lambda text: any(each in text.lower() for each in needles))
    if not found:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL aval.redacting = 'on'")
        cursor.execute(
            "UPDATE clients_auditentry AS entry SET data = new.data"
            " FROM json_to_recordset(%s::json) AS new(id bigint, data jsonb)"
            " WHERE entry.id = new.id AND entry.data <> new.data",
            [json.dumps([{"id": key, "data": data} for key, data in found.items()])],
        )
        changed = int(cursor.rowcount)
        cursor.execute("SET LOCAL aval.redacting = 'off'")
    return changed


def _typed(needles: Sequence[str]) -> list[tuple[int, Any]]:
    """Entries about those that hold one of the texts; few, and found by the index of an entry's object."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, data::text FROM clients_auditentry WHERE object_type = ANY(%s)"
            " AND EXISTS (SELECT FROM unnest(%s::text[]) AS needle WHERE position(needle IN lower(data::text)) > 0)",
            [list(_TYPED), list(needles)],
        )
        return [(key, json.loads(data)) for key, data in cursor.fetchall()]


def redacted(data: Any, is_personal: Callable[[str], bool]) -> Any:
    """The same shape with a mark in place of what is personal: in a change all but the name of its field, elsewhere
    the texts that `is_personal` knows."""
    if isinstance(data, dict):
        change = "field" in data
        return {
            key: REDACTED if change and key in ("before", "after", "key") else redacted(value, is_personal)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [redacted(each, is_personal) for each in data]
    return REDACTED if isinstance(data, str) and is_personal(data) else data
