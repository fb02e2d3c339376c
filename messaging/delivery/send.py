"""Delivery of due messages in three steps: claim, hand over to the provider, record the answer.

A claim is one UPDATE that commits first, with a lease and an id of its own. A second UPDATE marks the hand-over just
before the provider is called; a worker that finds zero rows there has lost the message and skips it. The record is a
third UPDATE and counts only for the same claim. So a message is sent at least once up to the hand-over and at most once
after it, and a worker may be killed at any point.
"""

import logging
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from clients import request_id, spans
from clients.postgresql import exchange
from messaging import sql, transitions_sql
from messaging.delivery import failover, mail_bounces, receipts
from messaging.delivery.rows import from_rows
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt, Unsendable, can_reach
from messaging.models import Message
from messaging.queue import wakeup
from messaging.queue.names import BATCH, QUEUE_OF
from messaging.queue.sealing import CannotUnseal, unseal
from messaging.queue.transitions import Sent, move, sent_together
from messaging.twins.routing import gateways_of

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=5)
"""Time from the claim to the hand-over. A message whose lease lapses goes back to the queue."""
HAND_OVER_LEASE = timedelta(seconds=30)
"""Time from the hand-over to the record; longer than any gateway's timeout. A message whose lease lapses is UNKNOWN."""
RETRY_DELAYS = (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=30))
"""Delays after temporary refusals. Providers that were not tried yet are tried at once; then they are tried in turn
after these delays. The refusal after the last delay is final."""
THROTTLE_PAUSE = timedelta(seconds=1)
"""Pause for a provider that throttles us without saying for how long."""


def deliver_one_by_one(batch: Sequence[Message]) -> None:
    for message in batch:
        deliver(message)


def deliver_due(
    queue: str, *, limit: int | None = None, send: Callable[[Sequence[Message]], None] = deliver_one_by_one
) -> int:
    """Claim and send due messages, one batch (or `limit`) at most. A full batch wakes another worker.

    Returns how many were claimed. A worker for codes passes a `send` that uses its `messaging.delivery.thread_pool`.
    """
    most = limit or BATCH[queue]
    batch = claim(queue, at=timezone.now(), limit=most)
    if len(batch) == most:
        wakeup.wake_another(queue)
    send(batch)
    return len(batch)


Answer = Receipt | GatewayError | OutcomeUnknown
"""The result of a call to a provider."""


class Sender(Protocol):
    """Gateway, or one kept connection of it."""

    def send(self, message: Outgoing, secret: str | None) -> Receipt: ...


def claim(queue: str, *, at: datetime, limit: int | None = None, gateway_queue: str = "") -> Sequence[Message]:
    """Take up to a batch (or `limit`) of due messages for LEASE. No two workers get the same message.

    `gateway_queue`: messages for the process of this gateway (SMPP) instead of those for any worker.
    """
    params = {"claim": uuid.uuid4(), "lease": at + LEASE, "at": at, "gateway_queue": gateway_queue}
    (rows,) = exchange((sql.CLAIM[queue, limit or BATCH[queue]], params))
    return from_rows(rows)


@dataclass(frozen=True)
class Prepared:
    """A claimed message and the provider chosen for it, of which `call` holds a slot until it is ended."""

    message: Message
    gateway: Gateway
    secret: str | None
    call: failover.Call


def deliver(message: Message) -> None:
    """Send one claimed message by the provider that failover chooses, and record the answer."""
    prepared = prepare(message)
    if prepared is None:
        return
    try:
        for each in hand_over_all([prepared]):
            answer = call_in_time(each)
            if answer is not None:
                record_and_report(message, answer)
    finally:
        prepared.call.ended(failed=None)  # no effect where the answer has ended it already


def prepare(message: Message) -> Prepared | None:
    """Choose a provider for a claimed message. None: there is none for it now, which is recorded."""
    at = timezone.now()
    if mail_bounces.is_stopped(message, at=at):
        record(message, "FAILED", at=at, reply=mail_bounces.NOT_TRIED)
        return None
    try:
        secret = unseal(bytes(message.sealed)) if message.sealed is not None else None
        gateway, call = failover.choose_provider(gateways_of(message), message, at=at)
    except (failover.NoProvider, CannotUnseal) as fault:
        record(message, "FAILED", at=at, reply=type(fault).__name__)
        log.error("a message cannot be sent", extra={**message.log_fields, "fault": type(fault).__name__})
        return None
    except failover.NotNow as wait:
        give_back(message, at=at, due=at + timedelta(seconds=wait.seconds), detail="los proveedores están ocupados")
        return None
    if gateway.own_process:
        call.ended(failed=None)
        give_back(message, at=at, due=at, detail=f"para {gateway.name}", gateway_queue=gateway.name)
        return None
    return Prepared(message, gateway, secret, call)


def hand_over_all(batch: Sequence[Prepared]) -> list[Prepared]:
    """Mark the hand-over of messages of one claim, by one statement for each provider. Returns those that are marked;
    the caller ends the calls of the others."""
    handed: list[Prepared] = []
    for gateway in {each.gateway.name: each.gateway for each in batch}.values():
        chosen = {each.message.id: each for each in batch if each.gateway.name == gateway.name}
        messages = [each.message for each in chosen.values()]
        marked = hand_over_together(
            messages, gateway, at=timezone.now(), lease=HAND_OVER_LEASE, statement=sql.HAND_OVER_CODE
        )
        handed += [chosen.pop(message.id) for message in marked]
        for lost in chosen.values():
            log.info("lost a claim before its hand-over", extra=lost.message.log_fields)
    return handed


def call_in_time(prepared: Prepared) -> Answer | None:
    """Call the provider for a message that is handed over.

    None: the message expired in between (on a machine that was paused), so it is taken back and not sent.
    """
    message = prepared.message
    if message.send_before is not None and timezone.now() >= message.send_before:
        take_back(message, at=timezone.now())
        return None
    return call_provider(message, prepared.gateway, to_outgoing(message), prepared.secret, prepared.call)


def record_and_report(message: Message, answer: Answer) -> None:
    """Record the answer to one call, and report it to the circuit breaker of its provider."""
    with_new_connection_if_broken(lambda: record_answer(message, answer, at=timezone.now(), delays=RETRY_DELAYS))
    report_result(message.provider, answer, at=timezone.now())


def with_new_connection_if_broken(record: Callable[[], None]) -> None:
    """Run `record`, which is idempotent, and again over a new connection if the one to the database broke during a
    call to a provider."""
    try:
        record()
    except (OperationalError, InterfaceError):
        close_old_connections()
        record()


def record_answer(message: Message, answer: Answer, *, at: datetime, delays: Sequence[timedelta]) -> None:
    """Record the answer to one call. Idempotent, because it counts only for the message's claim."""
    if isinstance(answer, Receipt):
        failover.message_taken(message.provider)
        record_taken([(message, answer)], at=at)
    else:
        record_not_taken(message, answer, at=at, delays=delays)


def call_provider(
    message: Message, gateway: Sender, outgoing: Outgoing, secret: str | None, call: failover.Call
) -> Answer:
    """Call the provider. Raises nothing: every error becomes an answer."""
    answer: Answer
    try:
        with request_id.resumed(message.trace_id), spans.around_call(message.pk, message.provider, message.via):
            answer = gateway.send(outgoing, secret)
    except (GatewayError, OutcomeUnknown) as other:
        answer = other
    except Exception:
        # A bug in the gateway: the message may have left, so it must not be sent twice.
        log.exception("a gateway failed", extra={**message.log_fields, "provider": message.provider})
        answer = OutcomeUnknown("error interno")
    call.ended(failed=answer.provider_failed)
    return answer


def report_result(provider: str, answer: Answer, *, at: datetime) -> None:
    """Report an answer to the provider's circuit breaker. Only a message taken closes a circuit, not a refusal."""
    if answer.provider_failed is not None:
        failover.report_result(provider, failed=not isinstance(answer, Receipt), at=at)


def hand_over(message: Message, gateway: Gateway, *, at: datetime) -> bool:
    """Mark the hand-over of one message. False: the claim has ended, or the message was cancelled or has expired."""
    return bool(hand_over_together([message], gateway, at=at, lease=HAND_OVER_LEASE, statement=sql.HAND_OVER_CODE))


def hand_over_together(
    messages: Sequence[Message], gateway: Gateway, *, at: datetime, lease: timedelta, statement: str
) -> list[Message]:
    """Mark the hand-over of messages of one claim that are still ours, by a statement `sql.HAND_OVER_...`.

    Returns those that are handed over, with their `attempts` and `provider` updated.
    """
    params: dict[str, Any] = {
        "at": at,
        "lease": at + lease,
        "provider": gateway.name,
        "ids": [message.id for message in messages],
        "claim": messages[0].claim_id,
    }
    (rows,) = exchange((statement, params))
    attempts: dict[uuid.UUID, int] = dict(rows)
    handed = [message for message in messages if message.id in attempts]
    for message in handed:
        message.attempts, message.provider = attempts[message.id], gateway.name
    return handed


def give_back(message: Message, *, at: datetime, due: datetime, detail: str, gateway_queue: str = "") -> None:
    """Return a message that is claimed but not handed over: to the queue, or to that of a gateway's own process."""
    move(
        "QUEUED",
        transitions_sql.GIVE_BACK,
        {"id": message.id, "claim": message.claim_id, "due": due, "gateway_queue": gateway_queue},
        at=at,
        detail=detail,
    )


def take_back(message: Message, *, at: datetime, detail: str = "devuelto sin intentarlo") -> bool:
    """Return a message for which no provider was called to the queue of all workers, due at once, without losing an
    attempt, whether or not it is marked as handed over. False: the claim had ended."""
    params = {"id": message.id, "claim": message.claim_id}
    return bool(move("QUEUED", transitions_sql.TAKE_BACK, params, at=at, detail=detail))


def to_outgoing(message: Message) -> Outgoing:
    """The part of a message that a gateway sees."""
    return Outgoing(
        id=message.id,
        kind=message.kind,
        via=message.via,
        recipient=message.recipient,
        subject=message.subject,
        text=message.text,
        html=message.html,
        send_before=message.send_before,
        sender_name=message.partner.brand if message.via == "C" and message.partner else "",
    )


@dataclass(frozen=True)
class Taken:
    """A message that a provider took, and when."""

    message: Message
    receipt: Receipt
    at: datetime


def record_taken(answers: Sequence[tuple[Message, Receipt]], *, at: datetime) -> None:
    """Record messages that a provider took at one moment."""
    record_all_taken([Taken(message, receipt, at) for message, receipt in answers])


def record_all_taken(batch: Sequence[Taken]) -> None:
    """Record messages that providers took, of any claims, and apply receipts that arrived before this record."""
    if not batch:
        return
    moved = mark_sent(batch)
    for each in batch:
        if each.message.id in moved:
            _log_outcome(each.message, "SENT", moved=True)
    catch_up(batch)


def mark_sent(batch: Sequence[Taken]) -> set[uuid.UUID]:
    """Move messages to SENT; returns the ids of those that moved. The others are logged: their claim had ended."""
    moved = sent_together(
        [
            Sent(each.message.id, each.message.claim_id, each.receipt.provider_id, each.receipt.reply, each.at)
            for each in batch
        ]
    )
    for each in batch:
        if each.message.id not in moved:
            _log_outcome(each.message, "SENT", moved=False)
    return moved


def catch_up(batch: Sequence[Taken]) -> None:
    """Apply receipts that arrived before these messages were recorded."""
    named = {each.message.id: (each.message.provider, each.receipt.provider_id) for each in batch}
    receipts.catch_up(named, at=max(each.at for each in batch))


def record_not_taken(
    message: Message, answer: GatewayError | OutcomeUnknown, *, at: datetime, delays: Sequence[timedelta]
) -> None:
    """Record a refusal or an unclear answer: FAILED, UNKNOWN, or QUEUED again, for another provider if there is one."""
    if isinstance(answer, OutcomeUnknown):
        record(message, "UNKNOWN", at=at, reply=answer.reply)
        return
    if answer.permanent and not answer.unsupported and not isinstance(answer, Unsendable):
        failover.recipient_refused(message.provider, message.recipient)
        mail_bounces.refused(message, answer, at=at)
    gateways = gateways_of(message)
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
    """Test whether a refusal is final: permanent, from the last provider that can send it, or after the last delay."""
    if message.attempts > tries and not answer.throttled:
        return True
    if not answer.unsupported:
        return answer.permanent
    able = [gateway.name for gateway in gateways if can_reach(gateway, message.recipient)]
    asked_all = message.provider in able and message.attempts >= len(gateways)  # it is not about the recipient
    return not able or able == [message.provider] or asked_all


def _delay(message: Message, answer: GatewayError, others: int, delays: Sequence[timedelta]) -> timedelta:
    """Delay until the next attempt. A provider that asked for a pause is paused."""
    asked = timedelta(seconds=answer.retry_after or 0)
    if answer.throttled:  # other providers are tried at once, this one not before the pause ends
        wait = max(asked, THROTTLE_PAUSE)
        failover.back_off(message.provider, wait.total_seconds())
        return timedelta(0) if others else wait
    if answer.unsupported:
        return timedelta(0)
    if message.attempts <= others:
        if not answer.about_recipient:
            failover.back_off(message.provider, asked.total_seconds())
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
    """Record a state. Counts only for the same claim, so a worker that resumes after its lease overwrites nothing."""
    moved = move(
        to,
        transitions_sql.RECORD,
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
    )
    _log_outcome(message, to, bool(moved))


def _log_outcome(message: Message, to: str, moved: bool) -> None:
    extra = {**message.log_fields, "state": to, "attempt": message.attempts, "via": message.via}
    if moved:
        log.info("message settled" if to != "QUEUED" else "message will be tried again", extra=extra)
    else:
        log.warning("an answer came after its claim had ended", extra=extra)
