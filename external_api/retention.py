"""The log of requests and the answers kept for safe retries, when their time is over or their person is forgotten."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import connection, transaction

from clients.retention import RetentionRule, deleting, kept
from external_api.frontdoor.idempotency import KEPT_FOR, SEALED
from external_api.models import ApiRequest

RULES = (
    # their numbers come from a sequence and are not given again; AuthorizedClient.request_id is a plain number
    RetentionRule(
        "requests",
        "SELECT id FROM external_api_apirequest WHERE created_at < %(before)s ORDER BY created_at",
        deleting("external_api_apirequest"),
        kept("requests"),
    ),
    RetentionRule(
        "answers",
        "SELECT id FROM external_api_idempotentanswer WHERE created_at < %(before)s ORDER BY created_at",
        deleting("external_api_idempotentanswer"),
        lambda: KEPT_FOR,  # the contracts' word, not a setting
    ),
)

SEARCHED = 40
"""Kept answers looked through at once. A body may have a megabyte, and is read once for each text: five hundred of
them took longer than a statement may."""


def erase_requests(subjects: Sequence[UUID]) -> int:
    """Takes whom it was about, and from where it came, out of the log; the call itself stays counted."""
    return ApiRequest.objects.filter(subject__in=subjects).update(subject=None, address=None)


def erase_answers(values: Iterable[str], partners: Sequence[int]) -> int:
    """Deletes the kept answers that repeat one of the texts, or may: those that are sealed. A retry with their key is a
    new call from then on.

    Not part of anybody's transaction: at most a day's rows, whose bodies are read piece by piece.
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
                    "sealed": SEALED,
                    "mark": len(SEALED),
                },
            )
            reached, deleted = cursor.fetchone()
        gone += deleted
        if reached is None:
            break
        last = reached
    return gone


def _spellings(text: str) -> set[bytes]:
    """As it stands in JSON, with its letters or with their numbers."""
    return {text.encode(), text.encode("ascii", "backslashreplace")}
