"""The mail services' tracking events, which django-anymail checks, reads and hands over as one kind of signal."""

from typing import Any

from django.utils import timezone

from messaging import receipts
from messaging.models import Message
from messaging.receipts import Report

STATES = {
    "delivered": Message.State.DELIVERED,
    "bounced": Message.State.UNDELIVERED,
    "rejected": Message.State.UNDELIVERED,
    "failed": Message.State.UNDELIVERED,
}
REASONS = {
    "bounced": "el buzón lo devolvió",
    "rejected": "el servicio lo rechazó",
    "failed": "el servicio no pudo enviarlo",
}


def tracked(sender: Any, event: Any, esp_name: str, **_: Any) -> None:
    """A receiver of `anymail.signals.tracking`. Openings and clicks are nobody's business here."""
    state = STATES.get(event.event_type)
    if state is None or not event.message_id:
        return
    detail = " ".join(part for part in (REASONS.get(event.event_type), event.reject_reason) if part)
    receipts.receive(Report(esp_name.lower(), str(event.message_id), state, detail), at=timezone.now())
