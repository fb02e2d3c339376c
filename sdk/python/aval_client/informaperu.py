"""Contract 2: a person registers, asks for a code and sends it back."""

from typing import Any, cast

from aval_client.shapes.informaperu import (
    CooldownAnswer,
    Operator,
    Person,
    Registered,
    Session,
    StatusChanged,
    SystemStatus,
    TokenSent,
    Via,
)
from aval_client.transport import Call, Transport, new_key, segment

PATH = "/v1/api"


class InformaPeru:
    """`/v1/api`, with either credential, or without one where the installation is open.

    Without a credential an installation ignores `Idempotency-Key`, so writes are not repeated then.
    """

    def __init__(self, transport: Transport, credential: str | None) -> None:
        self._transport = transport
        self._credential = credential

    def register(self, person: Person, *, idempotency_key: str | None = None) -> Registered:
        """Register a person. The same document again keeps its id until it is validated."""
        return cast(Registered, self._post("/client", dict(person), idempotency_key))

    def request_token(
        self,
        client_id: str,
        via: Via,
        telefono: str | None = None,
        operador: Operator | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> TokenSent:
        """Send a code; by `C` to the registered address. Raises CooldownActive while a wait runs."""
        body = {"via": via, "telefono": telefono, "operador": operador}
        given = {name: value for name, value in body.items() if value is not None}
        return cast(TokenSent, self._post(f"/client/{segment(client_id)}/token", given, idempotency_key))

    def verify(self, client_id: str, code: str) -> StatusChanged:
        """Check the code that the person typed. Never repeated: each wrong code counts. Raises WrongCode."""
        call = Call("GET", f"{PATH}/client/{segment(client_id)}/verify/{segment(code)}", self._credential)
        return cast(StatusChanged, self._transport.json(call))

    def cancel(self, client_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """End the live token."""
        return cast(StatusChanged, self._post(f"/client/{segment(client_id)}/cancel", {}, idempotency_key))

    def expire(self, client_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """Close a token whose time is up."""
        return cast(StatusChanged, self._post(f"/client/{segment(client_id)}/expire", {}, idempotency_key))

    def cooldown(self, client_id: str, via: Via) -> CooldownAnswer:
        """How long the client must wait for another code."""
        path = f"{PATH}/client/{segment(client_id)}/cooldown/{segment(via)}"
        return cast(CooldownAnswer, self._transport.json(Call("GET", path, self._credential, is_safe=True)))

    def login(self, username: str, password: str, codigo: str | None = None) -> Session:
        """Log in a member of staff; `Aval.staff` takes the token. Never repeated: failures lock the account."""
        body = {"username": username, "password": password, **({} if codigo is None else {"codigo": codigo})}
        return cast(Session, self._transport.json(Call("POST", f"{PATH}/auth/login", body=body)))

    def status(self) -> SystemStatus:
        """Whether everything works. Raises ServerError at once where it does not: a health check must not wait."""
        return cast(SystemStatus, self._transport.json(Call("GET", f"{PATH}/status")))

    def _post(self, path: str, body: Any, key: str | None) -> Any:
        used = None if self._credential is None else key or new_key()
        return self._transport.json(Call("POST", PATH + path, self._credential, body, idempotency_key=used))
