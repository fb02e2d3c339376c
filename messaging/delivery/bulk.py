"""Delivery of bulletins and alerts: a hundred messages in a claim, ten in a hand-over, over one kept connection.

The subscription of a client is checked at the hand-over, not when the message is made. So a baja or an unsubscription
stops queued messages without changing their rows.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta

from django.utils import timezone

from clients.twins import is_twin
from messaging import sql
from messaging.campaigns import lifecycle, rendering
from messaging.campaigns.lifecycle import NEVER
from messaging.delivery import failover
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
from messaging.transitions_sql import CANCEL_SUPPRESSED, CANCEL_UNWANTED, GIVE_BACK_PAUSED
from messaging.twins.routing import gateways_of

log = logging.getLogger(__name__)

HAND_OVER_SIZE = 10
"""Messages in one hand-over, and so the most that a killed worker leaves UNKNOWN."""
LEASE = timedelta(seconds=90)
"""Lease of ten messages. Each takes up to the gateway's timeout of 20 s, and none begins after BATCH_TIMEOUT."""
BATCH_TIMEOUT = 60.0
"""Seconds after which the messages of a hand-over that have not begun go back to the queue."""
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120))


def deliver_due() -> int:
    """Claim and send a batch of due messages. A full batch wakes another worker. Returns how many were claimed."""
    batch = claim("bulk", at=timezone.now())
    if len(batch) == BATCH["bulk"]:
        wakeup.wake("bulk")
    else:
        lifecycle.refill(at=timezone.now())
    with ExitStack() as kept:
        senders: dict[str, Sender] = {}
        bounced: set[int] = set()
        for messages in _with_same_gateways(batch):
            for start in range(0, len(messages), HAND_OVER_SIZE):
                bounced |= _deliver_together(messages[start : start + HAND_OVER_SIZE], senders, kept)
    for campaign in Campaign.objects.filter(pk__in=bounced, state=Campaign.State.SENDING) if bounced else ():
        lifecycle.pause_if_unwanted(campaign, at=timezone.now())
    return len(batch)


def _with_same_gateways(batch: Sequence[Message]) -> list[list[Message]]:
    """The messages of a claim, those of test twins apart. Twins get no campaign; should one, it must not leave."""
    return [[each for each in batch if is_twin(each.partner_id) is of_twins] for of_twins in (False, True)]


def _deliver_together(messages: Sequence[Message], senders: dict[str, Sender], kept: ExitStack) -> set[int]:
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
    if gateway.name not in senders:
        senders[gateway.name] = _kept_connection(gateway, kept)
    handed = hand_over(messages, gateway, at=timezone.now())
    _release([message for message in messages if message not in handed], at=timezone.now())
    return _call_all(handed, gateway, senders[gateway.name])


def _call_all(messages: Sequence[Message], gateway: Gateway, sender: Sender) -> set[int]:
    """Send messages one by one over the kept connection. Those that are taken are recorded together.

    Returns the campaigns of those that bounced.
    """
    began = time.monotonic()
    names = rendering.names_for(messages)
    bounced: set[int] = set()
    were_taken: list[tuple[Message, Receipt]] = []
    for message in messages:
        if time.monotonic() - began > BATCH_TIMEOUT:
            take_back(message, at=timezone.now())  # the ones before it took too long
            continue
        outgoing = rendering.render(message, names.get(message.authorized_client_id or 0, ""))
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


def _kept_connection(gateway: Gateway, kept: ExitStack) -> Sender:
    """One connection for the whole batch, where the gateway can keep one; else the gateway itself."""
    session = getattr(gateway, "session", None)
    sender: Sender = kept.enter_context(session()) if session else gateway
    return sender
