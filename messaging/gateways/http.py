"""One POST to a provider's HTTP API, and what its end means: the judgement that no API's documentation prints.

| it ended                                                     | judgement                          |
|--------------------------------------------------------------|------------------------------------|
| any 2xx, whatever its body                                   | taken                              |
| 429                                                          | refused for now, no attempt lost   |
| any other 4xx, 503; no connection, no TLS                    | refused for now, next provider     |
| any other 5xx, 3xx; no answer or a cut after the body left   | OutcomeUnknown                     |

That is for answers whose own code we do not know; what is known stands in the provider's table of codes. A 4xx alone
never says that it is about the recipient: 400 and 422 are also said to an account without credit, 401 to a wrong key.
A redirect is an answer of nobody we know: our message is not offered to a second address, and whether the first took it
cannot be told. Every call has a connection of its own: one that was kept and died meanwhile looks the same as one that
died under our message.
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

from messaging.gateways.base import MASK, GatewayError, OutcomeUnknown

CONNECT_TIMEOUT, READ_TIMEOUT = 3.0, 10.0
"""Seconds."""
TOTAL_TIMEOUT = 20.0
"""Seconds for the whole answer: below the 30 of a hand-over's lease."""
LARGEST_REPLY = 64 * 1024
"""Bytes read of an answer."""
REPLY_LENGTH = 300
"""Characters of a reply that are stored: as many as a message's row holds."""
ID_LENGTH = 200
_TELLING = frozenset(
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
"""Fields in which services say what is wrong, in lower case."""
_DEEPEST = 6
LOOKED_AT = 4096
"""Characters of a page that are searched for its text."""
_TAGS = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer of a provider: its status, and at most LARGEST_REPLY bytes of its body."""

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
    def said(self) -> dict[str, Any] | None:
        """JSON object of the body; None if it has none."""
        found = self.parsed
        return found if isinstance(found, dict) else None

    @property
    def words(self) -> str:
        """What the service says in its body: of JSON the telling fields, of HTML the text."""
        told = " ".join(_told(self.parsed))
        return told or html.unescape(_TAGS.sub(" ", self.body[:LOOKED_AT]))


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
    """One request, one answer. Raises GatewayError (it was never sent) or OutcomeUnknown (it was sent, and no status
    came back).

    A body that breaks off or arrives too slowly is cut: the status has said what counts.
    """
    began = time.monotonic()
    try:
        with (
            requests.Session() as session,
            session.request(
                method,
                url,
                auth=auth,
                headers=headers,
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
        words = f"sin respuesta ({type(error).__name__})"
        ended: Exception = GatewayError(words, permanent=False) if never_sent(error) else OutcomeUnknown(words)
    raise ended  # out here it does not carry the original, which quotes the request


def judged(reply: Reply, words: str) -> GatewayError | OutcomeUnknown:
    """Outcome of an answer that is no success, if the provider's own code says nothing better."""
    if 400 <= reply.status < 500 or reply.status == 503:
        return GatewayError(
            words, permanent=False, retry_after=retry_after(reply.headers), throttled=reply.status == 429
        )
    return OutcomeUnknown(words)


def number(value: Any) -> int | None:
    """Error code as a number, however it is written; None if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None


def identifier(value: Any) -> str:
    """Provider's id for a message, fit to be stored; empty if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:ID_LENGTH]
    return value.strip()[:ID_LENGTH] if isinstance(value, str) and value.isprintable() else ""


def never_sent(error: BaseException) -> bool:
    """Whether the connection failed before the request could be sent; requests raises one class for before and
    after."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError):
        return True
    inner = error.args[0] if error.args else None
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    return isinstance(reason, NewConnectionError | ConnectTimeoutError | SSLError)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, in the form that services send; an HTTP date is ignored."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 5 else None


def cleaned(text: str, *hidden: str | None) -> str:
    """Text fit to be stored: one printable line of at most REPLY_LENGTH characters, without our keys and the code."""
    for each in hidden:
        if each:
            text = re.sub(re.escape(each), MASK, text, flags=re.IGNORECASE)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:REPLY_LENGTH]


def _integer(digits: str) -> int | str:
    """Integer of JSON. Python refuses to read thousands of digits, and with them the whole body."""
    return int(digits) if len(digits) <= 20 else digits


def _told(value: Any, depth: int = 0) -> Iterator[str]:
    """Texts and numbers of the telling fields, in their order, each once."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for each in value[:5]:
            yield from _told(each, depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            if isinstance(each, dict | list):
                yield from _told(each, depth + 1)
            elif name.lower() in _TELLING and isinstance(each, str | int) and each != "":
                yield str(each)


def _body(response: requests.Response, *, until: float) -> bytes:
    """The body as far as time and size allow."""
    read = b""
    with suppress(OSError, HTTPError):
        while len(read) < LARGEST_REPLY and time.monotonic() < until:
            part = response.raw.read1(LARGEST_REPLY - len(read), decode_content=True)
            if not part:
                break
            read += part
    return read
