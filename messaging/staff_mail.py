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

from messaging.gateways.base import Outgoing
from messaging.unqueued_mail import hand_over
from staff import passwords

log = logging.getLogger(__name__)


def send_reset_links(*, at: datetime) -> int:
    """Send the waiting mails; return how many a provider took."""
    return sum(_send(user, at=at) for user in passwords.take())


def _send(user: User, *, at: datetime) -> bool:
    taken = hand_over(_mail_to(user, at=at), "forgotten password")
    if not taken:
        log.error("no provider took a mail for a forgotten password", extra={"user": user.pk})
    return taken


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
