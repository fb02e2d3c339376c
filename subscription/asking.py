"""Asking for a confirmation link. Nobody learns here whether an address is authorised: not by words, not by time.

An address that is not authorised, or that asked too often, gets the same statements in the same order, the same
rendering and sealing and the same ring; only the end is a ROLLBACK in place of a COMMIT. That COMMIT does not wait for
the disk: what a crash within half a second may lose is a link, and its reader asks for another. Measured, 2,500 calls
of each mixed: an authorised one took longer than another in 50.6 % of pairs (a coin's 50, give or take 0.8; 0.03 ms
between the fastest tenths). With a COMMIT that waits it was 76 %.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string

from clients.client_ip import limiting_key
from clients.email_subscriptions import subscribable
from clients.identity.emails import canonical_email
from clients.identity.names import nfc
from clients.models import AuthorizedClient
from clients.rate_limits import counters
from messaging.gateways.base import MASK
from messaging.models import Message, Via
from messaging.queue import outbox, wakeup
from messaging.queue.names import QUEUE_OF
from subscription.links import confirmation_token, confirmation_url
from subscription.models import LIFE, SubscriptionRequest

PER_CALLER = 60
"""Asked in an hour from one address: a mobile operator puts many customers behind one."""
PER_MAILBOX = 3
"""Mails in an hour to one mailbox: whoever lost two finds the third; nobody is flooded by a stranger."""
LEAST_LIFE = timedelta(hours=1)
"""A link that would arrive with less than this is not sent."""


def is_available() -> bool:
    """Without a gateway for e-mail nobody could be sent a link."""
    return bool(settings.AVAL_GATEWAYS[Via.EMAIL])


def count_caller(address: str) -> int:
    """Counts one attempt; 0, or the seconds the caller must wait."""
    return counters.hit_hour(f"subscribe:a{limiting_key(address)}", PER_CALLER)


def mended(typed: str) -> str:
    """The address somebody meant: keyboards and pasting add blanks. Raises clients.identity.emails.InvalidEmail."""
    return canonical_email("".join(nfc(typed).split()))


def ask(email: str, *, address: str, at: datetime) -> None:
    """Mails a link to an authorised address, PER_MAILBOX an hour at most. Returns the same whatever it did."""
    asked_too_often = _count_mailbox(email) > 0
    with transaction.atomic():
        _do_not_wait_for_the_disk()
        companies = list(_companies(email, at=at))
        request = SubscriptionRequest.objects.create(
            email=email, requested_at=at, expires_at=at + LIFE, address=address
        )
        _enqueue(request, companies)
        in_vain = asked_too_often or not companies
        transaction.set_rollback(in_vain)
    if in_vain:
        wakeup.wake(QUEUE_OF[Message.Kind.SUBSCRIPTION])  # a rollback drops the message's own ring


def _companies(email: str, *, at: datetime) -> QuerySet[AuthorizedClient, str]:
    return subscribable(email, asked_at=at).order_by("partner__name").values_list("partner__name", flat=True)


def _count_mailbox(email: str) -> int:
    digest = hashlib.sha256(email.encode()).hexdigest()[:32]  # no mailbox of a stranger in Redis
    return counters.hit_hour(f"subscribe:m{digest}", PER_MAILBOX)


def _do_not_wait_for_the_disk() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")


def _enqueue(request: SubscriptionRequest, companies: Sequence[str]) -> None:
    context = {"brand": settings.BRAND, "companies": companies, "url": confirmation_url(MASK)}
    outbox.enqueue(
        kind=Message.Kind.SUBSCRIPTION,
        via=Via.EMAIL,
        recipient=request.email,
        subject=f"{settings.BRAND}: confirma tu suscripción",
        text=render_to_string("messages/suscripcion_C.txt", context).strip(),
        html=render_to_string("messages/suscripcion_C.html", context),
        secret=confirmation_token(request.pk),
        reference=request.pk,
        send_before=request.expires_at - LEAST_LIFE,
        at=request.requested_at,
    )
