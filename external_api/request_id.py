"""The request in hand: its id, for every log line that it causes, and the values that must stand in none of them.

Plain Python: the log's formatter reads it before there is any application.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True)
class InHand:
    """A request that is being answered; `values` are those of its path, query and form."""

    id: str
    values: Callable[[], Iterable[str]]


_in_hand: ContextVar[InHand | None] = ContextVar("request_in_hand", default=None)


def take(values: Callable[[], Iterable[str]]) -> tuple[InHand, Token[InHand | None]]:
    """A new id for a request; the caller gives it up with the token."""
    request = InHand(uuid4().hex, values)
    return request, _in_hand.set(request)


def give_up(token: Token[InHand | None]) -> None:
    _in_hand.reset(token)


def current() -> InHand | None:
    """The request that this thread answers; None outside of any."""
    return _in_hand.get()
