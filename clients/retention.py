"""Retention and erasure: the rules and statements that each app's own part builds on.

Rows with personal data are blanked rather than deleted if other rows refer to them: states, times and partners stay,
and the person cannot be identified. Rows are processed in batches, each in its own transaction and by an index. Locked
rows are skipped until the next batch, so that two jobs at once do no harm and nobody waits for either.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from clients import sql
from clients.events.sql import PRUNE
from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient

BATCH = 1000
"""Rows of one statement: locks for some tens of milliseconds, far below the statement timeout of 5 s."""
REDACTED = "[borrado]"
"""Replacement for a personal value in the audit. The trigger allows no other change (migration 0007)."""


@dataclass(frozen=True)
class RetentionRule:
    """Retention rule: which rows of a kind have expired, and how they are removed.

    `select_sql` selects the `id` of these rows with the parameters %(before)s and %(at)s, oldest first; without an
    order where a BRIN index finds them, since each batch would sort all of them. `delete_sql` follows `WITH over AS
    (...)`: statements over `over`, the last of which returns the number of rows."""

    name: str
    select_sql: str
    delete_sql: str
    period: Callable[[], timedelta | None]
    of: str = ""  # which table's rows are locked, where `select_sql` reads several

    @property
    def statement(self) -> str:
        """The whole statement that removes a batch."""
        lock = f"FOR UPDATE {f'OF {self.of} ' if self.of else ''}SKIP LOCKED"
        return f"WITH over AS MATERIALIZED ({self.select_sql} LIMIT {BATCH:d} {lock}) {self.delete_sql}"

    def before(self, *, at: datetime) -> datetime | None:
        """Rows older than this have expired; None: they are kept for ever."""
        period = self.period()
        return None if period is None else at - period

    def batch(self, *, at: datetime) -> int:
        """Remove the oldest expired rows, BATCH at most; return how many."""
        before = self.before(at=at)
        if before is None:
            return 0
        return self._run(self.statement, {"before": before, "at": at})

    def count(self, *, at: datetime) -> int:
        """Number of expired rows, for the dry run. Reads all of them."""
        before = self.before(at=at)
        if before is None:
            return 0
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '10min'")
            statement = f"SELECT count(*) FROM ({self.select_sql}) AS over"  # noqa: S608  a rule's own SQL
            cursor.execute(statement, {"before": before, "at": at})
            return int(cursor.fetchone()[0])

    def _run(self, statement: str, params: dict[str, Any]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
            return int(cursor.fetchone()[0])


def period_of(name: str) -> Callable[[], timedelta | None]:
    """Retention period of a kind, from its setting at each run."""

    def found() -> timedelta | None:
        days: int = settings.AVAL_KEEP_DAYS[name]
        return timedelta(days=days) if days else None

    return found


def delete_sql_of(table: str, key: str = "id", *, then: str = " SELECT count(*) FROM over") -> str:
    """`delete_sql` for rows that nothing refers to."""
    removal = f"DELETE FROM {table} AS each USING over WHERE each.{key} = over.id"  # noqa: S608  names of our tables
    return f", {table}_gone AS ({removal}){then}"


_NOBODY = "names = '', paternal_surname = '', maternal_surname = '', email = '', check_character = ''"
APPLICANT_BLANK = f"""
    document_type = '', document_number = '-' || left(replace(gen_random_uuid()::text, '-', ''), 14), {_NOBODY},
    department = '', province = '', district = '', ubigeo = '', proved_destination = '', proved_operator = '',
    forgotten_at = %(at)s
"""
"""SET clause that blanks an applicant. A random number replaces the document, since (partner, document) is unique and
the same person may register again."""

CLIENT_BLANK = """
    email = '', name = '', document_type = '', document_number = '', phone = '', external_code = '', profile = '',
    deauthorized_at = coalesce(deauthorized_at, %(at)s), forgotten_at = %(at)s
"""

RULES = (
    RetentionRule(
        "deauthorized",
        "SELECT id FROM clients_authorizedclient WHERE deauthorized_at < %(before)s AND deauthorized_at IS NOT NULL"
        " AND forgotten_at IS NULL ORDER BY deauthorized_at",
        f", blanked AS (UPDATE clients_authorizedclient AS client SET {CLIENT_BLANK} FROM over"  # noqa: S608  a constant
        " WHERE client.id = over.id) SELECT count(*) FROM over",
        period_of("deauthorized"),
    ),
    RetentionRule("events", "SELECT id FROM clients_partnerevent WHERE at < %(before)s", PRUNE, period_of("events")),
)
"""Retention rules of this app. External clients have none: they stay as long as their partner keeps them."""


def erase_applicants(ids: Sequence[Any], *, at: datetime) -> int:
    """Blank rows that the caller has locked."""
    return _blank(Applicant, APPLICANT_BLANK, ids, at=at)


def erase_authorized(ids: Sequence[int], *, at: datetime) -> int:
    """End what is live and blank the rows, in the order of their addresses, as alta and baja do."""
    mine = AuthorizedClient.objects.filter(pk__in=ids).order_by("email")
    locked = list(mine.select_for_update().values_list("pk", flat=True))
    return _blank(AuthorizedClient, CLIENT_BLANK, locked, at=at)


def erase_external(ids: Sequence[Any]) -> int:
    """Delete rows: nothing refers to them."""
    return int(ExternalClient.objects.filter(pk__in=ids).delete()[0])


def _blank(model: type[Applicant] | type[AuthorizedClient], changes: str, ids: Sequence[Any], *, at: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {model._meta.db_table} SET {changes} WHERE id = ANY(%(ids)s) AND forgotten_at IS NULL",  # noqa: S608  constants
            {"ids": list(ids), "at": at},
        )
        return int(cursor.rowcount)


_TYPED = ("auth.user", "messaging.campaign", "clients.partner")
"""Object types whose entries may repeat typed text: the filter of an export, the recipient of a test mail, the name of
a file."""
_TELLING = re.compile("[0-9@]")
"""Values that identify one person. A passport of letters alone may be an ordinary word, and a word that a partner chose
would redact what the audit says of the partner."""


def redact_audit(rows: Iterable[tuple[str, str]], values: Iterable[str]) -> int:
    """Redact personal values in the audit. The entries stay: who did what, when, why and to which id.

    `rows` are the person's, as (object_type, object_id): in their entries every changed value is personal. In other
    entries a text is personal if it repeats one of `values`. Runs in the caller's transaction.
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
            sql.REDACT_AUDIT, {"entries": json.dumps([{"id": key, "data": data} for key, data in found.items()])}
        )
        changed = int(cursor.rowcount)
        cursor.execute("SET LOCAL aval.redacting = 'off'")
    return changed


def _typed(needles: Sequence[str]) -> list[tuple[int, Any]]:
    """Entries with typed text that hold one of the values; few, and found by the index of an entry's object."""
    with connection.cursor() as cursor:
        cursor.execute(sql.ENTRIES_WITH_TEXT, {"types": list(_TYPED), "needles": list(needles)})
        return [(key, json.loads(data)) for key, data in cursor.fetchall()]


def redacted(data: Any, is_personal: Callable[[str], bool]) -> Any:
    """The same structure with a mark in place of personal values: in a change everything but the name of its field,
    elsewhere the texts for which `is_personal` holds."""
    if isinstance(data, dict):
        change = "field" in data
        return {
            key: REDACTED if change and key in ("before", "after", "key") else redacted(value, is_personal)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [redacted(each, is_personal) for each in data]
    return REDACTED if isinstance(data, str) and is_personal(data) else data
