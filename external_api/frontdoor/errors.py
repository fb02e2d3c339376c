"""Errors of the front door, raised before or instead of the domain's. Each contract has its own text for them."""

from clients.errors import Refused


class BadRequest(Refused):
    """The body is not the JSON object that is asked for; `detail` is the reason, in Spanish."""

    def __init__(self, detail: str = "El cuerpo no es JSON válido.") -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidFields(Refused):
    """The object is JSON, but some fields break the contract's rules: {field: [text]}."""

    def __init__(self, faults: dict[str, list[str]]) -> None:
        super().__init__()
        self.faults = faults


class NoSuchPath(Refused):
    """Nothing is at this URL."""


class WrongMethod(Refused):
    """The URL exists, but not with this method; `allowed` are the methods it takes."""

    def __init__(self, allowed: list[str]) -> None:
        super().__init__()
        self.allowed = allowed


class Unauthorized(Refused):
    """No credential, or one that is not valid for this contract."""


class TooLarge(Refused):
    """The body is over the contract's limit, in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


class WrongMediaType(Refused):
    """Anything but application/json in UTF-8."""


class CompressedBody(Refused):
    """The body has a Content-Encoding: what it would grow to is not known before it is read."""


class RateLimited(Refused):
    """Too many requests of one caller; again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class IdempotencyConflict(Refused):
    """The key is in use: by a call still `running`, or by another request."""

    def __init__(self, *, running: bool) -> None:
        super().__init__()
        self.running = running


class Unavailable(Refused):
    """The database does not answer; again after `retry_after` seconds."""

    retry_after = 5


class InternalFault(Refused):
    """A fault of ours. It is in the log, with its traceback; nothing of it is in the answer."""
