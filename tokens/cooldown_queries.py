"""Queries of the two cooldown ladders: which requests count, and how long the client must wait."""

from datetime import datetime
from uuid import UUID

from django.db import connection

from messaging.models import Via
from tokens import destinations
from tokens.cooldown import LOOK_BACK, Ladders

_COUNTING = """
    SELECT true, true, created_at FROM tokens_verificationtoken
    WHERE applicant_id = %(applicant)s AND via = %(via)s AND created_at >= %(since)s AND returned_at IS NULL
      AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness
                                 WHERE applicant_id = %(applicant)s AND via = %(via)s), '-infinity')
    UNION ALL
    SELECT false, (SELECT partner_id FROM clients_applicant WHERE id = token.applicant_id)
        IS NOT DISTINCT FROM (SELECT partner_id FROM clients_applicant WHERE id = %(applicant)s), created_at
    FROM tokens_verificationtoken AS token
    WHERE {is_to_destination} AND created_at >= %(since)s AND returned_at IS NULL AND outcome <> 'VALIDADO'
      AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness WHERE {is_to_destination}), '-infinity')
"""
"""Both ladders in one statement, over two indexes; a handful of rows whatever the history. A rung that was given back
counts on neither. A validated code does not count on the destination's. Requests up to the last forgiveness do not
count on the ladder that was forgiven. Each row of the destination's ladder says whether the applicant's own partner
asked."""


def counting(via: str, destination: str) -> str:
    """SQL with the parameters applicant, via and since; `destination` is SQL too."""
    return _COUNTING.format(is_to_destination=destinations.is_to(via, destination))


_STATEMENTS = {via: counting(via, "%(destination)s") for via in Via.values}


def read(applicant_id: UUID, via: str, destination: str, *, at: datetime) -> Ladders:
    """Read the state of both ladders. For a decision, hold the locks of `tokens.services.request` first."""
    with connection.cursor() as cursor:
        cursor.execute(
            _STATEMENTS[via],
            {"applicant": applicant_id, "via": via, "destination": destination, "since": at - LOOK_BACK},
        )
        rows = cursor.fetchall()
    return Ladders.of(rows, at=at)
