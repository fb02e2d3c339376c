"""Feedback of mail services that changes no state: complaints, unsubscriptions, soft bounces.

Each becomes an event of its message with one of the details below. The same feedback twice is one event. Complaints and
unsubscriptions end the subscription besides (`messaging.suppression`).
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from messaging import sql
from messaging.suppression import feedback as recipient_feedback

log = logging.getLogger(__name__)

COMPLAINED = "el destinatario lo marcó como no deseado"
UNSUBSCRIBED = "el destinatario pidió no recibir más correos"
SOFT_BOUNCE = "el buzón lo devolvió por ahora"
"""Values of `MessageEvent.detail`, by which such messages and their recipients are found."""
_ACTS = {COMPLAINED: recipient_feedback.complained, UNSUBSCRIBED: recipient_feedback.unsubscribed}


@dataclass(frozen=True, slots=True)
class MailFeedback:
    """One item of feedback on one message."""

    provider: str  # prefix of its gateway's name, as in `messaging.delivery.receipts.Report`
    provider_id: str
    detail: str
    message_id: UUID | None = None  # our id, where the provider repeats it


def save(feedback: MailFeedback, *, at: datetime) -> bool:
    """Store feedback as an event of its message, and do what follows from it. False: it is stored already, or the
    message is not known."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            sql.SAVE_FEEDBACK[feedback.message_id is not None],
            {
                "at": at,
                "detail": feedback.detail[:300],
                "provider_id": feedback.provider_id,
                "family": feedback.provider,
                "message": feedback.message_id,
            },
        )
        events = [row[0] for row in cursor.fetchall()]
        for message in events:
            act = _ACTS.get(feedback.detail)
            if act is not None:
                act(message, detail=feedback.detail, at=at)
    known = bool(events)
    log.info("mail feedback received", extra={"provider": feedback.provider, "detail": feedback.detail, "known": known})
    return known
