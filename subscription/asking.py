"""Requests for a link, to confirm or to see one's subscriptions. They do not reveal whether an address is authorised:
neither by text nor by time.

An address that is not authorised, or that asked too often, gets the same statements in the same order, the same
rendering and sealing and the same wake-up; only the end is a ROLLBACK in place of a COMMIT. That COMMIT does not wait
for the disk: a crash may lose the links of the last half second, and their readers ask again. Measured, 2,500 calls of
each mixed: an authorised one took longer than another in 50.6 % of pairs (a coin's 50, give or take 0.8; 0.03 ms
between the fastest tenths). With a COMMIT that waits it was 76 %.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

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
from subscription import sql
from subscription.links import confirmation_token, confirmation_url, managing_token, managing_url
from subscription.models import LINK_LIFETIME, SubscriptionRequest

Purpose = SubscriptionRequest.Purpose

REQUESTS_PER_ADDRESS = 60
"""Requests an hour from one address: a mobile operator puts many customers behind one."""
MAILS_PER_MAILBOX = 3
"""Mails an hour to one mailbox: a client who lost two gets a third, and no stranger can flood a mailbox."""
MIN_TIME_LEFT = timedelta(hours=1)
"""A link that would arrive with less than this left is not sent."""


def is_available() -> bool:
    """True where there is a gateway for e-mail: without one no link could be sent."""
    return bool(settings.AVAL_GATEWAYS[Via.EMAIL])


def count_caller(address: str) -> int:
    """Count one attempt; return 0, or the seconds the caller must wait."""
    return counters.hit_hour(f"subscribe:a{limiting_key(address)}", REQUESTS_PER_ADDRESS)


def canonical_typed(typed: str) -> str:
    """Return the canonical address without the blanks that keyboards and pasting add. Raises InvalidEmail."""
    return canonical_email("".join(nfc(typed).split()))


def ask(email: str, *, purpose: str = Purpose.CONFIRM, address: str, at: datetime) -> None:
    """Mail a link to an authorised address, at most MAILS_PER_MAILBOX an hour over both purposes.

    Returns the same in every case.
    """
    asked_too_often = _count_mailbox(email) > 0
    with transaction.atomic():
        _commit_asynchronously()
        partners = list(_partner_names(email, at=at))
        request = SubscriptionRequest.objects.create(
            purpose=purpose, email=email, requested_at=at, expires_at=at + LINK_LIFETIME, address=address
        )
        _enqueue(request, partners)
        discard = asked_too_often or not partners
        transaction.set_rollback(discard)
    if discard:
        wakeup.wake(QUEUE_OF[Message.Kind.SUBSCRIPTION])  # a rollback drops the message's own wake-up


def _partner_names(email: str, *, at: datetime) -> QuerySet[AuthorizedClient, str]:
    """The same for both purposes: a person who is authorised may see that they have no subscription."""
    return subscribable(email, asked_at=at).order_by("partner__name").values_list("partner__name", flat=True)


def _count_mailbox(email: str) -> int:
    digest = hashlib.sha256(email.encode()).hexdigest()[:32]  # no mailbox of a stranger in Redis
    return counters.hit_hour(f"subscribe:m{digest}", MAILS_PER_MAILBOX)


def _commit_asynchronously() -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.COMMIT_ASYNCHRONOUSLY)


@dataclass(frozen=True)
class _Letter:
    """The mail that carries a link."""

    template: str
    subject: str
    url: Callable[[str], str]
    token: Callable[[UUID], str]


_LETTERS = {
    Purpose.CONFIRM: _Letter("suscripcion_C", "confirma tu suscripción", confirmation_url, confirmation_token),
    Purpose.MANAGE: _Letter("suscripciones_C", "tus suscripciones", managing_url, managing_token),
}


def _enqueue(request: SubscriptionRequest, partners: Sequence[str]) -> None:
    letter = _LETTERS[Purpose(request.purpose)]
    context = {"brand": settings.BRAND, "partners": partners, "url": letter.url(MASK)}
    outbox.enqueue(
        kind=Message.Kind.SUBSCRIPTION,
        via=Via.EMAIL,
        recipient=request.email,
        subject=f"{settings.BRAND}: {letter.subject}",
        text=render_to_string(f"messages/{letter.template}.txt", context).strip(),
        html=render_to_string(f"messages/{letter.template}.html", context),
        secret=letter.token(request.pk),
        reference=request.pk,
        send_before=request.expires_at - MIN_TIME_LEFT,
        at=request.requested_at,
    )
