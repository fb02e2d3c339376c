"""Reading the two ladders from the rows: which requests count, and where that leaves the client."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from messaging.models import Via
from tokens import destinations
from tokens.cooldown import LOOK_BACK, CooldownState, cooldown_state, holding

_COUNTING = """
    SELECT true, true, created_at FROM tokens_verificationtoken
    WHERE applicant_id = %(applicant)s AND via = %(via)s AND created_at >= %(since)s AND returned_at IS NULL
      AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness
                                 WHERE applicant_id = %(applicant)s AND via = %(via)s), '-infinity')
    UNION ALL
    SELECT false, (SELECT partner_id FROM clients_applicant WHERE id = token.applicant_id)
        IS NOT DISTINCT FROM (SELECT partner_id FROM clients_applicant WHERE id = %(applicant)s), created_at
    FROM tokens_verificationtoken AS token
    WHERE {to_it} AND created_at >= %(since)s AND returned_at IS NULL AND outcome <> 'VALIDADO'
      AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness WHERE {to_it}), '-infinity')
"""
"""Both ladders in one statement, over two indexes; a handful of rows whatever the history. Given back: off both.
Validated: off the destination's. Up to the last forgiveness: off the one that was forgiven. Of the destination's each
row says whether the applicant's own partner asked."""
NEXT_MOMENT = timedelta(microseconds=1)
"""The least time between two requests on a ladder."""


def counting(via: str, destination: str) -> str:
    """SQL with the parameters applicant, via and since; `destination` is SQL too."""
    return _COUNTING.format(to_it=destinations.is_to(via, destination))


_STATEMENTS = {via: counting(via, "%(destination)s") for via in Via.values}


@dataclass(frozen=True)
class Ladders:
    client: CooldownState
    destination: CooldownState
    own: CooldownState
    """The destination's ladder as it would stand without other partners' requests."""
    at: datetime
    """The moment they were read for: not before any request on them, which a clock read ahead of a lock can be."""

    @classmethod
    def of(cls, rows: Sequence[tuple[bool, bool, datetime]], *, at: datetime) -> "Ladders":
        """Of rows that say: on the client's ladder, of the applicant's own partner, requested at."""
        at = max([at, *(created for _, _, created in rows)])
        return cls(
            client=cooldown_state([created for of_client, _, created in rows if of_client], at=at),
            destination=cooldown_state([created for of_client, _, created in rows if not of_client], at=at),
            own=cooldown_state([created for of_client, own, created in rows if own and not of_client], at=at),
            at=at,
        )

    @property
    def holding(self) -> CooldownState:
        return holding(self.client, self.destination)

    @property
    def told(self) -> CooldownState:
        """What the partner may know: how long to wait, and of the requests behind it only its own."""
        return CooldownState(holding(self.client, self.own).attempts_24h, self.holding.available_at)


def read(applicant_id: UUID, via: str, destination: str, *, at: datetime) -> Ladders:
    """Where both ladders stand. For a decision, hold the locks of `tokens.services.request` first."""
    with connection.cursor() as cursor:
        cursor.execute(
            _STATEMENTS[via],
            {"applicant": applicant_id, "via": via, "destination": destination, "since": at - LOOK_BACK},
        )
        rows = cursor.fetchall()
    return Ladders.of(rows, at=at)
