"""Saying yes and no to a company's bulletins and alerts, and the signed name that an unsubscribe link carries.

It stands on the ground floor because both need it: the campaign that writes the link and the page that honours it.
"""

from collections.abc import Iterable
from datetime import datetime

from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet

from clients.models import AuthorizedClient

_signer = signing.Signer(sep=".", salt="clients.email_subscriptions")
_EVERYWHERE = "-todas"


class NotAnUnsubscribeToken(ValueError):
    """Not made by us, or for something else."""


def unsubscribe_token(client_id: int, *, everywhere: bool = False) -> str:
    """Names an authorised client so that nobody can name another. It never expires: an old mail's link must work.

    `everywhere`: the mail was written in the name of several companies, and whoever presses the mail program's own
    button, which asks nothing, wants no more of it from any of them.
    """
    return _signer.sign(f"{client_id}{_EVERYWHERE if everywhere else ''}")


def client_of(token: str) -> tuple[int, bool]:
    """The client a token names, and whether its mail's one click means every company. Raises NotAnUnsubscribeToken."""
    try:
        named = _signer.unsign(token)
        return int(named.removesuffix(_EVERYWHERE)), named.endswith(_EVERYWHERE)
    except (signing.BadSignature, ValueError) as fault:
        raise NotAnUnsubscribeToken from fault


def live_clients(email: str) -> QuerySet[AuthorizedClient]:
    """Every company's live authorisation of an address."""
    return AuthorizedClient.objects.filter(email=email, deauthorized_at__isnull=True)


def subscribable(email: str, *, asked_at: datetime) -> QuerySet[AuthorizedClient]:
    """The authorisations a link that was asked for at `asked_at` may subscribe.

    Those that existed then, are live, and have not said no since. The set can only shrink: a page shows no company
    less than its button subscribes, an alta made after the link starts unsubscribed, and an old link that is found
    again does not undo a later no.
    """
    no_later_no = Q(unsubscribed_at__isnull=True) | Q(unsubscribed_at__lt=asked_at)
    return live_clients(email).filter(no_later_no, created_at__lte=asked_at)


def subscribe(clients: Iterable[AuthorizedClient], *, at: datetime) -> None:
    """Their bulletins may come from now on. The caller has locked the rows."""
    ids = [client.pk for client in clients]
    AuthorizedClient.objects.filter(pk__in=ids).update(subscribed_at=at, unsubscribed_at=None)


def unsubscribe(client: AuthorizedClient, *, everywhere: bool, at: datetime) -> list[AuthorizedClient]:
    """No more bulletins and alerts to this address, of its company or of any; returns the rows that changed.

    The link may be of an authorisation that ended and was given anew: the live one counts too, for whoever clicks
    means the company, not a row. A no before any yes is kept as well.
    """
    live = live_clients(client.email)
    if not everywhere:
        live = live.filter(partner=client.partner_id)
    with transaction.atomic():
        ids = {client.pk, *live.values_list("pk", flat=True)}
        subscribed = AuthorizedClient.objects.filter(pk__in=ids, unsubscribed_at__isnull=True).select_related("partner")
        changed = list(subscribed.order_by("pk").select_for_update(of=("self",), no_key=True))
        AuthorizedClient.objects.filter(pk__in=[each.pk for each in changed]).update(unsubscribed_at=at)
    return changed
