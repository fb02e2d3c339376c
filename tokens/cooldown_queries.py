"""Queries of the two cooldown ladders: which requests count, and how long the client must wait."""

from datetime import datetime
from uuid import UUID

from django.db import connection

from tokens import sql
from tokens.cooldown import LOOK_BACK, Ladders


def read(applicant_id: UUID, via: str, destination: str, *, at: datetime) -> Ladders:
    """Read the state of both ladders. For a decision, hold the locks of `tokens.services.request` first."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.LADDERS[via],
            {"applicant": applicant_id, "via": via, "destination": destination, "since": at - LOOK_BACK},
        )
        rows = cursor.fetchall()
    return Ladders.of(rows, at=at)
