"""Bounces at delivery: a refused recipient goes to the suppression list, and codes to a bounced mailbox stop."""

from datetime import datetime

from clients.twins import scope_of
from messaging.gateways.base import GatewayError
from messaging.models import Message, RecipientFeedback, Via
from messaging.suppression import feedback, listing

NOT_TRIED = "no se intentó: el buzón devuelve los correos"
"""`Message.provider_reply` of a code that was stopped, by which the diagnosis knows it."""


def refused(message: Message, answer: GatewayError, *, at: datetime) -> None:
    """Note that a provider refused the recipient of a mail for good. Nothing for the other vias."""
    if message.via == Via.EMAIL:
        kind = RecipientFeedback.Kind.HARD_BOUNCE if answer.hard_bounce else RecipientFeedback.Kind.FAILURE
        feedback.bounced(message.id, message.recipient, kind, partner=message.partner_id, detail=answer.reply, at=at)


def is_stopped(message: Message, *, at: datetime) -> bool:
    """Test whether a mail must not be sent because its mailbox bounced: only codes by mail ask, by an indexed look-up.

    Confirmation mails are stopped by nothing, and bulletins ask in their hand-over.
    """
    is_code_by_mail = message.via == Via.EMAIL and message.kind == Message.Kind.VERIFICATION
    if not is_code_by_mail:
        return False
    twin = scope_of(message.partner_id)
    return listing.code_stopped_until(message.recipient, twin=twin, at=at) is not None
