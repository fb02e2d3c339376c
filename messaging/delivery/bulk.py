"""Delivery of bulletins and alerts: a hundred a claim, ten a hand-over, over one kept connection.

Whether a client may still get mail is checked at the hand-over, not when the message is made: a baja or an
unsubscription stops queued messages without touching them.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from messaging.campaigns import lifecycle, rendering
from messaging.campaigns.lifecycle import NEVER
from messaging.delivery import failover
from messaging.delivery.send import Answer, Sender, claim, give_back, not_taken, offer, record, settle, take_back, taken
from messaging.gateways import gateways_for
from messaging.gateways.base import Gateway, Receipt
from messaging.models import Message
from messaging.queue import wakeup
from messaging.queue.names import BATCH
from messaging.queue.transitions import move

log = logging.getLogger(__name__)

TEN = 10
"""Messages of one hand-over: at most so many become UNKNOWN when a worker dies."""
LEASE = timedelta(seconds=90)
"""Lease of ten messages, each of which may take the gateway's 20 s at worst. What has not begun after GIVE_BACK goes
back to the queue."""
GIVE_BACK = 60.0
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120))

_WELCOME = """
    EXISTS (SELECT FROM clients_authorizedclient AS client WHERE client.id = authorized_client_id
            AND client.deauthorized_at IS NULL AND client.subscribed_at IS NOT NULL
            AND client.unsubscribed_at IS NULL)
"""
_SENDING = "EXISTS (SELECT FROM messaging_campaign AS c WHERE c.id = campaign_id AND c.state = 'SENDING')"
_ALIVE = "EXISTS (SELECT FROM messaging_campaign AS c WHERE c.id = campaign_id AND c.state IN ('SENDING', 'PAUSED'))"


def deliver_due() -> int:
    """Send one batch of what is due; a full batch wakes another worker. Returns how many were claimed."""
    batch = claim("bulk", at=timezone.now())
    if len(batch) == BATCH["bulk"]:
        wakeup.wake("bulk")
    else:
        lifecycle.refill(at=timezone.now())
    with ExitStack() as kept:
        senders: dict[str, Sender] = {}
        for start in range(0, len(batch), TEN):
            _deliver_ten(batch[start : start + TEN], senders, kept)
    return len(batch)


def _deliver_ten(ten: Sequence[Message], senders: dict[str, Sender], kept: ExitStack) -> None:
    at = timezone.now()
    try:
        gateway, place = failover.choose(gateways_for(ten[0].via), ten[0], at=at)
        place.ended(failed=None)  # each letter is a call of its own
    except failover.NoProvider:
        for message in ten:
            record(message, "FAILED", at=at, reply="no hay proveedor de correo")
        log.error("bulletins cannot be sent: EMAIL_URL is not set")
        return
    except failover.NotNow as wait:
        for message in ten:
            due = at + timedelta(seconds=wait.seconds)
            give_back(message, at=at, due=due, detail="los proveedores están ocupados")
        return
    if gateway.name not in senders:
        senders[gateway.name] = _kept_connection(gateway, kept)
    handed = hand_over(ten, gateway, at=timezone.now())
    _leave_the_rest([message for message in ten if message.id not in handed], at=timezone.now())
    ours = [message for message in ten if message.id in handed]
    for message in ours:
        message.attempts, message.provider = handed[message.id], gateway.name
    _offer_all(ours, senders[gateway.name])


def _offer_all(ours: Sequence[Message], sender: Sender) -> None:
    """Send one after another over the kept connection; record those that were taken together."""
    began = time.monotonic()
    were_taken: list[tuple[Message, Receipt]] = []
    for message in ours:
        if time.monotonic() - began > GIVE_BACK:
            take_back(message, at=timezone.now())  # the ones before it took too long
            continue
        answer: Answer = offer(message, sender, rendering.letter(message), None, failover.begin(message.provider))
        if isinstance(answer, Receipt):
            failover.took(message.provider)
            were_taken.append((message, answer))
        else:
            not_taken(message, answer, at=timezone.now(), delays=RETRY_DELAYS)
            settle(message.provider, answer, at=timezone.now())
    if were_taken:
        taken(were_taken, at=timezone.now())
        settle(were_taken[0][0].provider, were_taken[0][1], at=timezone.now())


def hand_over(ten: Sequence[Message], gateway: Gateway, *, at: datetime) -> dict[UUID, int]:
    """Mark those of the ten that are still claimed and still wanted; return id -> attempt."""
    sql = f"""
        WITH handed AS (
            UPDATE messaging_message
            SET handed_over_at = %(at)s, lease_until = %(lease)s, attempts = attempts + 1, provider = %(provider)s
            WHERE id = ANY(%(ids)s) AND claim_id = %(claim)s AND state = 'SENDING' AND handed_over_at IS NULL
              AND {_WELCOME} AND {_SENDING}
            RETURNING id, attempts
        )
        INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
        SELECT id, %(at)s, 'SENDING', attempts, %(provider)s, '' FROM handed RETURNING message_id, attempt
    """  # noqa: S608  the conditions are this module's constants
    params: dict[str, Any] = {"at": at, "lease": at + LEASE, "provider": gateway.name, "claim": ten[0].claim_id}
    with connection.cursor() as cursor:
        cursor.execute(sql, {**params, "ids": [message.id for message in ten]})
        return dict(cursor.fetchall())


def _leave_the_rest(rest: Sequence[Message], *, at: datetime) -> None:
    """Messages not handed over: cancelled if their client does not want them any more, otherwise back to the queue of a
    paused campaign."""
    if not rest:
        return
    ours = "id = ANY(%(ids)s) AND claim_id = %(claim)s AND handed_over_at IS NULL"
    params = {"ids": [message.id for message in rest], "claim": rest[0].claim_id, "never": NEVER}
    move("CANCELLED", f"{ours} AND NOT ({_WELCOME} AND {_ALIVE})", params, at=at, detail="el cliente ya no lo recibe")
    move("QUEUED", ours, params, at=at, detail="campaña en pausa", also="next_attempt_at = %(never)s")


def _kept_connection(gateway: Gateway, kept: ExitStack) -> Sender:
    """Connection for the whole batch, if the gateway can keep one."""
    session = getattr(gateway, "session", None)
    sender: Sender = kept.enter_context(session()) if session else gateway
    return sender
