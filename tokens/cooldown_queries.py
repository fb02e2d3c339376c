"""Queries of the two cooldown ladders: which requests count, and how long the client must wait."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from tokens import sql
from tokens.cooldown import LOOK_BACK, Ladders


def read(applicant_id: UUID, via: str, destination: str, *, twin: int | None = None, at: datetime) -> Ladders:
    """Read the state of both ladders. For a decision, hold the locks of `tokens.services.request` first.

    `twin`: the applicant's partner, where it is a test twin.
    """
    params: dict[str, Any] = {
        "applicant": applicant_id,
        "partner": twin,
        "via": via,
        "destination": destination,
        "since": at - LOOK_BACK,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql.LADDERS[via, twin is not None], params)
        rows = cursor.fetchall()
    return Ladders.of(rows, at=at)
