"""Unsubscribing from a partner's bulletins and alerts by the link in a mail, and the evidence of it."""

from datetime import datetime

from django.db import transaction

from clients.email_subscriptions import NotAnUnsubscribeToken, client_of, unsubscribe
from clients.models import AuthorizedClient
from messaging.suppression import feedback
from subscription.consent import withdrawal_from
from subscription.errors import UnusableLink
from subscription.models import ConsentRecord, SubscriptionRequest


def client_of_link(token: str) -> tuple[AuthorizedClient, bool]:
    """The client whose mail the link came in, and whether it was written for several partners. Raises UnusableLink."""
    try:
        client_id, of_several = client_of(token)
        return AuthorizedClient.objects.select_related("partner").get(pk=client_id), of_several
    except (NotAnUnsubscribeToken, AuthorizedClient.DoesNotExist):
        raise UnusableLink from None


def withdraw(
    token: str,
    *,
    how: ConsentRecord.How,
    everywhere: bool = False,
    campaign: int | None = None,
    address: str,
    at: datetime,
) -> AuthorizedClient:
    """Unsubscribe from the link's partner, or the mailbox from all. A second call changes nothing and leaves no record.

    One click asks nothing, so the mail itself decides: with one partner's name on it that partner, with several all of
    them (one campaign sends one mail to a mailbox, in whichever of their names). `campaign`: whose mail the link was
    in, if it says so; the act counts in its figures. Raises UnusableLink.
    """
    client, of_several = client_of_link(token)
    everywhere = everywhere or (how == ConsentRecord.How.ONE_CLICK and of_several)
    with transaction.atomic():
        changed = unsubscribe(client, everywhere=everywhere, at=at)
        ConsentRecord.objects.bulk_create(
            evidence(each, how, everywhere=everywhere, address=address, at=at) for each in changed
        )
        if changed and campaign is not None:
            feedback.left_by_link(campaign, client.pk, detail=how.label, at=at)
    return client


def evidence(
    client: AuthorizedClient,
    how: ConsentRecord.How,
    *,
    everywhere: bool,
    request: SubscriptionRequest | None = None,
    address: str,
    at: datetime,
) -> ConsentRecord:
    """Evidence of a withdrawal, not saved. `request`: whose link led to the page."""
    read = withdrawal_from(None if everywhere else client.partner.name) if how == ConsentRecord.How.PAGE else None
    return ConsentRecord(
        authorized_client=client,
        request=request,
        email=client.email,
        act=ConsentRecord.Act.WITHDRAWN,
        how=how,
        text_version=read.version if read else "",
        text=read.text if read else "",
        at=at,
        address=address,
    )
