"""The function that writes an event, for changes that no statement of their own makes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from clients.events import sql
from clients.events.models import EventType, encoded


def write_event(
    partner_id: int | None, event_type: EventType, subject: object, data: Mapping[str, Any], *, at: datetime
) -> None:
    """Write an event in the caller's transaction. What belongs to no partner has nobody to be told.

    Raises ValueError where `data` is over 4 kB.
    """
    params = parameters(partner_id, event_type, subject, data, at=at)
    if partner_id is not None:
        with connection.cursor() as cursor:
            cursor.execute(sql.INSERT, params)


def parameters(
    partner_id: int | None, event_type: EventType, subject: object, data: Mapping[str, Any], *, at: datetime
) -> dict[str, Any]:
    """An event as the parameters of `sql.INSERT`."""
    return {
        "event_partner": partner_id,
        "event_type": str(event_type.value),
        "event_subject": str(subject),
        "event_at": at,
        "event_data": encoded(dict(data)),
    }
