"""The page of a person's subscriptions, by a link sent to their mailbox: which companies write to them, and leaving."""

from datetime import datetime

from django.db import transaction

from clients.email_subscriptions import live_clients, unsubscribe
from clients.models import AuthorizedClient
from subscription.errors import UnusableLink
from subscription.links import managed_request_of
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.withdrawing import evidence


def request_of_link(token: str, *, at: datetime) -> SubscriptionRequest:
    """The request of a link, which serves until it expires. Raises UnusableLink."""
    purpose = SubscriptionRequest.Purpose.MANAGE
    found = SubscriptionRequest.objects.filter(pk=managed_request_of(token), purpose=purpose).first()
    if found is None or not found.email or at > found.expires_at:
        raise UnusableLink
    return found


def subscriptions(email: str) -> list[AuthorizedClient]:
    """Live subscriptions of a mailbox, by the names of their companies."""
    found = live_clients(email).filter(subscribed_at__isnull=False, unsubscribed_at__isnull=True)
    return sorted(found.select_related("partner"), key=lambda client: client.partner.name.casefold())


def leave(
    request: SubscriptionRequest, *, partner: int | None, address: str, at: datetime
) -> tuple[AuthorizedClient | None, bool]:
    """Unsubscribe the mailbox from one partner, or from all (None), with the evidence.

    Returns one of its clients, and whether anything changed: a second call changes nothing.
    """
    mine = [client for client in subscriptions(request.email) if partner in (None, client.partner_id)]
    if not mine:
        return None, False
    with transaction.atomic():
        changed = unsubscribe(mine[0], everywhere=partner is None, at=at)
        ConsentRecord.objects.bulk_create(
            evidence(
                client, ConsentRecord.How.PAGE, everywhere=partner is None, request=request, address=address, at=at
            )
            for client in changed
        )
    return mine[0], bool(changed)
