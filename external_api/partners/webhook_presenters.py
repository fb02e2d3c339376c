"""What partners see of their webhooks. A secret is shown once, by the answer that made it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from clients.events.payload import moment, public_id
from webhooks.models import Delivery, Endpoint

STATUSES = {Endpoint.Status.ACTIVE: "active", Endpoint.Status.PAUSED: "paused", Endpoint.Status.ENDED: "disabled"}
"""Words for the status of an endpoint; `disabled`: the receiver answered 410."""
DELIVERY_STATUSES = {status: status.value.lower() for status in Delivery.Status}
"""Words for the status of a delivery."""


def endpoint(row: Endpoint, *, at: datetime) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "url": row.url,
        "types": row.types,
        "description": row.description,
        "email": row.email,
        "status": STATUSES[Endpoint.Status(row.status)],
        "created_at": moment(row.created_at),
        "last_success_at": moment(row.last_success_at),
        "failing_since": moment(row.failing_since),
        "paused_at": moment(row.stopped_at),
        "resumed_from": moment(row.resumed_from),
        "previous_secret_until": moment(row.former_secret_until) if row.is_overlapping(at=at) else None,
    }


def delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "event_id": None if row.event_id is None else public_id(row.event_id),
        "type": row.type,
        "status": DELIVERY_STATUSES[Delivery.Status(row.status)],
        "attempts": row.tries,
        "next_attempt_at": moment(row.next_try_at) if row.status == Delivery.Status.PENDING else None,
        "last_attempt_at": moment(row.last_try_at),
        "last_status": row.last_status,
        "last_error": row.last_error or None,
        "created_at": moment(row.created_at),
        "finished_at": moment(row.finished_at),
    }


def deliveries(rows: Sequence[Delivery], limit: int) -> dict[str, Any]:
    """A page; `rows` has one more than `limit` where there is a next one."""
    shown = rows[:limit]
    following = str(shown[-1].pk) if len(rows) > limit else None
    return {"deliveries": [delivery(each) for each in shown], "next": following}
