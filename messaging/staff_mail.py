"""Mails to staff who forgot their password, by the gateways of bulletins and codes.

They are no messages to clients and have no rows: a row would keep a link that opens an account. A mail that no provider
takes is lost, and its user asks again.
"""

import logging
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.template.loader import render_to_string

from messaging.gateways import gateways_for
from messaging.gateways.base import GatewayError, OutcomeUnknown, Outgoing, can_reach
from staff import passwords

log = logging.getLogger(__name__)


def send_reset_links(*, at: datetime) -> int:
    """Send the waiting mails; return how many a provider took."""
    return sum(_send(user, at=at) for user in passwords.take())


def _send(user: User, *, at: datetime) -> bool:
    message = _mail_to(user, at=at)
    for gateway in gateways_for("C"):
        if not can_reach(gateway, user.email):
            continue
        try:
            gateway.send(message, None)
        except GatewayError as refusal:
            log.warning("a mail to staff was not taken", extra={"provider": gateway.name, "reply": refusal.reply[:300]})
        except OutcomeUnknown as doubt:
            log.warning("a mail to staff may be lost", extra={"provider": gateway.name, "reply": doubt.reply[:300]})
            return True
        else:
            return True
    log.error("no provider took a mail for a forgotten password", extra={"user": user.pk})
    return False


def _mail_to(user: User, *, at: datetime) -> Outgoing:
    lasts = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
    context = {
        "brand": settings.BRAND,
        "name": user.get_username(),
        "url": passwords.link_for(user),
        "minutes": lasts // timedelta(minutes=1),
    }
    return Outgoing(
        id=uuid4(),
        kind="suscripcion",  # as for a mail that its reader asked for: no advertising, no unsubscribing
        via="C",
        recipient=user.email,
        subject=f"Su contraseña de {settings.BRAND}",
        text=render_to_string("messages/clave_C.txt", context).strip(),
        html=render_to_string("messages/clave_C.html", context),
        send_before=at + lasts,
    )
