"""Outbox: queues a message and cancels it again, within the caller's transaction."""

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from clients.models import Credential, Partner
from clients.request_id import as_uuid as current_trace
from clients.uuid7 import uuid7
from messaging.models import Message
from messaging.queue import channel_fallback, wakeup
from messaging.queue.names import QUEUE_OF
from messaging.queue.sealing import seal
from messaging.queue.transitions import Moved, move, move_with_commit
from messaging.sql import INSERT_MESSAGE
from messaging.transitions_sql import CANCEL_REFERENCES

INSERT = INSERT_MESSAGE
"""Takes the parameters of `as_parameters`. For statements that write a message together with other rows."""


def fields(
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
) -> dict[str, Any]:
    """Fields of a new message.

    `text` and `html` hold the mask in the place of `secret`. `keep_secret`: keep it after the hand-over until
    `send_before`, because a fallback may need it.
    """
    return {
        "id": uuid7(),
        "partner_id": partner.pk if partner else None,
        "credential_id": credential.pk if credential else None,
        "request_id": request_id,
        "trace_id": current_trace(),
        "kind": kind,
        "via": via,
        "recipient": recipient,
        "subject": subject,
        "text": text,
        "html": html,
        "sealed": seal(secret) if secret is not None else None,
        "kept_until": send_before if keep_secret else None,
        "send_before": send_before,
        "reference": reference,
        "fallback_for_id": fallback_for,
        "created_at": at,
        "next_attempt_at": at,
    }


def as_parameters(message: dict[str, Any]) -> dict[str, Any]:
    """`fields` of a message as the parameters of INSERT."""
    return {f"message_{name}": str(value) if isinstance(value, str) else value for name, value in message.items()}


def wake_after_commit(kind: str) -> None:
    """Wake a worker once the transaction has committed. Robust: a broker that is away causes no error."""
    transaction.on_commit(partial(wakeup.wake, QUEUE_OF[kind]), robust=True)


def enqueue(*, kind: str, **others: Any) -> Message:
    """Write the row of a message with these `fields`, and wake a worker once the caller's transaction has committed."""
    message = Message.objects.create(**fields(kind=kind, **others))
    wake_after_commit(kind)
    return message


def cancel(references: list[UUID], *, at: datetime, detail: str) -> list[Moved]:
    """Cancel messages that are not handed over yet. None of the references gets a fallback any more."""
    channel_fallback.drop_seals(references)
    return move("CANCELLED", CANCEL_REFERENCES, {"references": references}, at=at, detail=detail)


def cancel_with_commit(references: list[UUID], *, at: datetime, detail: str) -> None:
    """`cancel`, in the exchange that commits the caller's transaction."""
    channel_fallback.drop_seals(references)
    move_with_commit("CANCELLED", CANCEL_REFERENCES, {"references": references}, at=at, detail=detail)
