"""Putting a message into the queue and taking it out again: part of the caller's own transaction."""

from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from clients.models import Credential, Partner
from messaging import doorbell, fallbacks
from messaging.models import Message
from messaging.queues import QUEUE_OF
from messaging.sealing import seal
from messaging.transitions import Moved, move


def enqueue(
    *,
    kind: str,
    via: str,
    recipient: str,
    subject: str,
    text: str,
    html: str = "",
    secret: str | None = None,
    reference: UUID | None = None,
    send_before: datetime | None = None,
    keep_secret: bool = False,
    fallback_for: UUID | None = None,
    partner: Partner | None = None,
    credential: Credential | None = None,
    request_id: int | None = None,
    at: datetime,
) -> Message:
    """Writes the row and rings once the caller's transaction has committed.

    `text` and `html` hold the mask where `secret` belongs. `keep_secret`: until `send_before` a fallback may need it,
    so it outlives the hand-over. The ring is robust: a broker that is away never turns work that was done into an
    error.
    """
    message = Message.objects.create(
        kind=kind, via=via, recipient=recipient, subject=subject, text=text, html=html,
        sealed=seal(secret) if secret is not None else None,
        kept_until=send_before if keep_secret else None, fallback_for_id=fallback_for,
        reference=reference, send_before=send_before, partner=partner, credential=credential, request_id=request_id,
        created_at=at, next_attempt_at=at,
    )  # fmt: skip
    transaction.on_commit(partial(doorbell.ring, QUEUE_OF[kind]), robust=True)
    return message


def cancel(references: list[UUID], *, at: datetime, detail: str) -> list[Moved]:
    """Takes back what has not been handed over; what is with a provider goes its way. No fallback follows."""
    fallbacks.forget(references)
    return move("CANCELLED", "reference = ANY(%(references)s)", {"references": references}, at=at, detail=detail)
