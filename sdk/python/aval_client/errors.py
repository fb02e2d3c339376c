"""Exceptions of the client: what an installation refused, what it did not answer, what no receiver should trust."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from aval_client.answers import Answer

if TYPE_CHECKING:
    from aval_client.shapes.informaperu import Cooldown


class AvalError(Exception):
    """Base of all exceptions of this package."""


class MissingCredential(AvalError):
    """The client was made without the kind of credential that this call needs."""


class NoAnswer(AvalError):
    """No complete answer came: no connection, a timeout, or a connection that broke. The call may have been done."""


class BrokenAnswer(AvalError):
    """An answer is not what the API promises: no JSON, or a list that ends early."""


class WebhookVerificationError(AvalError):
    """A webhook is not signed with this secret, or it is older or newer than five minutes."""


class ApiError(AvalError):
    """An answer with an error status, in the shape of its contract."""

    def __init__(self, answer: Answer, details: "Details") -> None:
        super().__init__(f"{answer.status} {details.code}: {details.message} (Request-Id {details.request_id})")
        self.status = answer.status
        self.code = details.code
        """For programs. Contract 1 has no codes: there it is the text of `error`; `""` without any."""
        self.message = details.message
        """For people, in Spanish."""
        self.request_id = details.request_id
        """Cite it when you ask for support."""
        self.fields = details.fields
        """Texts for each wrong field or parameter."""
        self.retry_after = answer.retry_after
        """Seconds to wait before the same call is worth repeating, where the answer says so."""
        self.body = details.body
        """The decoded JSON; None where it is none."""

    @property
    def is_temporary(self) -> bool:
        """Whether the same call may succeed later without a change."""
        return self.status == 429 or self.status >= 500


class BadRequest(ApiError):
    """400: the request is wrong."""


class WrongCode(BadRequest):
    """`ERR_INVALID_TOKEN`: another code was sent."""

    @property
    def attempts_remaining(self) -> int:
        return int(_data(self.body)["attempts_remaining"])


class Unauthorized(ApiError):
    """401: the credential is missing, wrong, over or revoked."""


class Forbidden(ApiError):
    """403: a locked client, or staff without the right."""


class NotFound(ApiError):
    """404: no such path, or nothing of this partner under the id."""


class Conflict(ApiError):
    """409: it does not fit the state of things."""


class IdempotencyConflict(ApiError):
    """409: the first call with this key still runs. 422: the key was used for another call."""

    @property
    def is_temporary(self) -> bool:
        return self.status == 409


class CursorGone(ApiError):
    """410: events after this cursor are gone, or the database was restored. `oldest` is where to go on."""

    @property
    def oldest(self) -> str:
        return str(self.body["oldest"])


class RateLimited(ApiError):
    """429: a limit of requests or of messages."""


class CooldownActive(RateLimited):
    """`ERR_COOLDOWN_ACTIVE`: the client or the destination must wait before another code. Never repeated by itself."""

    @property
    def cooldown(self) -> "Cooldown":
        return cast("Cooldown", _data(self.body))

    @property
    def is_temporary(self) -> bool:
        return False


class ServerError(ApiError):
    """5xx: a fault of the installation or of something before it."""


class Details:
    """What an error's body says, whichever contract it is of."""

    def __init__(self, answer: Answer) -> None:
        self.body = answer.json_or_none()
        body: Mapping[str, Any] = self.body if isinstance(self.body, dict) else {}
        results, header, content = (_mapping(body.get(name)) for name in ("resultados", "header", "content"))
        self.code = _text(results.get("error") or header.get("code") or body.get("code"))
        self.message = _text(
            results.get("error") or header.get("message") or body.get("detail") or body.get("message") or answer.reason
        )
        self.title = _text(header.get("title") or body.get("title") or body.get("error"))
        number = body.get("id_solicitud", header.get("event_id", body.get("request_id")))
        self.request_id = answer.headers.get("Request-Id") or (None if number is None else str(number))
        faults = body.get("details") or body.get("errors") or content.get("errors")
        self.fields: dict[str, list[str]] = dict(_mapping(faults))


_BY_CODE: Mapping[str, type[ApiError]] = {
    "ERR_INVALID_TOKEN": WrongCode,
    "ERR_COOLDOWN_ACTIVE": CooldownActive,
    "cursor_gone": CursorGone,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_of(answer: Answer) -> ApiError:
    """The exception for an answer with an error status."""
    details = Details(answer)
    return _class_of(answer.status, details)(answer, details)


def _class_of(status: int, details: Details) -> type[ApiError]:
    if status in (409, 422) and "idempot" in f"{details.code} {details.title}".lower():
        return IdempotencyConflict
    if details.code in _BY_CODE:
        return _BY_CODE[details.code]
    return ServerError if status >= 500 else _BY_STATUS.get(status, ApiError)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _data(body: Any) -> Any:
    return body["data"]
