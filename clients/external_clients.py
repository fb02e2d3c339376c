"""Registration of external clients (contract 3), with a history of changes."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from clients.events.models import EventType
from clients.events.writing import write_event
from clients.models import Credential, ExternalClient, audit
from clients.search.external_clients import folded

REGISTERED = "external_client.registered"
CHANGED = "external_client.changed"

DataPoint = dict[str, Any]
"""`{"key": str, "value": str | int | float | bool | None}`"""


class Details(NamedTuple):
    """Client data as the partner sent it. A new registration replaces all of it."""

    cui: str
    first_name: str
    last_name: str
    phone: str
    product_key: str
    product_id: str
    origin: str
    data_points: list[DataPoint]


def register(
    credential: Credential, client_id: str, details: Details, *, request_id: int, address: str | None, at: datetime
) -> UUID:
    """Register a client, or replace the one with the same (partner, client_id).

    Returns its id, which stays the same. The audit records the key that was used and each changed field; a repetition
    without changes writes nothing. Of parallel calls one inserts, and the others wait for its row.
    """
    values = {**details._asdict(), "folded_name": folded(f"{details.first_name} {details.last_name}")}
    partner = credential.partner
    new = ExternalClient(partner=partner, client_id=client_id, created_at=at, updated_at=at, **values)
    # Django's user names have no slash: no partner can pass for a staff member.
    who: dict[str, Any] = {"at": at, "by": f"{partner.slug}/{credential.prefix}", "address": address}
    origin: dict[str, Any] = {"credential": credential.pk, "request": request_id}
    with transaction.atomic():
        ExternalClient.objects.bulk_create([new], ignore_conflicts=True)
        kept: ExternalClient = ExternalClient.objects.select_for_update(no_key=True).get(
            partner=partner, client_id=client_id
        )
        if kept.pk == new.pk:
            audit(kept, REGISTERED, **who, **origin)
            write_event(partner.pk, EventType.REGISTRY_CLIENT_CREATED, kept.pk, {}, at=at)
        # PostgreSQL compares: it knows that 1 is 1.0 and not true
        elif ExternalClient.objects.filter(pk=kept.pk).exclude(**values).update(**values, updated_at=at):
            audit(kept, CHANGED, **who, **origin, changes=changes(kept, details))
            write_event(partner.pk, EventType.REGISTRY_CLIENT_UPDATED, kept.pk, {}, at=at)
    return kept.pk


def changes(before: ExternalClient, after: Details) -> list[dict[str, Any]]:
    """`{"field", "before", "after"}` of each field that differs; for data points with their `key`, one by one.

    A data point that was added or removed has no `before` or no `after`, because null is a value.
    """
    found = [
        {"field": name, "before": getattr(before, name), "after": value}
        for name, value in after._asdict().items()
        if name != "data_points" and getattr(before, name) != value
    ]
    old, new = _by_key(before.data_points), _by_key(after.data_points)
    for key in old | new:
        if key in old and key in new and _same(old[key], new[key]):
            continue
        change = {"field": "data_points", "key": key}
        change |= {side: values[key] for side, values in (("before", old), ("after", new)) if key in values}
        found.append(change)
    if not found:  # only their order differs
        found.append({"field": "data_points", "before": list(old), "after": list(new)})
    return found


def _by_key(points: list[DataPoint]) -> dict[str, Any]:
    return {point["key"]: point["value"] for point in points}


def _same(one: Any, other: Any) -> bool:
    """Equal and of the same type: Python takes true for 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
