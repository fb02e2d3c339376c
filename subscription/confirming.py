"""Confirmation links: their offer, and the confirmation, once and for exactly the partners and the text shown."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare

from clients.email_subscriptions import subscribable, subscribe
from clients.models import AuthorizedClient
from messaging.suppression import listing
from subscription.consent import Consent, Offer, consent_to, with_choice
from subscription.errors import NothingChosen, TextHasChanged, UnusableLink
from subscription.links import request_of
from subscription.models import ConsentRecord, SubscriptionRequest

Purpose = SubscriptionRequest.Purpose


def offer(token: str, *, at: datetime) -> Offer:
    """Return what the link's page shows. Changes nothing, however often mail scanners fetch it. Raises UnusableLink."""
    request = SubscriptionRequest.objects.filter(pk=request_of(token), purpose=Purpose.CONFIRM).first()
    if request is None or not request.is_open(at=at):
        raise UnusableLink
    clients = subscribable(request.email, asked_at=request.requested_at)
    return _offer(request, list(clients.select_related("partner")))


def confirm(token: str, *, digest: str, chosen: Collection[int] | None, address: str, at: datetime) -> Offer:
    """Subscribe the address to the partners that were chosen of those offered, and record the consent to each.

    `digest` is that of the text the person read. `chosen`: ids of partners; None: all. With a single offer nothing need
    be chosen. Of parallel calls one wins, by row count; an error leaves the link as it was. Returns what was chosen.
    Raises UnusableLink, TextHasChanged, NothingChosen.
    """
    request_id = request_of(token)
    with transaction.atomic():
        unused = SubscriptionRequest.objects.filter(
            pk=request_id, purpose=Purpose.CONFIRM, used_at__isnull=True, expires_at__gte=at
        )
        if not unused.update(used_at=at):
            raise UnusableLink
        request = SubscriptionRequest.objects.get(pk=request_id)
        found = subscribable(request.email, asked_at=request.requested_at).select_related("partner").order_by("pk")
        offered_clients = list(found.select_for_update(of=("self",), no_key=True))
        offered = _offer(request, offered_clients)
        if not constant_time_compare(digest, offered.consent.digest):
            raise TextHasChanged(offered)
        clients = _chosen(offered_clients, chosen if offered.has_choice else None)
        if not clients:
            raise NothingChosen(offered)
        subscribe(clients, at=at)
        listing.lift_for_subscription(request.email, [client.partner_id for client in clients], at=at)
        accepted = _choices(clients)
        names = [name for _, name in accepted]
        text = with_choice(offered.consent, names) if offered.has_choice else offered.consent
        _record_consents(request, clients, text, address=address, at=at)
    return Offer(request.email, accepted, text)


def _chosen(clients: Sequence[AuthorizedClient], chosen: Collection[int] | None) -> list[AuthorizedClient]:
    return [client for client in clients if chosen is None or client.partner_id in chosen]


def _choices(clients: Sequence[AuthorizedClient]) -> tuple[tuple[int, str], ...]:
    pairs = {client.partner_id: client.partner.name for client in clients}
    return tuple(sorted(pairs.items(), key=lambda pair: pair[1].casefold()))


def _offer(request: SubscriptionRequest, clients: Sequence[AuthorizedClient]) -> Offer:
    if not clients:
        raise UnusableLink
    choices = _choices(clients)
    names = [name for _, name in choices]
    return Offer(request.email, choices, consent_to(names, email=request.email, brand=settings.BRAND))


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
