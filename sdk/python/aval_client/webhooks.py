"""API for partners: endpoints of webhooks and their deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Unpack, cast

from aval_client.shapes.partners import (
    DeliveriesPage,
    Delivery,
    DeliveryStatus,
    Replay,
    Webhook,
    WebhookChanges,
    Webhooks,
    WebhookWithSecret,
)
from aval_client.transport import Call, Transport, new_key, segment

PATH = "/partners/v1/webhooks"


class WebhookEndpoints:
    """`/partners/v1/webhooks`, with either credential."""

    def __init__(self, transport: Transport, credential: str) -> None:
        self._transport = transport
        self._credential = credential

    def create(
        self,
        url: str,
        *,
        types: Sequence[str] | None = None,
        description: str = "",
        email: str = "",
        idempotency_key: str | None = None,
    ) -> WebhookWithSecret:
        """A new endpoint for these types of events, or all. `email` is told when it is paused. Store its `secret`."""
        kinds = None if types is None else [*types]
        body = {"url": url, "types": kinds, "description": description, "email": email}
        return cast(WebhookWithSecret, self._write("POST", "", body, idempotency_key))

    def list(self) -> Webhooks:
        return cast(Webhooks, self._read(""))

    def get(self, webhook_id: str) -> Webhook:
        return cast(Webhook, self._read(f"/{segment(webhook_id)}"))

    def update(
        self, webhook_id: str, *, idempotency_key: str | None = None, **changes: Unpack[WebhookChanges]
    ) -> Webhook:
        """Change what is given; `status` pauses the endpoint, or wakes it with `active`."""
        return cast(Webhook, self._write("PATCH", f"/{segment(webhook_id)}", dict(changes), idempotency_key))

    def delete(self, webhook_id: str) -> None:
        """Remove the endpoint. Not repeated by itself: a repetition would say that there is none."""
        self._transport.send(Call("DELETE", f"{PATH}/{segment(webhook_id)}", self._credential))

    def test(self, webhook_id: str, *, idempotency_key: str | None = None) -> Delivery:
        """Send an event of no consequence to the endpoint."""
        return cast(Delivery, self._write("POST", f"/{segment(webhook_id)}/test", {}, idempotency_key))

    def rotate(self, webhook_id: str, *, idempotency_key: str | None = None) -> WebhookWithSecret:
        """A new secret. The old one signs along until `previous_secret_until`."""
        return cast(WebhookWithSecret, self._write("POST", f"/{segment(webhook_id)}/rotate", {}, idempotency_key))

    def replay(
        self,
        webhook_id: str,
        *,
        deliveries: Sequence[str] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        idempotency_key: str | None = None,
    ) -> Replay:
        """Send again: these deliveries, or those of the events since a moment, and until another."""
        body: dict[str, Any] = {} if deliveries is None else {"deliveries": [*deliveries]}
        body |= {name: _moment(at) for name, at in (("since", since), ("until", until)) if at is not None}
        return cast(Replay, self._write("POST", f"/{segment(webhook_id)}/replay", body, idempotency_key))

    def deliveries(
        self,
        webhook_id: str,
        *,
        status: DeliveryStatus | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> DeliveriesPage:
        """Page of deliveries; `next` is the `after` of the following page."""
        given = {"status": status, "after": after, "limit": limit}
        params = {name: value for name, value in given.items() if value is not None}
        return cast(DeliveriesPage, self._read(f"/{segment(webhook_id)}/deliveries", params))

    def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        return cast(Delivery, self._read(f"/{segment(webhook_id)}/deliveries/{segment(delivery_id)}"))

    def _read(self, path: str, params: dict[str, Any] | None = None) -> Any:
        return self._transport.json(Call("GET", PATH + path, self._credential, params=params or {}, is_safe=True))

    def _write(self, method: str, path: str, body: Any, key: str | None) -> Any:
        return self._transport.json(Call(method, PATH + path, self._credential, body, idempotency_key=key or new_key()))


def _moment(at: datetime | str) -> str:
    if isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return at.isoformat()
