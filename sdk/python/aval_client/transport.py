"""HTTP calls with timeouts, retries and a deadline."""

import itertools
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import httpx

from aval_client.answers import Answer
from aval_client.errors import ApiError, BrokenAnswer, NoAnswer, error_of
from aval_client.retries import Retries

KEY = "Idempotency-Key"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Call:
    """One call of the API. It may be repeated if it changes nothing or has an idempotency key."""

    method: str
    path: str
    credential: str | None = None
    body: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    is_safe: bool = False
    idempotency_key: str | None = None
    is_result: Callable[[Any], bool] = lambda body: False
    """Whether the body of a 400 is a result all the same."""

    @property
    def may_repeat(self) -> bool:
        return self.is_safe or self.idempotency_key is not None

    def headers(self) -> dict[str, str]:
        found = {"Accept": "application/json"}
        if self.credential is not None:
            found["Authorization"] = f"Bearer {self.credential}"
        if self.body is not None:
            found["Content-Type"] = "application/json"
        if self.idempotency_key is not None:
            found[KEY] = self.idempotency_key
        return found

    def content(self) -> bytes | None:
        return None if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()

    def succeeded(self, answer: Answer) -> bool:
        return 200 <= answer.status < 300 or (answer.status == 400 and self.is_result(answer.json_or_none()))


def segment(value: object) -> str:
    """A value as one segment of a path. `.` and `..` would name another path."""
    text = str(value)
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} cannot be a part of a path")
    return quote(text, safe="")


def new_key() -> str:
    return str(uuid.uuid4())


class Clock(Protocol):
    """What the client needs of the module `time`."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


class Transport:
    """Sends calls to one installation. Threads may share it."""

    def __init__(self, url: str, http: httpx.Client, retries: Retries, timeout: httpx.Timeout, clock: Clock) -> None:
        self.clock = clock
        self._url = url.rstrip("/")
        self._http = http
        self._retries = retries
        self._timeout = timeout

    def send(self, call: Call) -> Answer:
        """The answer to a call that succeeded. Raises ApiError or NoAnswer."""
        return self._repeated(call, lambda until: self._answer(call, until))

    def json(self, call: Call) -> Any:
        """The decoded body of the answer to a call."""
        return self.json_and_answer(call)[0]

    def json_and_answer(self, call: Call) -> tuple[Any, Answer]:
        answer = self.send(call)
        return _decoded(call, answer), answer

    def open(self, call: Call, *, read_timeout: float) -> httpx.Response:
        """The answer to a call whose body the caller reads and closes. Only its beginning is tried again."""

        def attempt(until: float) -> httpx.Response:
            response = self._begin(call, until, read_timeout=read_timeout)
            if response.is_success:
                return response
            with closing(response):
                raise error_of(self._read(response, until))

        return self._repeated(call, attempt)

    def _answer(self, call: Call, until: float) -> Answer:
        with closing(self._begin(call, until)) as response:
            answer = self._read(response, until)
        if not call.succeeded(answer):
            raise error_of(answer)
        return answer

    def _begin(self, call: Call, until: float, *, read_timeout: float | None = None) -> httpx.Response:
        """The answer's status and headers. No timeout is longer than what is left of the deadline."""
        left = max(0.001, until - self.clock.monotonic())
        limits = {name: left if most is None else min(most, left) for name, most in self._timeout.as_dict().items()}
        timeout = httpx.Timeout(**{**limits, "read": read_timeout or limits["read"]})
        request = self._http.build_request(
            call.method,
            self._url + call.path,
            params=call.params,
            headers=call.headers(),
            content=call.content(),
            timeout=timeout,
        )
        with transport_errors():
            return self._http.send(request, stream=True, follow_redirects=False)

    def _read(self, response: httpx.Response, until: float) -> Answer:
        """The whole answer. A body that comes in drops ends at the deadline, too."""
        parts = []
        with transport_errors():
            for part in response.iter_bytes():
                parts.append(part)
                if self.clock.monotonic() > until:
                    raise NoAnswer("the answer was not complete at the deadline")
        return Answer(response.status_code, response.reason_phrase, response.headers, b"".join(parts))

    def _repeated(self, call: Call, attempt: Callable[[float], Result]) -> Result:
        until = self.clock.monotonic() + self._retries.deadline
        for number in itertools.count(1):
            try:
                return attempt(until)
            except (ApiError, NoAnswer) as error:
                wait = self._wait(call, number, error)
                if wait is None or self.clock.monotonic() + wait >= until:
                    raise
            self.clock.sleep(wait)
        raise AssertionError("count() has no end")

    def _wait(self, call: Call, attempt: int, error: ApiError | NoAnswer) -> float | None:
        """Seconds before the next attempt; None if there is to be none."""
        if not call.may_repeat or attempt >= self._retries.attempts:
            return None
        if isinstance(error, NoAnswer):
            return self._retries.wait(attempt, None)
        return self._retries.wait(attempt, error.retry_after) if error.is_temporary else None


def _decoded(call: Call, answer: Answer) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError as fault:
        raise BrokenAnswer(f"{call.method} {call.path}: the body is no JSON") from fault


@contextmanager
def transport_errors() -> Iterator[None]:
    """Faults of the connection as NoAnswer."""
    try:
        yield
    except httpx.TransportError as fault:
        raise NoAnswer(f"{type(fault).__name__}: {fault}") from fault
    except httpx.DecodingError as fault:
        raise BrokenAnswer(str(fault)) from fault
