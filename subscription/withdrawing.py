"""Ending a company's bulletins and alerts by the link in one of its mails, and the evidence that somebody did."""

from datetime import datetime

from django.db import transaction

from clients.models import AuthorizedClient
from clients.unsubscribing import NotAnUnsubscribeToken, client_of, unsubscribe
from subscription.consent import withdrawal_from
from subscription.errors import LinkIsDead
from subscription.models import ConsentRecord


def client_named(token: str) -> AuthorizedClient:
    """Whose mail the link came in. Raises LinkIsDead."""
    try:
        return AuthorizedClient.objects.select_related("partner").get(pk=client_of(token))
    except (NotAnUnsubscribeToken, AuthorizedClient.DoesNotExist):
        raise LinkIsDead from None


def withdraw(
    token: str, *, how: ConsentRecord.How, everywhere: bool = False, address: str, at: datetime
) -> AuthorizedClient:
    """Ends those of the link's company, or all to its mailbox. Again is the same, and leaves no second record.

    Raises LinkIsDead.
    """
    client = client_named(token)
    with transaction.atomic():
        changed = unsubscribe(client, everywhere=everywhere, at=at)
        ConsentRecord.objects.bulk_create(_record(each, how, everywhere, address=address, at=at) for each in changed)
    return client


def _record(
    client: AuthorizedClient, how: ConsentRecord.How, everywhere: bool, *, address: str, at: datetime
) -> ConsentRecord:
    read = withdrawal_from(None if everywhere else client.partner.name) if how == ConsentRecord.How.PAGE else None
    return ConsentRecord(
        authorized_client=client, email=client.email, act=ConsentRecord.Act.WITHDRAWN, how=how,
        text_version=read.version if read else "", text=read.text if read else "", at=at, address=address,
    )  # fmt: skip
