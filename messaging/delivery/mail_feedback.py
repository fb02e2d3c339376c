"""Feedback of mail services besides delivery: complaints, unsubscriptions, soft bounces.

Each becomes an event of its message, which keeps its state. The same feedback twice is one event.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

log = logging.getLogger(__name__)

COMPLAINED = "el destinatario lo marcó como no deseado"
UNSUBSCRIBED = "el destinatario pidió no recibir más correos"
SOFT_BOUNCE = "el buzón lo devolvió por ahora"
"""Values of `MessageEvent.detail`, by which the feedback is found."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One piece of feedback about one message."""

    provider: str  # what its gateway's name begins with, as in `messaging.delivery.receipts.Report`
    provider_id: str
    detail: str
    message_id: UUID | None = None  # ours, where the provider repeats it


def keep(remark: Remark, *, at: datetime) -> bool:
    """Store feedback as an event of its message. False: it is stored already, or no message of ours is known by this
    id."""
    where = "provider_id = %(provider_id)s AND (provider = %(family)s OR starts_with(provider, %(family)s || ':'))"
    if remark.message_id is not None:
        where = "id = %(message)s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
            SELECT id, %(at)s, state, attempts, provider, %(detail)s::text FROM messaging_message AS message
            WHERE {where} AND provider <> '' AND NOT EXISTS (
                SELECT FROM messaging_messageevent AS event
                WHERE event.message_id = message.id AND event.detail = %(detail)s::text
            )
            """,  # noqa: S608  both conditions stand above
            {
                "at": at,
                "detail": remark.detail[:300],
                "provider_id": remark.provider_id,
                "family": remark.provider,
                "message": remark.message_id,
            },
        )
        written = bool(cursor.rowcount)
    log.info("a provider remarked", extra={"provider": remark.provider, "detail": remark.detail, "known": written})
    return written
