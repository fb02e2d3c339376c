"""Mail to a partner whose endpoint was paused, by the gateways of bulletins and codes.

It has no row in the outbox, which holds messages to clients. A mail that no provider takes is tried again each minute,
for a day.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.template.loader import render_to_string

from clients.uuid7 import uuid7
from messaging.gateways.base import Outgoing
from messaging.unqueued_mail import hand_over
from webhooks.models import Endpoint

log = logging.getLogger(__name__)

TRIED_FOR = timedelta(days=1)
BATCH = 10
"""Mails of one round."""


def send_due(*, at: datetime) -> int:
    """Send the mails of pauses that are due; return how many were taken."""
    taken = 0
    due = Endpoint.objects.filter(mail_due=True).select_related("partner").order_by("stopped_at")
    for endpoint in due[:BATCH]:
        is_taken = hand_over(_mail_about(endpoint, at=at), "paused webhook")
        too_late = endpoint.stopped_at is None or endpoint.stopped_at < at - TRIED_FOR
        if too_late and not is_taken:
            log.error("a mail of a paused webhook was not taken for a day", extra={"endpoint": str(endpoint.pk)})
        if is_taken or too_late:
            Endpoint.objects.filter(pk=endpoint.pk).update(mail_due=False)
        taken += is_taken
    return taken


def _mail_about(endpoint: Endpoint, *, at: datetime) -> Outgoing:
    context = {"brand": settings.BRAND, "endpoint": endpoint, "days": Endpoint.PAUSE_AFTER.days}
    return Outgoing(
        id=uuid7(),
        kind="suscripcion",  # as for a mail that its reader asked for: no advertising, no unsubscribing
        via="C",
        recipient=endpoint.email,
        subject="Su webhook está en pausa",
        text=render_to_string("messages/webhook_pausado_C.txt", context).strip(),
        html=render_to_string("messages/webhook_pausado_C.html", context),
        send_before=at + TRIED_FOR,
    )
