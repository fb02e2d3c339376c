"""Changes of endpoints by their partner or by staff. Each leaves an entry in the audit, without secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from clients.events import restore
from clients.events.models import EventType
from clients.events.writing import write_event
from clients.models import Partner, audit
from clients.uuid7 import uuid7
from webhooks import signing, sql
from webhooks.addresses import target_of
from webhooks.deliveries import TEST_TYPE
from webhooks.errors import TooManyEndpoints, UntriedTest
from webhooks.models import Delivery, Endpoint

CHANGED = ("url", "types", "description", "email")
"""Fields that a partner gives."""
_LAST_ID = 2**63 - 1


@dataclass(frozen=True)
class Actor:
    """Who changes it, and from which address, for the audit."""

    name: str
    address: str | None


def check_url(url: str) -> None:
    """Raises addresses.BadUrl."""
    target_of(url, sandbox=settings.SANDBOX)


def create(
    partner: Partner,
    *,
    url: str,
    types: Sequence[str] | None = None,
    description: str = "",
    email: str = "",
    by: Actor,
    at: datetime,
) -> tuple[Endpoint, str]:
    """A new endpoint, which gets the events from now on, and its secret, which is shown once.

    Raises addresses.BadUrl, TooManyEndpoints.
    """
    check_url(url)
    key, secret = uuid7(), signing.new_secret()
    with transaction.atomic():
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)  # two at once count one after the other
        if Endpoint.objects.filter(partner=partner).count() >= Endpoint.MOST:
            raise TooManyEndpoints
        epoch, xid = _here()
        endpoint = Endpoint.objects.create(
            id=key,
            partner=partner,
            url=url,
            types=list(types) if types else None,
            description=description,
            email=email,
            secret=signing.sealed(secret, owner=key),
            epoch=epoch,
            cursor_xid=xid,
            cursor_event_id=_LAST_ID,
            created_at=at,
        )
        _audit(endpoint, "created", by, at=at, **{name: getattr(endpoint, name) for name in CHANGED})
    return endpoint, secret


def _here() -> tuple[str, int]:
    """Epoch of the feed, and the last transaction before the oldest that still runs: the place of a new endpoint."""
    restore.ensure_epoch()
    with connection.cursor() as cursor:
        cursor.execute(sql.HERE)
        oldest_running, epoch = cursor.fetchone()
    return epoch, int(oldest_running) - 1


def change(endpoint_id: UUID, values: dict[str, Any], *, by: Actor, at: datetime) -> Endpoint:
    """Change fields of CHANGED. Raises addresses.BadUrl, Endpoint.DoesNotExist."""
    if "url" in values:
        check_url(values["url"])
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        changes = [
            {"field": name, "before": getattr(endpoint, name), "after": values[name]}
            for name in CHANGED
            if name in values and values[name] != getattr(endpoint, name)
        ]
        if changes:
            for each in changes:
                setattr(endpoint, each["field"], each["after"])
            endpoint.save(update_fields=[each["field"] for each in changes])
            _audit(endpoint, "changed", by, at=at, changes=changes)
    return endpoint


def pause(endpoint_id: UUID, *, by: Actor, at: datetime) -> Endpoint:
    """Its cursor and its open deliveries stand still until `wake`. No change where it has stopped already."""
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        if endpoint.status == Endpoint.Status.ACTIVE:
            endpoint.status, endpoint.stopped_at = Endpoint.Status.PAUSED, at
            endpoint.save(update_fields=["status", "stopped_at"])
            data = {"endpoint_id": str(endpoint.pk), "reason": "by_request"}
            write_event(endpoint.partner_id, EventType.ENDPOINT_PAUSED, endpoint.pk, data, at=at)
            _audit(endpoint, "paused", by, at=at)
    return endpoint


def wake(endpoint_id: UUID, *, by: Actor, at: datetime) -> Endpoint:
    """Go on where it stopped. No change where it is active."""
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        if endpoint.status != Endpoint.Status.ACTIVE:
            endpoint.status = Endpoint.Status.ACTIVE
            endpoint.stopped_at = endpoint.failing_since = endpoint.resumed_from = None
            endpoint.mail_due = False
            endpoint.save(update_fields=["status", "stopped_at", "failing_since", "resumed_from", "mail_due"])
            _audit(endpoint, "woken", by, at=at)
    return endpoint


def rotate(endpoint_id: UUID, *, by: Actor, at: datetime) -> tuple[Endpoint, str]:
    """A new secret, shown once. The one before signs along for Endpoint.OVERLAP."""
    secret = signing.new_secret()
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        endpoint.former_secret, endpoint.former_secret_until = endpoint.secret, at + Endpoint.OVERLAP
        endpoint.secret = signing.sealed(secret, owner=endpoint.pk)
        endpoint.save(update_fields=["secret", "former_secret", "former_secret_until"])
        _audit(endpoint, "rotated", by, at=at)
    return endpoint, secret


def delete(endpoint_id: UUID, *, by: Actor, at: datetime) -> None:
    """Remove it with its deliveries. Raises Endpoint.DoesNotExist."""
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        _audit(endpoint, "deleted", by, at=at, **{name: getattr(endpoint, name) for name in CHANGED})
        endpoint.delete()


def send_test(endpoint_id: UUID, *, at: datetime) -> Delivery:
    """Queue a body of the type `webhook.test`, which is tried once, also while the endpoint is paused.

    Raises UntriedTest.
    """
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        if endpoint.deliveries.filter(event_id=None, status=Delivery.Status.PENDING).exists():
            raise UntriedTest
        return Delivery.objects.create(endpoint=endpoint, type=TEST_TYPE, next_try_at=at, created_at=at)


def send_again(
    endpoint_id: UUID,
    *,
    deliveries: Sequence[UUID] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    by: Actor,
    at: datetime,
) -> int:
    """Send deliveries again with all their tries: the named ones, or those that failed from `since` to before `until`.

    At most as many as may be open; returns how many. Left out are tests and what retention has removed.
    """
    with transaction.atomic():
        endpoint = _locked(endpoint_id)
        params = {
            "endpoint": endpoint.pk,
            "ids": list(deliveries) if deliveries is not None else None,
            "since": since,
            "until": until or at,
            "most": Endpoint.MOST_OPEN,
            "at": at,
        }
        with connection.cursor() as cursor:
            cursor.execute(sql.SEND_AGAIN, params)
            sent = int(cursor.rowcount)
        if sent:
            _audit(endpoint, "replayed", by, at=at, deliveries=sent)
    return sent


def _locked(endpoint_id: UUID) -> Endpoint:
    return Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint_id)


def _audit(endpoint: Endpoint, action: str, by: Actor, *, at: datetime, **data: Any) -> None:
    audit(endpoint, f"webhook.{action}", at=at, by=by.name, address=by.address, partner=endpoint.partner_id, **data)
