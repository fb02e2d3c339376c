"""Claim, act, record: how due messages leave.

A claim is one UPDATE that commits before anything else, with a lease and an id of its own. Just before the call to
the provider a second one marks the hand-over; whoever finds zero rows there has lost the message and skips it. The
record is a third one, and counts only for the same claim. So a message is sent at least once up to the hand-over, at
most once after it, and a worker may die anywhere.
"""

import logging
import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from django.db import connection
from django.utils import timezone

from messaging import doorbell
from messaging.gateways import gateways_for
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt
from messaging.models import Message
from messaging.sealing import CannotUnseal, unseal
from messaging.transitions import move

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=5)
"""From the claim to the hand-over; what lapses goes back to the queue."""
HAND_OVER_LEASE = timedelta(seconds=30)
"""From the hand-over to the record; longer than any gateway's own deadline. What lapses is UNKNOWN."""
RETRY_DELAYS = (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=30))
"""After the first, second and third refusal for now; a fourth is final. The next provider is asked each time."""

QUEUES = {
    "codes": "kind IN ('verificacion', 'suscripcion')",
    "bulk": "kind IN ('alerta', 'boletin')",
}
BATCH = {"codes": 10, "bulk": 100}
ORDER = {"codes": "next_attempt_at", "bulk": "kind, next_attempt_at"}
"""Alerts before bulletins, as their names stand in the alphabet and so in the index."""


def deliver_due(queue: str) -> int:
    """Sends what is due in a queue, one batch at most; a full one rings for a colleague. Returns how many."""
    batch = claim(queue, at=timezone.now())
    if len(batch) == BATCH[queue]:
        doorbell.ring(queue)
    for message in batch:
        deliver(message)
    return len(batch)


class Sender(Protocol):
    """A gateway, or one kept connection of it."""

    def send(self, message: Outgoing, secret: str | None) -> Receipt: ...


def claim(queue: str, *, at: datetime) -> Sequence[Message]:
    """Takes up to a batch of due messages for LEASE; no two workers ever get the same one."""
    sql = f"""
        UPDATE messaging_message SET state = 'SENDING', claim_id = %(claim)s, lease_until = %(lease)s
        WHERE id IN (
            SELECT id FROM messaging_message
            WHERE state = 'QUEUED' AND {QUEUES[queue]} AND next_attempt_at <= %(at)s
              AND (send_before IS NULL OR send_before > %(at)s)
            ORDER BY {ORDER[queue]} LIMIT {BATCH[queue]:d} FOR UPDATE SKIP LOCKED
        ) RETURNING *
    """  # noqa: S608  all insertions are this module's constants
    params = {"claim": uuid.uuid4(), "lease": at + LEASE, "at": at}
    return sorted(Message.objects.raw(sql, params), key=lambda message: (message.kind, message.next_attempt_at))


def deliver(message: Message) -> None:
    """Hands one claimed message to a provider and records the answer."""
    try:
        gateway = gateway_for(message)
        secret = unseal(bytes(message.sealed)) if message.sealed is not None else None
    except (LookupError, CannotUnseal) as fault:
        record(message, "FAILED", at=timezone.now(), reply=type(fault).__name__)
        log.error("a message cannot be sent", extra={"message_id": str(message.id), "fault": type(fault).__name__})
        return
    if not hand_over(message, gateway, at=timezone.now()):
        log.info("lost a claim before its hand-over", extra={"message_id": str(message.id)})
        return
    attempt(message, gateway, outgoing(message), secret, delays=RETRY_DELAYS)


def attempt(
    message: Message, gateway: Sender, letter: Outgoing, secret: str | None, *, delays: Sequence[timedelta]
) -> None:
    """Calls the provider with what was handed over and records what came of it."""
    try:
        receipt = gateway.send(letter, secret)
    except GatewayError as refusal:
        _refused(message, refusal, at=timezone.now(), delays=delays)
    except OutcomeUnknown as silence:
        record(message, "UNKNOWN", at=timezone.now(), reply=silence.reply)
    except Exception:
        # A fault of the gateway's own code: whether the message left cannot be known, so it is not sent twice.
        log.exception("a gateway failed", extra={"message_id": str(message.id), "provider": message.provider})
        record(message, "UNKNOWN", at=timezone.now(), reply="error interno")
    else:
        _taken(message, receipt, at=timezone.now())


def hand_over(message: Message, gateway: Gateway, *, at: datetime) -> bool:
    """Marks the point of no return: still our claim, still wanted, still in time. False: somebody else decided."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH handed AS (
                UPDATE messaging_message
                SET handed_over_at = %(at)s, lease_until = %(lease)s, attempts = attempts + 1, provider = %(provider)s
                WHERE id = %(id)s AND claim_id = %(claim)s AND state = 'SENDING' AND handed_over_at IS NULL
                  AND (send_before IS NULL OR send_before > %(at)s)
                RETURNING id, attempts
            )
            INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
            SELECT id, %(at)s, 'SENDING', attempts, %(provider)s, '' FROM handed RETURNING attempt
            """,
            {
                "at": at, "lease": at + HAND_OVER_LEASE, "provider": gateway.name,
                "id": message.id, "claim": message.claim_id,
            },
        )  # fmt: skip
        row = cursor.fetchone()
    if row is None:
        return False
    message.attempts = row[0]
    return True


def outgoing(message: Message) -> Outgoing:
    """What a gateway gets to see of a message."""
    return Outgoing(
        id=message.id, kind=message.kind, via=message.via, recipient=message.recipient, subject=message.subject,
        text=message.text, html=message.html, send_before=message.send_before,
    )  # fmt: skip


def gateway_for(message: Message) -> Gateway:
    """The provider whose turn it is: the preferred one first, the next one at each retry. LookupError: none is set."""
    gateways = gateways_for(message.via)
    if not gateways:
        raise LookupError(message.via)
    return gateways[message.attempts % len(gateways)]


def _taken(message: Message, receipt: Receipt, *, at: datetime) -> None:
    record(message, "SENT", at=at, reply=receipt.reply, provider_id=receipt.provider_id)


def _refused(message: Message, refusal: GatewayError, *, at: datetime, delays: Sequence[timedelta]) -> None:
    if refusal.permanent or message.attempts > len(delays):
        record(message, "FAILED", at=at, reply=refusal.reply)
        return
    delay = delays[message.attempts - 1]
    if refusal.retry_after is not None:
        delay = max(delay, timedelta(seconds=refusal.retry_after))
    delay += delay * random.random() / 10  # noqa: S311  spreads retries, guards nothing
    record(message, "QUEUED", at=at, reply=refusal.reply, next_attempt_at=at + delay)


def record(
    message: Message,
    to: str,
    *,
    at: datetime,
    reply: str,
    provider_id: str = "",
    next_attempt_at: datetime | None = None,
) -> None:
    """Counts only for the claim that acted; a worker that wakes after its lease overwrites nothing."""
    moved = move(
        to,
        "id = %(id)s AND claim_id = %(claim)s",
        {
            "id": message.id, "claim": message.claim_id, "reply": reply[:300],
            "provider_id": provider_id[:200], "next": next_attempt_at or message.next_attempt_at,
        },
        at=at,
        detail=reply,
        also="provider_reply = %(reply)s, provider_id = %(provider_id)s, next_attempt_at = %(next)s",
    )  # fmt: skip
    extra = {"message_id": str(message.id), "state": to, "attempt": message.attempts, "via": message.via}
    if moved:
        log.info("message settled" if to != "QUEUED" else "message will be tried again", extra=extra)
    else:
        log.warning("an answer came after its claim had ended", extra=extra)
