"""Current request: its id, for every log line that it causes, and the values that must not appear in them.

Plain Python: the log's formatter reads it before Django is set up. It is below all apps, since the message that a
request asks for keeps the id, and the worker that sends it logs it again.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from random import getrandbits
from typing import TypeVar
from uuid import UUID

HEADER = "X-Request-ID"
"""Header by which proxies hand an id on to us, and we to providers."""
_GIVEN = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""An id of 128 bits: 32 hexadecimal digits or a UUID. Other texts may hold a number or a name, and are not taken."""
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2; a later version may add parts."""
_LATER = re.compile(r"(?!00)[0-9a-f]{2}")
_Part = TypeVar("_Part")


@dataclass(frozen=True)
class CurrentRequest:
    """A request that is being answered; `values` are those of its path, query and form.

    `about` is what the access log says of its caller: ids, never names or numbers of people.
    """

    id: str
    values: Callable[[], Iterable[str]]
    about: dict[str, str | int] = field(default_factory=dict)


_current: ContextVar[CurrentRequest | None] = ContextVar("request_in_hand", default=None)


def given(request_id: str | None, traceparent: str | None) -> str | None:
    """Id that the caller has given: X-Request-ID, or else the trace id of traceparent; None where it is not clean."""
    if request_id and _GIVEN.fullmatch(request_id):
        found = request_id.replace("-", "").lower()
    else:
        found = _trace_id(traceparent or "")
    return found if found.strip("0") else None


def _trace_id(traceparent: str) -> str:
    match = _TRACEPARENT.match(traceparent[:200])
    if match is None:
        return ""
    rest = traceparent[match.end() :]
    is_known = not rest or (rest.startswith("-") and _LATER.match(traceparent) is not None)
    return match[1] if is_known else ""


def _new() -> str:
    """A new id. It need not be unguessable, so the kernel is not asked: under that call the thread would let go of the
    interpreter."""
    return f"{getrandbits(128):032x}"


def begin(
    values: Callable[[], Iterable[str]], given_id: str | None = None
) -> tuple[CurrentRequest, Token[CurrentRequest | None]]:
    """Start a request with the id that was given, or a new one; the caller ends it with the token."""
    request = CurrentRequest(given_id or _new(), values)
    return request, _current.set(request)


def end(token: Token[CurrentRequest | None]) -> None:
    _current.reset(token)


def current() -> CurrentRequest | None:
    """The request that this thread answers; None outside of any."""
    return _current.get()


def as_uuid() -> UUID | None:
    """The current request's id as it is stored; None outside of any."""
    request = _current.get()
    return UUID(hex=request.id) if request is not None else None


@contextmanager
def resumed(stored: UUID | None) -> Iterator[None]:
    """Do something for a request that was answered before: its id is on the lines and on the calls in the block."""
    token = _current.set(CurrentRequest(stored.hex, tuple) if stored is not None else None)
    try:
        yield
    finally:
        _current.reset(token)


def within(request: CurrentRequest, parts: Iterable[_Part]) -> Iterator[_Part]:
    """The parts of a stream, each made as a part of the request, which had ended by then."""
    iterator = iter(parts)
    while True:
        token = _current.set(request)
        try:
            part = next(iterator)
        except StopIteration:
            return
        finally:
            _current.reset(token)
        yield part


def note(**about: str | int | None) -> None:
    """Add what is known of the caller to the line of the access log."""
    request = _current.get()
    if request is not None:
        request.about.update({name: value for name, value in about.items() if value is not None})
