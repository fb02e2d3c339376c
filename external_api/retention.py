"""Retention and erasure of the request log and of stored answers."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import connection, transaction

from clients.retention import RetentionRule, delete_sql_of, period_of
from external_api.frontdoor.idempotency import ANSWER_LIFETIME, SEAL_MARK
from external_api.models import ApiRequest

RULES = (
    # their ids come from a sequence and are not used again; AuthorizedClient.request_id is a plain number
    RetentionRule(
        "requests",
        "SELECT id FROM external_api_apirequest WHERE created_at < %(before)s ORDER BY created_at",
        delete_sql_of("external_api_apirequest"),
        period_of("requests"),
    ),
    RetentionRule(
        "answers",
        "SELECT id FROM external_api_idempotentanswer WHERE created_at < %(before)s ORDER BY created_at",
        delete_sql_of("external_api_idempotentanswer"),
        lambda: ANSWER_LIFETIME,  # fixed by the contracts, not a setting
    ),
)

SEARCHED = 40
"""Stored answers searched in one statement. A body may have a megabyte, and is read once for each text: five hundred of
them took longer than a statement may."""


def erase_requests(subjects: Sequence[UUID]) -> int:
    """Remove client and address from the log; the call itself stays counted."""
    return ApiRequest.objects.filter(subject__in=subjects).update(subject=None, address=None)


def erase_answers(values: Iterable[str], partners: Sequence[int]) -> int:
    """Delete the stored answers that contain one of the texts, or may: those that are sealed. A retry with their key is
    a new call from then on.

    Not part of the caller's transaction: at most a day's rows, whose bodies are read in pieces.
    """
    needles = sorted({spelling for each in values if each for spelling in _spellings(each)})
    gone, last = 0, 0
    while needles:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                """
                WITH piece AS MATERIALIZED (
                    SELECT id, body FROM external_api_idempotentanswer
                    WHERE id > %(last)s AND partner_id = ANY(%(partners)s) ORDER BY id LIMIT %(searched)s
                ), gone AS (
                    DELETE FROM external_api_idempotentanswer AS answer USING piece
                    WHERE answer.id = piece.id AND (substr(piece.body, 1, %(mark)s) = %(sealed)s OR EXISTS (
                        SELECT FROM unnest(%(needles)s::bytea[]) AS needle WHERE position(needle IN piece.body) > 0
                    )) RETURNING answer.id
                )
                SELECT (SELECT max(id) FROM piece), (SELECT count(*) FROM gone)
                """,
                {
                    "last": last,
                    "partners": list(partners),
                    "searched": SEARCHED,
                    "needles": needles,
                    "sealed": SEAL_MARK,
                    "mark": len(SEAL_MARK),
                },
            )
            reached, deleted = cursor.fetchone()
        gone += deleted
        if reached is None:
            break
        last = reached
    return gone


def _spellings(text: str) -> set[bytes]:
    """Spellings of a text in JSON: plain, or with escapes."""
    return {text.encode(), text.encode("ascii", "backslashreplace")}
