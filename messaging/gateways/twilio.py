"""Twilio gateway for SMS, WhatsApp and voice, on its official SDK: `twilio://SID:TOKEN@/?from=%2B12025550123`.

| option        | meaning                                                                                        |
|---------------|------------------------------------------------------------------------------------------------|
| `from`        | the number or name we send from; for SMS and WhatsApp a messaging service's SID (MG...) also   |
| `content`     | WhatsApp: the SID (HX...) of the approved authentication template; its variable 1 is the code  |
| `voice`       | voice: the name of the voice that reads, as in TwiML's `<Say>`; by default Polly's Mia         |
| `api`         | another address of the API: a region, a proxy, a test's own server                             |

A code's remaining lifetime is sent as `validity_period`. Twilio has no field for our message's id, so the callback URL
contains it. The URL is sent only where PUBLIC_URL can be reached from outside.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from clients.identity.phones import to_e164
from messaging.gateways import http
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt, Unsendable
from messaging.gateways.spoken import twiml
from messaging.gateways.twilio_codes import RECEIPT, REQUEST
from messaging.gateways.url import GatewayUrl

PATH = "/recibos/twilio/"
"""Path of the callback URL under PUBLIC_URL; the message's id follows (external_api.receipts)."""
MIN_VALIDITY, MAX_VALIDITY = 1, 36_000
"""Seconds: the range of Twilio's `validity_period`."""
RING_SECONDS = 25
"""Seconds that a telephone rings before a call counts as not answered."""
VOICE = "Polly.Mia"  # Mexican Spanish, the nearest to Peru's among Twilio's standard voices

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_BY_STATUS = frozenset({429, 503})
"""Statuses that count more than the error code: they come with Retry-After."""
_FAILED = frozenset({"failed", "undelivered", "canceled", "cancelled", "busy", "no-answer"})
"""Statuses of messages that Twilio creates and never sends."""


class TwilioGateway:
    """Twilio account with one sender. Holds no connection, so threads may share it."""

    own_process = False

    def __init__(self, url: GatewayUrl, via: str) -> None:
        self._sid, self._token = url.user, url.password
        self._from = url.options["from"]
        self._content = url.options.get("content", "")
        self._voice = url.options.get("voice", VOICE)
        self._client = Client(url.user, url.password, http_client=_HttpClient(url.options.get("api", "")))
        self._send: Callable[[Outgoing, str | None], Any] = {"S": self._sms, "W": self._whatsapp, "I": self._call}[via]
        self.name = f"twilio:{via}:{self._from}"[:100]

    def __repr__(self) -> str:
        return f"<TwilioGateway {self.name}>"

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        try:
            made = self._send(message, secret)
        except _Refused as refusal:
            outcome = self._classify(refusal.reply, secret)
        else:
            status = made.status or "taken, without a word we can read"
            if str(status).lower() not in _FAILED:
                return Receipt(provider_id=made.sid or str(message.id), reply=http.cleaned(f"twilio: {status}"))
            outcome = _created_and_failed(str(status), http.number(getattr(made, "error_code", None)))
        raise outcome  # outside the except block: its context may quote the code

    def _sms(self, message: Outgoing, secret: str | None) -> Any:
        return self._client.messages.create(
            to=_number(message),
            body=message.text_with(secret),
            validity_period=_validity(message.send_before),
            **self._sender(""),
            **_report_to(message.id),
        )

    def _whatsapp(self, message: Outgoing, secret: str | None) -> Any:
        content: dict[str, Any] = {"body": message.text_with(secret)}
        if self._content:
            content = {"content_sid": self._content, "content_variables": json.dumps({"1": secret or message.text})}
        return self._client.messages.create(
            to=f"whatsapp:{_number(message)}",
            validity_period=_validity(message.send_before),
            **content,
            **self._sender("whatsapp:"),
            **_report_to(message.id),
        )

    def _call(self, message: Outgoing, secret: str | None) -> Any:
        return self._client.calls.create(
            to=_number(message),
            from_=self._from,
            timeout=RING_SECONDS,
            twiml=twiml(message.text, secret, voice=self._voice),
            **_report_to(message.id),
        )

    def _sender(self, channel: str) -> dict[str, str]:
        if self._from.startswith("MG"):
            return {"messaging_service_sid": self._from}
        return {"from_": channel + self._from}

    def _classify(self, reply: http.Reply, secret: str | None) -> GatewayError | OutcomeUnknown:
        """The outcome by Twilio's own code where the table has it, else by the status."""
        answer = reply.json_object or {}
        number = http.number(answer.get("code"))
        known = REQUEST.get(number) if number is not None else None
        content = known.reason if known else str(answer.get("message") or reply.error_text)
        which = reply.status if number is None else f"{reply.status}/{number}"
        kept = http.cleaned(f"twilio {which}: {content}", secret, self._token, self._sid)
        if known is None or reply.status >= 500 or reply.status in _BY_STATUS:
            return http.classify(reply, kept)
        return known.to_exception(kept, retry_after=http.retry_after(reply.headers))


class _Refused(Exception):
    """An unsuccessful answer. Raised before the SDK sees it, which knows two forms of one and drops Retry-After."""

    def __init__(self, reply: http.Reply) -> None:
        super().__init__()
        self.reply = reply


class _HttpClient(HttpClient):
    """HTTP client of the SDK on `messaging.gateways.http`: our timeouts, no redirects, a limited answer, our errors.

    Of a successful answer the SDK sees only the fields that we read, in the types that it expects.
    """

    def __init__(self, api: str) -> None:
        self._api = api

    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        if self._api:
            own, asked = urlsplit(self._api), urlsplit(url)
            url = urlunsplit((own.scheme, own.netloc, own.path.rstrip("/") + asked.path, asked.query, ""))
        reply = http.call(method, url, auth=auth, headers=headers, params=params, data=data)
        if not reply.is_taken:
            raise _Refused(reply)
        answer = reply.json_object or {}
        status, error_code = answer.get("status"), http.number(answer.get("error_code"))
        made = {"sid": http.identifier(answer.get("sid")), "status": status if isinstance(status, str) else None}
        return Response(reply.status, json.dumps({**made, "error_code": error_code}), dict(reply.headers))


def from_url(url: GatewayUrl, via: str) -> Gateway:
    """Make a gateway. Raises BadGatewayUrl: a part that Twilio needs is missing, or an option is not known."""
    if not url.user or not url.password:
        url.refuse("it needs twilio://SID:TOKEN@/")
    if url.host or url.port or url.path:
        url.refuse("it has no host; another address of the API is named by the option api")
    url.allow_options("from", "api", *({"W": ["content"], "I": ["voice"]}.get(via, [])))
    if not url.options.get("from"):
        url.refuse("it needs the option from, a number written %2B...")
    if via == "I" and url.options["from"].startswith("MG"):
        url.refuse("a messaging service cannot call")
    url.check_address("api")
    return TwilioGateway(url, via)


def _created_and_failed(status: str, number: int | None) -> GatewayError | OutcomeUnknown:
    """The outcome of a message that was created and failed at once: permanent, unless its code has another outcome."""
    known = REQUEST.get(number) if number else None
    if known is not None:
        return known.to_exception(http.cleaned(f"twilio {status}/{number}: {known.reason}"))
    reason = f"/{number}: {RECEIPT.get(number, 'motivo de Twilio')}" if number else ""
    return GatewayError(http.cleaned(f"twilio {status}{reason}"), permanent=True)


def _number(message: Outgoing) -> str:
    try:
        return to_e164(message.recipient)
    except ValueError:
        raise Unsendable("el destino no es un celular") from None


def _validity(send_before: datetime | None) -> int:
    """Seconds that Twilio may keep the message in its queue."""
    if send_before is None:
        return MAX_VALIDITY
    left = int((send_before - timezone.now()).total_seconds())
    return max(MIN_VALIDITY, min(left, MAX_VALIDITY))


def _report_to(message_id: UUID) -> dict[str, str]:
    public = urlsplit(settings.PUBLIC_URL)
    if public.scheme != "https" or public.hostname in _HERE:
        return {}
    return {"status_callback": f"{settings.PUBLIC_URL}{PATH}{message_id}"}
