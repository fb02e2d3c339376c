"""Reading the two ladders from the rows: which requests count, and where that leaves the client."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from tokens.cooldown import LOOK_BACK, Standing, holding, standing

_COUNTING = """
    SELECT true, created_at FROM tokens_verificationtoken
    WHERE applicant_id = %(applicant)s AND via = %(via)s AND created_at >= %(since)s AND returned_at IS NULL
      AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness
                                 WHERE applicant_id = %(applicant)s AND via = %(via)s), '-infinity')
    UNION ALL
    SELECT false, created_at FROM tokens_verificationtoken
    WHERE destination = %(destination)s AND via = %(via)s AND created_at >= %(since)s AND returned_at IS NULL
      AND outcome <> 'VALIDADO'
      AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness
                                 WHERE destination = %(destination)s AND via = %(via)s), '-infinity')
"""
"""Both ladders in one statement, over two indexes; a handful of rows whatever the history. Given back: off both.
Validated: off the destination's. Up to the last forgiveness: off the one that was forgiven."""


@dataclass(frozen=True)
class Ladders:
    client: Standing
    destination: Standing
    at: datetime
    """The moment they were read for: not before any request on them, which a clock read ahead of a lock can be."""

    @property
    def holding(self) -> Standing:
        return holding(self.client, self.destination)


def read(applicant_id: UUID, via: str, destination: str, *, at: datetime) -> Ladders:
    """Where both ladders stand. For a decision, hold the locks of `tokens.services.request` first."""
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNTING, {"applicant": applicant_id, "via": via, "destination": destination, "since": at - LOOK_BACK}
        )
        rows = cursor.fetchall()
    at = max([at, *(created for _, created in rows)])
    return Ladders(
        client=standing([created for of_client, created in rows if of_client], at=at),
        destination=standing([created for of_client, created in rows if not of_client], at=at),
        at=at,
    )
