"""Channel fallback: send the same code by the next via when the first one failed or its provider did not answer.

Settings SMS_FALLBACK and WHATSAPP_FALLBACK; off by default. The second message belongs to the request that was
accepted: it takes no rung, ends with the same code, and `fallback_for` names the message it replaces. There is none
after the code was answered, cancelled or replaced, none with less time left than any code is sent with, and at most one
for each message. It counts against the daily caps; where one is reached, nothing is sent.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from clients import request_id
from clients.models import Applicant, Partner
from messaging import caps
from messaging.models import Message, Via
from messaging.queue import channel_fallback, outbox
from messaging.queue.channel_fallback import Overdue
from messaging.queue.sealing import CannotUnseal, unseal
from messaging.twins.recipients import Case, case_of
from tokens import texts
from tokens.models import VerificationToken

log = logging.getLogger(__name__)


_OF_TWINS = {Via.WHATSAPP.value: (Via.SMS.value, 30)}
"""As AVAL_FALLBACK, for a test twin's recipients that have no WhatsApp, where that setting says nothing."""


def next_via(via: str, partner: Partner | None, recipient: str) -> str | None:
    """Return the via that a code of this via, to this recipient of the partner, falls back to; None where there is
    none."""
    target = settings.AVAL_FALLBACK.get(via)
    if target is None and partner is not None and partner.is_twin and case_of(recipient) is Case.NOT_ON_WHATSAPP:
        target = _OF_TWINS.get(via)
    return target[0] if target and settings.AVAL_GATEWAYS[target[0]] else None


def sweep(*, twin: int | None = None, at: datetime) -> int:
    """Start the fallbacks that are due, of one test twin or of all partners; return how many."""
    started = 0
    for via, target in settings.AVAL_FALLBACK.items():
        wait = (target or _OF_TWINS.get(via, ("", 0)))[1]
        if not wait:
            continue
        for message in channel_fallback.overdue(via, timedelta(seconds=wait), partner=twin, at=at):
            started += _start(message, at=at)
    return started


def _start(message: Overdue, *, at: datetime) -> bool:
    """Reserve one more message, which counts against the caps of its partner and of the installation like any other."""
    wanted = ("credential_id", "request_id", "trace_id", "partner", "recipient")
    origin = Message.objects.select_related("partner").only(*wanted).get(pk=message.id)
    partner = origin.partner
    target = next_via(message.via, partner, origin.recipient)
    if target is None:
        channel_fallback.take_over(message.id)  # deletes the seal: it must not be used any more
        return False
    try:
        put_back = caps.reserve(
            target, caller=caps.key_of_partner(partner.pk) if partner else "fallback", partner=partner, at=at
        )
    except caps.CapReached:
        channel_fallback.take_over(message.id)  # deletes the seal: the next sweep need not try again
        return False
    started = False
    try:
        with request_id.resumed(origin.trace_id):
            started = _enqueue(message, origin, target, at=at)
    finally:
        if not started:
            put_back()
    return started


def _enqueue(message: Overdue, origin: Message, target: str, *, at: datetime) -> bool:
    """Enqueue the message, under the applicant's lock like every act on their codes."""
    with transaction.atomic():
        token = _locked(message.reference)
        live = token is not None and token.outcome == VerificationToken.Outcome.PENDING and not token.is_expired(at=at)
        taken = channel_fallback.take_over(message.id)
        if taken is None or token is None or not live or at >= taken.send_before:
            return False  # the seal is deleted all the same: it must not be used any more
        try:
            secret = unseal(taken.sealed)
        except CannotUnseal:
            log.error("a fallback's seal is of another key", extra={"message_id": str(message.id)})
            return False
        text = texts.compose(target, origin.partner)
        outbox.enqueue(
            kind=Message.Kind.VERIFICATION,
            via=target,
            recipient=taken.recipient,
            subject=text.subject,
            text=text.text,
            html=text.html,
            secret=secret,
            reference=token.pk,
            send_before=taken.send_before,
            keep_secret=next_via(target, origin.partner, taken.recipient) is not None,
            fallback_for=message.id,
            partner=origin.partner,
            credential=origin.credential,
            request_id=origin.request_id,
            at=at,
        )
    log.info("fallback", extra={"message_id": str(message.id), "from": message.via, "to": target})
    return True


def _locked(token_id: UUID) -> VerificationToken | None:
    """Return the token after locking its applicant: the order of locks everywhere."""
    applicant = VerificationToken.objects.filter(pk=token_id).values_list("applicant_id", flat=True).first()
    if applicant is None or not Applicant.objects.select_for_update(no_key=True).filter(pk=applicant).exists():
        return None
    return VerificationToken.objects.get(pk=token_id)
