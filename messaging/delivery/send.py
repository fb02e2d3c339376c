"""Delivery of due messages: claim, act, record.

A claim is one UPDATE that commits before anything else, with a lease and an id of its own. Just before the provider is
called, a second UPDATE marks the hand-over; zero rows mean that the message was lost to somebody else. The record is a
third UPDATE and counts only for the same claim. So a message is sent at least once up to the hand-over and at most once
after it, and a worker may die anywhere.
"""

import logging
import random
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from messaging.delivery import failover, receipts
from messaging.gateways import gateways_for
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt, Unsendable, can_reach
from messaging.models import Message
from messaging.queue import wakeup
from messaging.queue.names import BATCH, ORDER, QUEUE_OF, QUEUES
from messaging.queue.sealing import CannotUnseal, unseal
from messaging.queue.transitions import move, sent_together

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=5)
"""From the claim to the hand-over. What lapses goes back to the queue."""
HAND_OVER_LEASE = timedelta(seconds=30)
"""From the hand-over to the record; longer than any gateway's own deadline. What lapses becomes UNKNOWN."""
RETRY_DELAYS = (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=30))
"""Retry delays. After a temporary refusal a provider that was not asked yet is asked at once, then each in turn after
these delays. The refusal after the last delay is final."""
THROTTLED = timedelta(seconds=1)
"""Backoff for a provider that asks us to wait without saying how long."""


def one_after_another(batch: Sequence[Message]) -> None:
    for message in batch:
        deliver(message)


def deliver_due(
    queue: str, *, limit: int | None = None, send: Callable[[Sequence[Message]], None] = one_after_another
) -> int:
    """Send what is due in a queue, one batch (or `limit`) at most; a full batch wakes another worker.

    Returns how many were claimed. A worker passes its thread pool as `send` (`messaging.delivery.thread_pool`).
    """
    most = limit or BATCH[queue]
    batch = claim(queue, at=timezone.now(), limit=most)
    if len(batch) == most:
        wakeup.wake(queue)
    send(batch)
    return len(batch)


Answer = Receipt | GatewayError | OutcomeUnknown
"""Outcome of a call to a provider."""


class Sender(Protocol):
    """Gateway, or one kept connection of it."""

    def send(self, message: Outgoing, secret: str | None) -> Receipt: ...


def claim(queue: str, *, at: datetime, limit: int | None = None, gateway_queue: str = "") -> Sequence[Message]:
    """Claim up to a batch (or `limit`) of due messages for LEASE. No two workers get the same one.

    `gateway_queue`: those that wait for the process of one gateway (SMPP), not for any worker.
    """
    sql = f"""
        UPDATE messaging_message SET state = 'SENDING', claim_id = %(claim)s, lease_until = %(lease)s
        WHERE id = ANY (ARRAY(
            SELECT id FROM messaging_message
            WHERE state = 'QUEUED' AND {QUEUES[queue]} AND next_attempt_at <= %(at)s AND lane = %(gateway_queue)s
              AND (send_before IS NULL OR send_before > %(at)s)
            ORDER BY {ORDER[queue]} LIMIT {limit or BATCH[queue]:d} FOR UPDATE SKIP LOCKED
        )) RETURNING *
    """  # noqa: S608  all insertions are this module's constants
    params = {"claim": uuid.uuid4(), "lease": at + LEASE, "at": at, "gateway_queue": gateway_queue}
    return sorted(Message.objects.raw(sql, params), key=lambda message: (message.kind, message.next_attempt_at))


def deliver(message: Message) -> None:
    """Hand one claimed message to a provider and record the answer."""
    at = timezone.now()
    try:
        secret = unseal(bytes(message.sealed)) if message.sealed is not None else None
        gateway, call = failover.choose(gateways_for(message.via), message, at=at)
    except (failover.NoProvider, CannotUnseal) as fault:
        record(message, "FAILED", at=at, reply=type(fault).__name__)
        log.error("a message cannot be sent", extra={"message_id": str(message.id), "fault": type(fault).__name__})
        return
    except failover.NotNow as wait:
        give_back(message, at=at, due=at + timedelta(seconds=wait.seconds), detail="los proveedores están ocupados")
        return
    try:
        if gateway.own_process:
            give_back(message, at=at, due=at, detail=f"para {gateway.name}", gateway_queue=gateway.name)
        elif hand_over(message, gateway, at=timezone.now()):
            attempt(message, gateway, outgoing(message), secret, call, delays=RETRY_DELAYS)
        else:
            log.info("lost a claim before its hand-over", extra={"message_id": str(message.id)})
    finally:
        call.ended(failed=None)  # if nobody has said better


def attempt(
    message: Message,
    gateway: Sender,
    letter: Outgoing,
    secret: str | None,
    call: failover.Call,
    *,
    delays: Sequence[timedelta],
) -> None:
    """Call the provider with a message that was handed over, and record the outcome. A worker that was paused in
    between calls nobody with an expired code."""
    if letter.send_before is not None and timezone.now() >= letter.send_before:
        take_back(message, at=timezone.now())
        return
    answer = offer(message, gateway, letter, secret, call)
    try:
        note(message, answer, at=timezone.now(), delays=delays)
    except (OperationalError, InterfaceError):  # the session went while the provider was on the line
        close_old_connections()
        note(message, answer, at=timezone.now(), delays=delays)
    settle(message.provider, answer, at=timezone.now())


def note(message: Message, answer: Answer, *, at: datetime, delays: Sequence[timedelta]) -> None:
    """Record the outcome of one call. It counts for the message's claim only, so twice is once."""
    if isinstance(answer, Receipt):
        failover.took(message.provider)
        taken([(message, answer)], at=at)
    else:
        not_taken(message, answer, at=at, delays=delays)


def offer(message: Message, gateway: Sender, letter: Outgoing, secret: str | None, call: failover.Call) -> Answer:
    """The call itself. Nothing is raised: every outcome is an answer."""
    answer: Answer
    try:
        answer = gateway.send(letter, secret)
    except (GatewayError, OutcomeUnknown) as other:
        answer = other
    except Exception:
        # A fault of the gateway's own code: whether the message left cannot be known, so it is not sent twice.
        log.exception("a gateway failed", extra={"message_id": str(message.id), "provider": message.provider})
        answer = OutcomeUnknown("error interno")
    call.ended(failed=says_of_its_health(answer))
    return answer


def settle(provider: str, answer: Answer, *, at: datetime) -> None:
    """Effect of an answer on the provider's circuit. An open circuit closes by a message that is taken, not by a
    refusal."""
    if says_of_its_health(answer) is not None:
        failover.settle(provider, failed=not isinstance(answer, Receipt), at=at)


def says_of_its_health(answer: Answer) -> bool | None:
    """Whether the provider failed; None if the answer does not tell."""
    if isinstance(answer, Unsendable):
        return None
    if isinstance(answer, GatewayError):
        does_not_tell = answer.throttled or answer.about_recipient or answer.unsupported
        return None if does_not_tell else not answer.permanent
    return not isinstance(answer, Receipt)


def hand_over(message: Message, gateway: Gateway, *, at: datetime) -> bool:
    """Mark the hand-over: still our claim, still wanted, still in time. False: the message is no longer ours to
    send."""
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
                "at": at,
                "lease": at + HAND_OVER_LEASE,
                "provider": gateway.name,
                "id": message.id,
                "claim": message.claim_id,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return False
    message.attempts, message.provider = row[0], gateway.name
    return True


def give_back(message: Message, *, at: datetime, due: datetime, detail: str, gateway_queue: str = "") -> None:
    """Claimed, not handed over: back to the queue, or into the queue of a gateway with its own process."""
    move(
        "QUEUED",
        "id = %(id)s AND claim_id = %(claim)s AND handed_over_at IS NULL",
        {"id": message.id, "claim": message.claim_id, "due": due, "gateway_queue": gateway_queue},
        at=at,
        detail=detail,
        also="next_attempt_at = %(due)s, lane = %(gateway_queue)s",
    )


def take_back(message: Message, *, at: datetime, detail: str = "devuelto sin intentarlo") -> bool:
    """Claimed, or marked as handed over without a call: back to the common queue, due at once, without counting an
    attempt. False: the claim had ended."""
    moved = move(
        "QUEUED",
        "id = %(id)s AND claim_id = %(claim)s",
        {"id": message.id, "claim": message.claim_id},
        at=at,
        detail=detail,
        also="attempts = attempts - (handed_over_at IS NOT NULL)::int, lane = '', next_attempt_at = %(at)s",
    )
    return bool(moved)


def outgoing(message: Message) -> Outgoing:
    """The message as a gateway sees it."""
    return Outgoing(
        id=message.id,
        kind=message.kind,
        via=message.via,
        recipient=message.recipient,
        subject=message.subject,
        text=message.text,
        html=message.html,
        send_before=message.send_before,
    )


def taken(answers: Sequence[tuple[Message, Receipt]], *, at: datetime) -> None:
    """Providers took these messages of one claim. Receipts that came early are applied."""
    rows = [(message.id, receipt.provider_id, receipt.reply) for message, receipt in answers]
    moved = sent_together(answers[0][0].claim_id, rows, at=at) if answers else set()
    for message, _ in answers:
        _say(message, "SENT", message.id in moved)
    receipts.catch_up({message.id: (message.provider, receipt.provider_id) for message, receipt in answers}, at=at)


def not_taken(
    message: Message, answer: GatewayError | OutcomeUnknown, *, at: datetime, delays: Sequence[timedelta]
) -> None:
    """A provider did not take it: retry, with another provider if there is one, or fail; or the outcome is unknown."""
    if isinstance(answer, OutcomeUnknown):
        record(message, "UNKNOWN", at=at, reply=answer.reply)
        return
    if answer.permanent and not answer.unsupported and not isinstance(answer, Unsendable):
        failover.refused(message.provider, message.recipient)
    gateways = gateways_for(message.via)
    others = len(gateways) - 1
    if _is_final(message, answer, gateways, tries=len(delays) + others):
        record(message, "FAILED", at=at, reply=answer.reply)
        return
    delay = _delay(message, answer, others, delays)
    counted = not answer.throttled
    record(message, "QUEUED", at=at, reply=answer.reply, next_attempt_at=at + delay, counted=counted)
    if not delay:
        wakeup.wake(QUEUE_OF[message.kind])


def _is_final(message: Message, answer: GatewayError, gateways: Sequence[Gateway], *, tries: int) -> bool:
    """Whether a refusal is final: permanent, by the last provider left, or after the last delay."""
    if message.attempts > tries and not answer.throttled:
        return True
    if not answer.unsupported:
        return answer.permanent
    able = [gateway.name for gateway in gateways if can_reach(gateway, message.recipient)]
    asked_all = message.provider in able and message.attempts >= len(gateways)  # it is not about the recipient
    return not able or able == [message.provider] or asked_all


def _delay(message: Message, answer: GatewayError, others: int, delays: Sequence[timedelta]) -> timedelta:
    """Time until the next try. A provider that asked for a pause gets it."""
    asked = timedelta(seconds=answer.retry_after or 0)
    if answer.throttled:  # the others are asked at once; this one by nobody here until then
        wait = max(asked, THROTTLED)
        failover.rest(message.provider, wait.total_seconds())
        return timedelta(0) if others else wait
    if answer.unsupported:
        return timedelta(0)
    if message.attempts <= others:
        if not answer.about_recipient:
            failover.rest(message.provider, asked.total_seconds())
        return timedelta(0)
    delay = max(delays[message.attempts - 1 - others], asked)
    return delay + delay * random.random() / 10  # noqa: S311  spreads retries, guards nothing


def record(
    message: Message,
    to: str,
    *,
    at: datetime,
    reply: str,
    provider_id: str = "",
    next_attempt_at: datetime | None = None,
    counted: bool = True,
) -> None:
    """Counts only for the claim that acted: a worker that wakes after its lease overwrites nothing."""
    moved = move(
        to,
        "id = %(id)s AND claim_id = %(claim)s",
        {
            "id": message.id,
            "claim": message.claim_id,
            "reply": reply[:300],
            "provider_id": provider_id[:200],
            "next": next_attempt_at or message.next_attempt_at,
            "uncounted": 0 if counted else 1,
        },
        at=at,
        detail=reply,
        also="provider_reply = %(reply)s, provider_id = %(provider_id)s, next_attempt_at = %(next)s,"
        " lane = '', attempts = attempts - %(uncounted)s",
    )
    _say(message, to, bool(moved))


def _say(message: Message, to: str, moved: bool) -> None:
    extra = {"message_id": str(message.id), "state": to, "attempt": message.attempts, "via": message.via}
    if moved:
        log.info("message settled" if to != "QUEUED" else "message will be tried again", extra=extra)
    else:
        log.warning("an answer came after its claim had ended", extra=extra)
