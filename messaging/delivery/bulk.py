"""Delivery of bulletins and alerts: ten messages in a hand-over, a hundred over one kept connection.

The subscription of a client is checked at the hand-over, not when the message is made. So a baja or an unsubscription
stops queued messages without changing their rows.

Messages that were never tried are claimed and handed over by one statement. Those that it leaves in the queue (tried
before, no longer wanted, without a provider, of a test twin) are claimed first, as codes are.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import uuid4

from django.utils import timezone

from clients.postgresql import exchange
from clients.twins import is_twin
from messaging import sql
from messaging.campaigns import lifecycle, rendering
from messaging.campaigns.lifecycle import NEVER
from messaging.delivery import failover
from messaging.delivery.rows import from_rows
from messaging.delivery.send import (
    Answer,
    Sender,
    Taken,
    call_provider,
    catch_up,
    claim,
    give_back,
    hand_over_together,
    mark_sent,
    record,
    record_not_taken,
    report_result,
    take_back,
)
from messaging.gateways.base import Gateway, GatewayError, Receipt
from messaging.models import Campaign, Message
from messaging.queue import wakeup
from messaging.queue.names import BATCH
from messaging.queue.transitions import move
from messaging.sql import HAND_OVER_SIZE
from messaging.transitions_sql import CANCEL_SUPPRESSED, CANCEL_UNWANTED, GIVE_BACK_PAUSED
from messaging.twins.routing import gateways_of, gateways_of_bulletins

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
"""Lease of ten messages. Each takes up to the gateway's timeout of 20 s, and none begins after BATCH_TIMEOUT."""
BATCH_TIMEOUT = 60.0
"""Seconds after which the messages of a hand-over that have not begun go back to the queue."""
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120))


def deliver_due() -> int:
    """Claim and send a batch of due messages. A full batch wakes another worker. Returns how many were claimed."""
    count = 0
    with ExitStack() as kept:
        senders = _Senders(kept)
        bounced: set[int] = set()
        while count < BATCH["bulk"]:
            messages, gateway = _claim_and_hand_over(at=timezone.now())
            if gateway is not None:
                bounced |= _call_all(messages, gateway, senders.of(gateway))
            count += len(messages)
            if len(messages) < HAND_OVER_SIZE:
                others = claim("bulk", at=timezone.now())
                bounced |= _deliver_claimed(others, senders)
                count += len(others)
                break
    if count >= BATCH["bulk"]:
        wakeup.wake("bulk")
    else:
        lifecycle.refill(at=timezone.now())
    for campaign in Campaign.objects.filter(pk__in=bounced, state=Campaign.State.SENDING) if bounced else ():
        lifecycle.pause_if_unwanted(campaign, at=timezone.now())
    return count


class _Senders:
    """One connection to each provider for the whole batch, where the gateway can keep one; else the gateway itself."""

    def __init__(self, kept: ExitStack) -> None:
        self._kept = kept
        self._senders: dict[str, Sender] = {}

    def of(self, gateway: Gateway) -> Sender:
        if gateway.name not in self._senders:
            session = getattr(gateway, "session", None)
            self._senders[gateway.name] = self._kept.enter_context(session()) if session else gateway
        return self._senders[gateway.name]


def _claim_and_hand_over(*, at: datetime) -> tuple[list[Message], Gateway | None]:
    """Messages that were never tried, marked as handed over to this provider. None: no provider can be called now."""
    try:
        gateway, call = failover.choose_provider(gateways_of_bulletins(), None, at=at)
        call.ended(failed=None)  # each message is a call of its own
    except (failover.NoProvider, failover.NotNow):
        return [], None
    params = {"claim": uuid4(), "lease": at + LEASE, "at": at, "provider": gateway.name}
    (rows,) = exchange((sql.CLAIM_AND_HAND_OVER, params))
    return from_rows(rows), gateway


def _deliver_claimed(batch: Sequence[Message], senders: _Senders) -> set[int]:
    """Hand over and send messages of one claim. Returns the campaigns of those that bounced."""
    bounced: set[int] = set()
    for messages in _with_same_gateways(batch):
        for start in range(0, len(messages), HAND_OVER_SIZE):
            bounced |= _deliver_together(messages[start : start + HAND_OVER_SIZE], senders)
    return bounced


def _with_same_gateways(batch: Sequence[Message]) -> list[list[Message]]:
    """The messages of a claim, those of test twins apart. Twins get no campaign; should one, it must not leave."""
    return [[each for each in batch if is_twin(each.partner_id) is of_twins] for of_twins in (False, True)]


def _deliver_together(messages: Sequence[Message], senders: _Senders) -> set[int]:
    """Hand over and send messages. Returns the campaigns of those that bounced."""
    at = timezone.now()
    try:
        gateway, call = failover.choose_provider(gateways_of(messages[0]), messages[0], at=at)
        call.ended(failed=None)  # each message is a call of its own
    except failover.NoProvider:
        for message in messages:
            record(message, "FAILED", at=at, reply="no hay proveedor de correo")
        log.error("bulletins cannot be sent: EMAIL_URL is not set")
        return set()
    except failover.NotNow as wait:
        for message in messages:
            due = at + timedelta(seconds=wait.seconds)
            give_back(message, at=at, due=due, detail="los proveedores están ocupados")
        return set()
    handed = hand_over(messages, gateway, at=timezone.now())
    _release([message for message in messages if message not in handed], at=timezone.now())
    return _call_all(handed, gateway, senders.of(gateway))


def _call_all(messages: Sequence[Message], gateway: Gateway, sender: Sender) -> set[int]:
    """Send messages one by one over the kept connection. Those that are taken are recorded together.

    Returns the campaigns of those that bounced.
    """
    began = time.monotonic()
    names = rendering.names_for(messages)
    bounced: set[int] = set()
    were_taken: list[tuple[Message, Receipt]] = []
    mails = [rendering.render(each, names.get(each.authorized_client_id or 0, "")) for each in messages]
    announce = getattr(sender, "announce", None)
    for position, (message, outgoing) in enumerate(zip(messages, mails, strict=True), start=1):
        if announce is not None:
            announce(mails[position] if position < len(mails) else None)
        if time.monotonic() - began > BATCH_TIMEOUT:
            take_back(message, at=timezone.now())  # the ones before it took too long
            continue
        answer: Answer = call_provider(message, sender, outgoing, None, failover.begin(message.provider))
        if isinstance(answer, Receipt):
            failover.message_taken(message.provider)
            were_taken.append((message, answer))
        else:
            record_not_taken(message, answer, at=timezone.now(), delays=RETRY_DELAYS)
            report_result(message.provider, answer, at=timezone.now())
            if isinstance(answer, GatewayError) and answer.hard_bounce and message.campaign_id is not None:
                bounced.add(message.campaign_id)
    if were_taken:
        _record_taken(were_taken, gateway, at=timezone.now())
        report_result(were_taken[0][0].provider, were_taken[0][1], at=timezone.now())
    return bounced


def _record_taken(answers: Sequence[tuple[Message, Receipt]], gateway: Gateway, *, at: datetime) -> None:
    """Record messages that the provider took, with one line in the log for all of them."""
    taken = [Taken(message, receipt, at) for message, receipt in answers]
    moved = mark_sent(taken)
    settled = [str(message.id) for message, _ in answers if message.id in moved]
    if settled:
        log.info("messages settled", extra={"state": "SENT", "provider": gateway.name, "message_ids": settled})
    if getattr(gateway, "has_receipts", True):
        catch_up(taken)


def hand_over(messages: Sequence[Message], gateway: Gateway, *, at: datetime) -> list[Message]:
    """Mark the hand-over of messages of a claim whose client is still subscribed and whose campaign is sending."""
    return hand_over_together(messages, gateway, at=at, lease=LEASE, statement=sql.HAND_OVER_BULK)


def _release(messages: Sequence[Message], *, at: datetime) -> None:
    """Give up claimed messages that were not handed over: cancel those that are no longer wanted, queue the others."""
    if not messages:
        return
    params = {"ids": [message.id for message in messages], "claim": messages[0].claim_id, "never": NEVER}
    move("CANCELLED", CANCEL_SUPPRESSED, params, at=at, detail="su buzón está entre los que no reciben")
    move("CANCELLED", CANCEL_UNWANTED, params, at=at, detail="el cliente ya no lo recibe")
    move("QUEUED", GIVE_BACK_PAUSED, params, at=at, detail="campaña en pausa")
