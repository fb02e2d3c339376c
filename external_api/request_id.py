"""Current request: its id, for every log line that it causes, and the values that must not appear in them.

Plain Python: the log's formatter reads it before Django is set up.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True)
class CurrentRequest:
    """A request that is being answered; `values` are those of its path, query and form."""

    id: str
    values: Callable[[], Iterable[str]]


_current: ContextVar[CurrentRequest | None] = ContextVar("request_in_hand", default=None)


def begin(values: Callable[[], Iterable[str]]) -> tuple[CurrentRequest, Token[CurrentRequest | None]]:
    """Start a request with a new id; the caller ends it with the token."""
    request = CurrentRequest(uuid4().hex, values)
    return request, _current.set(request)


def end(token: Token[CurrentRequest | None]) -> None:
    _current.reset(token)


def current() -> CurrentRequest | None:
    """The request that this thread answers; None outside of any."""
    return _current.get()
