"""Confirmation links: their offer, and the confirmation, once and for exactly the partners and the text shown."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare

from clients.email_subscriptions import subscribable, subscribe
from clients.models import AuthorizedClient
from messaging.suppression import listing
from subscription.consent import Consent, Offer, consent_to
from subscription.errors import TextHasChanged, UnusableLink
from subscription.links import request_of
from subscription.models import ConsentRecord, SubscriptionRequest


def offer(token: str, *, at: datetime) -> Offer:
    """Return what the link's page shows. Changes nothing, however often mail scanners fetch it. Raises UnusableLink."""
    request = SubscriptionRequest.objects.filter(pk=request_of(token)).first()
    if request is None or not request.is_open(at=at):
        raise UnusableLink
    clients = subscribable(request.email, asked_at=request.requested_at)
    return _offer(request, list(clients.select_related("partner")))


def confirm(token: str, *, digest: str, address: str, at: datetime) -> Offer:
    """Subscribe the address to every partner offered and record the consent to each.

    `digest` is that of the text the person read. Of parallel calls one wins, by row count; an error leaves the link as
    it was. Raises UnusableLink, TextHasChanged.
    """
    request_id = request_of(token)
    with transaction.atomic():
        unused = SubscriptionRequest.objects.filter(pk=request_id, used_at__isnull=True, expires_at__gte=at)
        if not unused.update(used_at=at):
            raise UnusableLink
        request = SubscriptionRequest.objects.get(pk=request_id)
        found = subscribable(request.email, asked_at=request.requested_at).select_related("partner").order_by("pk")
        clients = list(found.select_for_update(of=("self",), no_key=True))
        offered = _offer(request, clients)
        if not constant_time_compare(digest, offered.consent.digest):
            raise TextHasChanged(offered)
        subscribe(clients, at=at)
        listing.lift_for_subscription(request.email, [client.partner_id for client in clients], at=at)
        _record_consents(request, clients, offered.consent, address=address, at=at)
    return offered


def _offer(request: SubscriptionRequest, clients: Sequence[AuthorizedClient]) -> Offer:
    if not clients:
        raise UnusableLink
    partners = tuple(sorted((client.partner.name for client in clients), key=str.casefold))
    return Offer(request.email, partners, consent_to(partners, email=request.email, brand=settings.BRAND))


def _record_consents(
    request: SubscriptionRequest, clients: Sequence[AuthorizedClient], consent: Consent, *, address: str, at: datetime
) -> None:
    ConsentRecord.objects.bulk_create(
        ConsentRecord(
            authorized_client=client,
            request=request,
            email=client.email,
            act=ConsentRecord.Act.GIVEN,
            how=ConsentRecord.How.LINK,
            text_version=consent.version,
            text=consent.text,
            at=at,
            address=address,
        )
        for client in clients
    )
