"""Subscription of an authorised client to bulletins and alerts, and the signed token of an unsubscribe link.

In `clients` because campaigns write the link and the subscription pages read it.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet

from clients.events.models import EventType
from clients.events.writing import write_event
from clients.identity.phones import mask_email
from clients.models import AuthorizedClient

_signer = signing.Signer(sep=".", salt="clients.email_subscriptions")
_EVERYWHERE = "-todas"


class NotAnUnsubscribeToken(ValueError):
    """Token that we did not make, or made for another purpose."""


def unsubscribe_token(client_id: int, *, everywhere: bool = False) -> str:
    """Signed token that names an authorised client. It never expires: the link in an old mail must work.

    `everywhere`: the mail was sent for several partners, and the mail program's one-click button, which asks nothing,
    ends the bulletins of all of them.
    """
    return _signer.sign(f"{client_id}{_EVERYWHERE if everywhere else ''}")


def client_of(token: str) -> tuple[int, bool]:
    """Client of a token, and whether one click means every partner. Raises NotAnUnsubscribeToken."""
    try:
        named = _signer.unsign(token)
        return int(named.removesuffix(_EVERYWHERE)), named.endswith(_EVERYWHERE)
    except (signing.BadSignature, ValueError) as fault:
        raise NotAnUnsubscribeToken from fault


def live_clients(email: str) -> QuerySet[AuthorizedClient]:
    """Live authorisations of an address, over all partners but test twins: the public pages show them, and a person
    must not read there what a partner tries out."""
    return _live(email).filter(partner__twin_of__isnull=True)


def _live(email: str) -> QuerySet[AuthorizedClient]:
    return AuthorizedClient.objects.filter(email=email, deauthorized_at__isnull=True)


def subscribable(email: str, *, asked_at: datetime) -> QuerySet[AuthorizedClient]:
    """Authorisations that a link requested at `asked_at` may subscribe.

    Those that existed then, are live, and have not been unsubscribed since. The set can only shrink: a page never shows
    fewer partners than its button subscribes, an alta made after the link starts unsubscribed, and an old link does not
    undo a later baja.
    """
    no_later_no = Q(unsubscribed_at__isnull=True) | Q(unsubscribed_at__lt=asked_at)
    return live_clients(email).filter(no_later_no, created_at__lte=asked_at)


def subscribe(clients: Iterable[AuthorizedClient], *, at: datetime) -> None:
    """Subscribe the rows. The caller has locked them."""
    rows = list(clients)
    ids = [client.pk for client in rows]
    AuthorizedClient.objects.filter(pk__in=ids).update(subscribed_at=at, unsubscribed_at=None)
    _write_events(EventType.AUTHORIZATION_SUBSCRIBED, rows, at=at)


def unsubscribe(client: AuthorizedClient, *, everywhere: bool, at: datetime) -> list[AuthorizedClient]:
    """Unsubscribe an address from bulletins and alerts, of one partner or of all; return the rows that changed.

    If the link's authorisation ended and a new one was given, the live one counts too: the click means the partner, not
    a row. An unsubscription before any subscription is recorded as well.
    """
    live = live_clients(client.email)
    if not everywhere:
        live = live.filter(partner=client.partner_id)
    return _unsubscribe({client.pk, *live.values_list("pk", flat=True)}, at=at)


def unsubscribe_mailbox(email: str, partners: Collection[int] | None, *, at: datetime) -> list[AuthorizedClient]:
    """Unsubscribe an address from these partners, or from all (None); return the rows that changed."""
    live = live_clients(email) if partners is None else _live(email).filter(partner__in=partners)
    return _unsubscribe(set(live.values_list("pk", flat=True)), at=at)


def _unsubscribe(ids: set[int], *, at: datetime) -> list[AuthorizedClient]:
    with transaction.atomic():
        subscribed = AuthorizedClient.objects.filter(pk__in=ids, unsubscribed_at__isnull=True).select_related("partner")
        changed = list(subscribed.order_by("pk").select_for_update(of=("self",), no_key=True))
        AuthorizedClient.objects.filter(pk__in=[each.pk for each in changed]).update(unsubscribed_at=at)
        _write_events(EventType.AUTHORIZATION_UNSUBSCRIBED, changed, at=at)
    return changed


def _write_events(event_type: EventType, clients: Iterable[AuthorizedClient], *, at: datetime) -> None:
    for each in clients:
        data = {"id_solicitud": each.request_id, "via": "C", "to": mask_email(each.email)}
        write_event(each.partner_id, event_type, each.pk, data, at=at)
