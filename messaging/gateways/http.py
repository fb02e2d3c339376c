"""HTTP client for providers' APIs: one request, and the outcome of answers without a known error code.

| result of the request                                        | outcome                            |
|--------------------------------------------------------------|------------------------------------|
| any 2xx, whatever its body                                   | taken                              |
| 429                                                          | throttled, no attempt lost         |
| any other 4xx, 503; no connection, no TLS                    | temporary refusal, next provider   |
| any other 5xx, 3xx; no answer or a cut after the body left   | OutcomeUnknown                     |

Known error codes are in the provider's own table. A 4xx alone never means that the error is about the recipient: 400
and 422 also come for an account without credit, 401 for a wrong key. Redirects are not followed: our message is not
sent to a second address, and the first one may have taken it. Every call has a connection of its own: a failure of a
kept connection could not be told from one that happened during our request.
"""

import html
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError, SSLError

from clients import request_id
from messaging.gateways.base import MASK, GatewayError, OutcomeUnknown

CONNECT_TIMEOUT, READ_TIMEOUT = 3.0, 10.0
"""Seconds."""
TOTAL_TIMEOUT = 20.0
"""Seconds for the whole answer: below the 30 of a hand-over's lease."""
MAX_REPLY_SIZE = 64 * 1024
"""Bytes; what comes after them is not read."""
REPLY_LENGTH = 300
"""Characters of a reply that are stored: as many as a message's row holds."""
ID_LENGTH = 200
_ERROR_FIELDS = frozenset(
    {
        "code",
        "errorcode",
        "error_code",
        "name",
        "reject_reason",
        "message",
        "errormessage",
        "description",
        "detail",
        "details",
        "title",
        "reason",
        "error",
    }
)
"""Names of JSON fields with error codes and texts, in lower case."""
_MAX_DEPTH = 6
SEARCHED_LENGTH = 4096
"""Characters of a page that are searched for its text."""
_TAGS = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """A provider's answer, with any status and at most MAX_REPLY_SIZE bytes of its body."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300

    @property
    def parsed(self) -> Any:
        """JSON of the body; None if it has none."""
        try:
            return json.loads(self.body, parse_int=_integer)
        except (ValueError, RecursionError):
            return None

    @property
    def json_object(self) -> dict[str, Any] | None:
        """The JSON object in the body; None where there is none."""
        found = self.parsed
        return found if isinstance(found, dict) else None

    @property
    def error_text(self) -> str:
        """The error text in the body: the error fields of JSON, the text of HTML."""
        found = " ".join(_error_texts(self.parsed))
        return found or html.unescape(_TAGS.sub(" ", self.body[:SEARCHED_LENGTH]))


def call(
    method: str,
    url: str,
    *,
    auth: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    params: Any = None,
    data: Any = None,
    json: Any = None,
) -> Reply:
    """Send one request. Raises GatewayError: it never left; OutcomeUnknown: it left and no status came back.

    A body that breaks off or takes too long is cut: the status is enough.
    """
    began = time.monotonic()
    try:
        with (
            requests.Session() as session,
            session.request(
                method,
                url,
                auth=auth,
                headers={**(headers or {}), **_tracing()},
                params=params,
                data=data,
                json=json,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            body = _body(response, until=began + TOTAL_TIMEOUT)
            return Reply(response.status_code, response.headers, body.decode("utf-8", "replace"))
    except (requests.RequestException, OSError) as error:
        text = f"sin respuesta ({type(error).__name__})"
        ended: Exception = GatewayError(text, permanent=False) if never_sent(error) else OutcomeUnknown(text)
    raise ended  # out here it does not carry the original, which quotes the request


def _tracing() -> dict[str, str]:
    """Header with the id of the request that caused the call, so that a provider can be asked about it."""
    request = request_id.current()
    return {request_id.HEADER: request.id} if request else {}


def classify(reply: Reply, text: str) -> GatewayError | OutcomeUnknown:
    """The outcome of an unsuccessful answer by its status, where the provider's own code is not known."""
    if 400 <= reply.status < 500 or reply.status == 503:
        return GatewayError(
            text, permanent=False, retry_after=retry_after(reply.headers), throttled=reply.status == 429
        )
    return OutcomeUnknown(text)


def number(value: Any) -> int | None:
    """An error code, a number or a string of digits, as a number; None where it is neither."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None


def identifier(value: Any) -> str:
    """A provider's id for a message, fit to be stored; empty where it is not a valid one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:ID_LENGTH]
    return value.strip()[:ID_LENGTH] if isinstance(value, str) and value.isprintable() else ""


def never_sent(error: BaseException) -> bool:
    """True if the connection failed before the request left; requests raises the same class for before and after."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError):
        return True
    inner = error.args[0] if error.args else None
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    return isinstance(reason, NewConnectionError | ConnectTimeoutError | SSLError)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds in the header Retry-After; None where it is missing or an HTTP date."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 5 else None


def cleaned(text: str, *hidden: str | None) -> str:
    """A text fit to be stored: one printable line of at most REPLY_LENGTH characters, without our keys and the code."""
    for each in hidden:
        if each:
            text = re.sub(re.escape(each), MASK, text, flags=re.IGNORECASE)
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[:REPLY_LENGTH]


def _integer(digits: str) -> int | str:
    """An integer; a string where it is too long, because Python's limit on digits would fail the whole body."""
    return int(digits) if len(digits) <= 20 else digits


def _error_texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Texts and numbers of the error fields, in their order."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for each in value[:5]:
            yield from _error_texts(each, depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            if isinstance(each, dict | list):
                yield from _error_texts(each, depth + 1)
            elif name.lower() in _ERROR_FIELDS and isinstance(each, str | int) and each != "":
                yield str(each)


def _body(response: requests.Response, *, until: float) -> bytes:
    """The part of the body that arrives within the time and the size."""
    read = b""
    with suppress(OSError, HTTPError):
        while len(read) < MAX_REPLY_SIZE and time.monotonic() < until:
            part = response.raw.read1(MAX_REPLY_SIZE - len(read), decode_content=True)
            if not part:
                break
            read += part
    return read
