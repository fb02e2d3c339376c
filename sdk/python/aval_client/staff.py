"""Queries of contract 2 for staff, with the token of a login."""

from typing import Any, cast

from aval_client.shapes.staff import ClientDetailAnswer, ClientsPage, MessagesPage
from aval_client.transport import Call, Transport, segment

PATH = "/v1/api/admin"


class Staff:
    """`/v1/api/admin`. Filters are those of the reference; pages go on with `cursor=`, its `next`."""

    def __init__(self, transport: Transport, token: str) -> None:
        self._transport = transport
        self._token = token

    def clients(self, **filters: str) -> ClientsPage:
        """Page of registered clients."""
        return cast(ClientsPage, self._get("/clients", filters))

    def client(self, client_id: str) -> ClientDetailAnswer:
        """One client with its tokens and messages."""
        return cast(ClientDetailAnswer, self._get(f"/clients/{segment(client_id)}", {}))

    def messages(self, **filters: str) -> MessagesPage:
        """Page of messages."""
        return cast(MessagesPage, self._get("/messages", filters))

    def _get(self, path: str, params: dict[str, str]) -> Any:
        return self._transport.json(Call("GET", PATH + path, self._token, params=params, is_safe=True))
