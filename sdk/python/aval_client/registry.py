"""Contract 3: external clients of Guatemala."""

from typing import cast

from aval_client.shapes.registry import ExternalClient, RegistryAnswer
from aval_client.transport import Call, Transport, new_key

PATH = "/external/client/registry"


class Registry:
    """`POST /external/client/registry`, with the JWT."""

    def __init__(self, transport: Transport, jwt: str) -> None:
        self._transport = transport
        self._jwt = jwt

    def register(self, client: ExternalClient, *, idempotency_key: str | None = None) -> RegistryAnswer:
        """Register a client, or replace the data of the one with this `client_id`."""
        call = Call("POST", PATH, self._jwt, dict(client), idempotency_key=idempotency_key or new_key())
        return cast(RegistryAnswer, self._transport.json(call))
