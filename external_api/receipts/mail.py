"""Tracking events of the mail services, which django-anymail verifies, parses and sends as one signal.

| event                                       | result                                                   |
|---------------------------------------------|----------------------------------------------------------|
| delivered                                   | DELIVERED; a suppression by this mail's bounce is lifted |
| bounced, rejected, failed                   | UNDELIVERED                                              |
| bounced, or rejected because it bounced     | the mailbox is suppressed                                |
| bounced or rejected for another reason of   | the mailbox is suppressed at the third of them           |
| the recipient (no address, blocked)         |                                                          |
| bounced, and the service calls it soft      | an event of the message: a later report may be better    |
| complained, unsubscribed                    | an event of the message (`messaging.delivery.mail_feedback`) |
| any other (sent, deferred, opened, clicked) | nothing                                                  |
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from messaging.delivery import mail_feedback, receipts
from messaging.delivery.mail_feedback import MailFeedback
from messaging.delivery.receipts import Report
from messaging.gateways.http import identifier
from messaging.gateways.mail import METADATA
from messaging.models import Message, RecipientFeedback
from messaging.suppression import listing

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
_HARD, _FAILURE = RecipientFeedback.Kind.HARD_BOUNCE, RecipientFeedback.Kind.FAILURE
BOUNCES: Mapping[str, Mapping[str | None, str]] = {
    "bounced": {None: _HARD, "bounced": _HARD, "other": _HARD, "invalid": _HARD, "blocked": _FAILURE},
    "rejected": {"bounced": _HARD, "invalid": _FAILURE},
}
"""What a report says about the recipient, by its event and by anymail's `reject_reason`. Not here: spam (the text, or a
complaint that the service reports besides), timed_out (soft), unsubscribed."""
REMARKS = {"complained": mail_feedback.COMPLAINED, "unsubscribed": mail_feedback.UNSUBSCRIBED}

_SOFT = frozenset({"soft_bounce", "softbounce", "soft_bounced", "activity.soft_bounced", "transient", "temporary"})
_SOFT_CLASSES = frozenset({"20", "21", "22", "23", "24", "40", "70"})
"""SparkPost's bounce_class (source: SparkPost, Bounce classification codes)."""


def record_tracking_event(sender: Any, event: Any, esp_name: str, **_: Any) -> None:
    """Receiver of `anymail.signals.tracking`."""
    name, ours = identifier(event.message_id), _our_id(event.metadata)
    kind = event.event_type if isinstance(event.event_type, str) else ""
    if not name and ours is None:
        return
    name, service, at = name or str(ours), esp_name.lower(), timezone.now()
    remark = mail_feedback.SOFT_BOUNCE if kind == "bounced" and _is_soft(event.esp_event) else REMARKS.get(kind)
    if remark is not None:
        mail_feedback.save(MailFeedback(service, name, remark, ours), at=at)
        return
    state = STATES.get(kind)
    if state is not None:
        reason = event.reject_reason if isinstance(event.reject_reason, str) else None
        detail = " ".join(part for part in (REASONS.get(kind), reason) if part)
        bounce = BOUNCES.get(kind, {}).get(reason, "")
        report = Report(service, name, state, detail, ours, bounce=bounce)
        if receipts.receive(report, at=at) and state == Message.State.DELIVERED:
            _arrived(report, at=at)


def _arrived(report: Report, *, at: datetime) -> None:
    """Lift the suppression that an earlier report on the same mail has led to."""
    message = receipts.message_of(report, at=at)
    if message is not None:
        listing.lift_contradicted(message, at=at)


def _our_id(metadata: Any) -> UUID | None:
    value = metadata.get(METADATA) if isinstance(metadata, dict) else None
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_soft(raw: Any) -> bool:
    """True where the service calls a bounce temporary; anymail has one kind for all. `raw`: the event as it came."""
    if any(isinstance(kind, str) and kind.lower() in _SOFT for kind in _kinds(raw)):
        return True
    if _field(raw, "event") == "bounce" and _field(raw, "hard_bounce") is not None:  # Mailjet
        return not _field(raw, "hard_bounce")
    events = _field(raw, "msys")
    classes = [str(_field(each, "bounce_class")) for each in events.values()] if isinstance(events, dict) else []
    return any(each in _SOFT_CLASSES for each in classes)


def _kinds(raw: Any) -> Iterator[Any]:
    """The fields in which services put the kind of a bounce."""
    yield _field(raw, "event")  # Brevo, Mandrill
    yield _field(raw, "Type")  # Postmark
    yield _field(_field(raw, "data"), "type")  # MailerSend
    yield _field(_field(_field(raw, "data"), "bounce"), "type")  # Resend
    yield _field(_field(raw, "event-data"), "severity")  # Mailgun


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
