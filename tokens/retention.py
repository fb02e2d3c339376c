"""Retention and erasure of codes' destinations, and of applicants who have been inactive for long.

The rows are the cooldown history: a ladder looks two days back, so no destination is deleted before that, not even of a
person who was erased (or an erased client could be used to flood a number).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from clients.models import Applicant
from clients.retention import APPLICANT_BLANK, BATCH, RetentionRule, delete_sql_of, erase_applicants, period_of
from messaging.retention import OF_THEIR_CODES
from tokens import destinations, services, sql
from tokens.cooldown import LOOK_BACK
from tokens.models import LadderForgiveness, VerificationToken


def _period_after_ladders(name: str) -> Callable[[], timedelta | None]:
    setting = period_of(name)

    def period() -> timedelta | None:
        days = setting()
        return None if days is None else max(days, LOOK_BACK)

    return period


_BLANK = "destination = '', operator = '', forget_at = NULL"

CODES = RetentionRule(
    "codes",
    "SELECT id FROM tokens_verificationtoken WHERE destination <> '' AND outcome <> 'PENDIENTE'"
    " AND created_at < %(before)s ORDER BY created_at",
    f", blanked AS (UPDATE tokens_verificationtoken AS token SET {_BLANK} FROM over WHERE token.id = over.id)"  # noqa: S608  only this module's constants are put in
    " SELECT count(*) FROM over",
    _period_after_ladders("codes"),
)
ERASED = RetentionRule(
    "codes_of_the_erased",
    "SELECT id FROM tokens_verificationtoken WHERE forget_at < %(at)s AND forget_at IS NOT NULL"
    " AND outcome <> 'PENDIENTE' ORDER BY forget_at",
    CODES.delete_sql,
    lambda: timedelta(0),  # the row itself knows when
)
FORGIVEN = RetentionRule(
    "forgiveness",  # few rows; the audit keeps who forgave, when and why
    "SELECT id FROM tokens_ladderforgiveness WHERE at < %(before)s ORDER BY id",
    delete_sql_of("tokens_ladderforgiveness"),
    _period_after_ladders("codes"),
)


@dataclass(frozen=True)
class _InactiveApplicants(RetentionRule):
    """Rule in two statements, not one: a code requested between the search and the lock counts as activity."""

    select_locked_sql: str = ""  # `select_sql` again, of the rows that are locked by now

    def _run(self, statement: str, params: dict[str, Any]) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"{self.select_sql} LIMIT {BATCH:d} FOR UPDATE OF applicant SKIP LOCKED", params)
            locked = [row[0] for row in cursor.fetchall()]
            cursor.execute(
                f"WITH over AS MATERIALIZED ({self.select_locked_sql}) {self.delete_sql}", {**params, "locked": locked}
            )
            return int(cursor.fetchone()[0])


def _inactive_applicants(name: str, state: str, since: str) -> RetentionRule:
    inactive = f"""
        SELECT applicant.id FROM clients_applicant AS applicant
        WHERE state = '{state}' AND forgotten_at IS NULL AND {since} < %(before)s AND updated_at < %(before)s
          AND NOT EXISTS (
              SELECT FROM tokens_verificationtoken AS token
              WHERE token.applicant_id = applicant.id
                AND (token.created_at >= %(before)s OR token.outcome = 'PENDIENTE')
          )
    """  # noqa: S608  this module's constants
    delete_sql = f"""
        , their_codes AS MATERIALIZED (
            SELECT token.id FROM over JOIN tokens_verificationtoken AS token ON token.applicant_id = over.id
        ), {OF_THEIR_CODES}, codes AS (
            UPDATE tokens_verificationtoken AS token SET {_BLANK} FROM their_codes
            WHERE token.id = their_codes.id AND token.destination <> ''
        ), forgiven AS (
            DELETE FROM tokens_ladderforgiveness AS each USING over WHERE each.applicant_id = over.id
        ), blanked AS (
            UPDATE clients_applicant AS applicant SET {APPLICANT_BLANK} FROM over WHERE applicant.id = over.id
        )
        SELECT count(*) FROM over
    """  # noqa: S608  only this module's constants are put in
    return _InactiveApplicants(
        name,
        f"{inactive} ORDER BY {since}",
        delete_sql,
        _period_after_ladders(name),
        of="applicant",
        select_locked_sql=f"{inactive} AND applicant.id = ANY(%(locked)s)",
    )


RULES = (
    ERASED,
    CODES,
    FORGIVEN,
    _inactive_applicants("pending", "PENDIENTE", "updated_at"),
    _inactive_applicants("validated", "VALIDADO", "validated_at"),
)


def erase(ids: Sequence[UUID], *, at: datetime) -> int:
    """End live codes, blank the applicants and the destinations that no ladder needs; the others go two days after
    their request. Return the number of applicants. Part of the caller's transaction.

    Locks as every act on codes does: applicants, destinations, tokens, messages. A request for a code meanwhile waits,
    and then finds no applicant.
    """
    mine = list(Applicant.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
    lately = VerificationToken.objects.filter(applicant__in=mine, created_at__gte=at - LOOK_BACK)
    named = lately.exclude(destination="")
    destinations.lock_all(named.values_list("via", destinations.key_on_its_ladder(), "twin_id"))
    for applicant in mine:
        services.withdraw(applicant, at=at)
    LadderForgiveness.objects.filter(applicant__in=mine).delete()
    params: dict[str, Any] = {"ids": [each.pk for each in mine], "since": at - LOOK_BACK, "look_back": LOOK_BACK}
    with connection.cursor() as cursor:
        cursor.execute(sql.FORGET_DESTINATIONS, params)
    return erase_applicants([each.pk for each in mine], at=at)
