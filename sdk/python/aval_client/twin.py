"""API for partners: the test twin, with its keys, its clock and its outbox."""

from datetime import timedelta
from typing import Any, cast

from aval_client.shapes.partners import TwinClock, TwinKeys, TwinMessages, TwinReset
from aval_client.transport import Call, Transport, new_key

PATH = "/partners/v1/test"


class Twin:
    """`/partners/v1/test`. `keys` wants a live credential, the others one of the twin."""

    def __init__(self, transport: Transport, credential: str) -> None:
        self._transport = transport
        self._credential = credential

    def keys(self, *, idempotency_key: str | None = None) -> TwinKeys:
        """New test keys. Store them: they are not shown again."""
        return cast(TwinKeys, self._post("/keys", {}, idempotency_key))

    def advance_clock(self, by: timedelta | str, *, idempotency_key: str | None = None) -> TwinClock:
        """Let this much time pass for the twin's codes and messages; an ISO 8601 duration or a timedelta."""
        length = by if isinstance(by, str) else f"PT{int(by.total_seconds())}S"
        return cast(TwinClock, self._post("/clock", {"advance": length}, idempotency_key))

    def reset(self, *, idempotency_key: str | None = None) -> TwinReset:
        """Remove the twin's clients, codes and messages. Its keys and events stay."""
        return cast(TwinReset, self._post("/reset", {}, idempotency_key))

    def messages(self, to: str | None = None) -> TwinMessages:
        """Messages to the twin's clients with their texts, the newest first."""
        params = {} if to is None else {"to": to}
        call = Call("GET", f"{PATH}/messages", self._credential, params=params, is_safe=True)
        return cast(TwinMessages, self._transport.json(call))

    def _post(self, path: str, body: Any, key: str | None) -> Any:
        return self._transport.json(Call("POST", PATH + path, self._credential, body, idempotency_key=key or new_key()))
