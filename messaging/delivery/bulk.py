"""How bulletins and alerts leave: a hundred a claim, ten a hand-over, over one kept connection.

Whether a client may still be written to is asked at the hand-over, not when the message was made: a baja or an
unsubscription stops what is queued without touching it.
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
"""Messages a hand-over: what a worker that dies leaves UNKNOWN at most."""
LEASE = timedelta(seconds=90)
"""For ten, each of which may take the gateway's 20 s at worst; what has not begun after GIVE_BACK goes back."""
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
    """Sends a batch of what is due; a full one rings for the next. Returns how many it claimed."""
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
    """One after the other over the kept connection; those that were taken are recorded together."""
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
    """Marks those of the ten that are still ours and still welcome; returns id -> attempt."""
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
    """Of what was not handed over: cancelled where nobody wants it any more, back to a paused campaign's queue else."""
    if not rest:
        return
    ours = "id = ANY(%(ids)s) AND claim_id = %(claim)s AND handed_over_at IS NULL"
    params = {"ids": [message.id for message in rest], "claim": rest[0].claim_id, "never": NEVER}
    move("CANCELLED", f"{ours} AND NOT ({_WELCOME} AND {_ALIVE})", params, at=at, detail="el cliente ya no lo recibe")
    move("QUEUED", ours, params, at=at, detail="campaña en pausa", also="next_attempt_at = %(never)s")


def _kept_connection(gateway: Gateway, kept: ExitStack) -> Sender:
    """A gateway that can keep a connection keeps one for the whole batch."""
    session = getattr(gateway, "session", None)
    sender: Sender = kept.enter_context(session()) if session else gateway
    return sender
