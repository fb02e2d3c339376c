"""Mails that have no row in the outbox, since they go to staff or partners: they are handed over at once."""

import logging

from messaging.gateways import gateways_for
from messaging.gateways.base import GatewayError, OutcomeUnknown, Outgoing, can_reach

log = logging.getLogger(__name__)


def hand_over(mail: Outgoing, purpose: str) -> bool:
    """Offer a mail to the gateways of mail in their order; whether one took it, or may have.

    `purpose` says in the log what the mail is for: its address is not written there.
    """
    for gateway in gateways_for("C"):
        if not can_reach(gateway, mail.recipient):
            continue
        about = {"provider": gateway.name, "purpose": purpose}
        try:
            gateway.send(mail, None)
        except GatewayError as refusal:
            log.warning("a mail was not taken", extra={**about, "reply": refusal.reply[:300]})
        except OutcomeUnknown as doubt:
            log.warning("a mail may be lost", extra={**about, "reply": doubt.reply[:300]})
            return True
        else:
            return True
    return False
