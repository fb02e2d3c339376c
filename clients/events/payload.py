"""An event as JSON, the same in the feed and in a webhook (docs/contracts/partners.md, Events)."""

from datetime import UTC, datetime
from typing import Any

from clients.events.feed import Event


def moment(at: datetime | None) -> str | None:
    """UTC in ISO 8601, with microseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def public_id(event_id: int) -> str:
    """Id of an event as partners know it."""
    return f"evt_{event_id}"


def as_json(event: Event) -> dict[str, Any]:
    return {
        "id": public_id(event.id),
        "type": event.type,
        "subject": event.subject,
        "at": moment(event.at),
        "data": event.data,
        "test": event.test,
    }
