"""E-mail gateway for the HTTP APIs of mail services, with django-anymail: Postmark, Mailgun, Brevo, Resend and others.

| result of the request                                                     | outcome                          |
|---------------------------------------------------------------------------|----------------------------------|
| the service's own code is known (`esp_codes`)                             | that of the code                 |
| the recipient queued or sent; any other 2xx, whatever its body            | Receipt                          |
| the recipient rejected or invalid, as anymail reads the answer            | permanent refusal                |
| 400, 422 to an address with accents before the @                          | unsupported by this service      |
| 429                                                                       | throttled, no attempt lost       |
| any other 4xx, 503; no connection, no TLS                                 | temporary refusal, next provider |
| a message that anymail cannot express for this service                    | unsupported by this service      |
| any other 5xx; no answer or a cut after the request was sent              | OutcomeUnknown                   |

Our message's id is sent as metadata, where the service has any, and its reports repeat it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import requests
from anymail.exceptions import AnymailError
from django.core.exceptions import ImproperlyConfigured

from messaging.gateways import esp_codes, http, mail
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt
from messaging.gateways.codes import PERMANENT, Code, Outcome
from messaging.gateways.url import GatewayUrl


@dataclass(frozen=True)
class Service:
    """anymail's parameters for the user, the password and the options of a service's URL."""

    backend: str
    user: str
    password: str = ""
    options: Mapping[str, str] | None = None
    metadata: bool = True


SERVICES: Mapping[str, Service] = {
    "postmark": Service("postmark", "server_token", options={"stream": "message_stream"}),
    "mailgun": Service("mailgun", "api_key", options={"domain": "sender_domain"}),
    "brevo": Service("brevo", "api_key"),
    "resend": Service("resend", "api_key"),
    "sparkpost": Service("sparkpost", "api_key"),
    "mandrill": Service("mandrill", "api_key"),
    "mailersend": Service("mailersend", "api_token", metadata=False),
    "mailjet": Service("mailjet", "api_key", "secret_key"),
}


class EspGateway:
    """Account at a mail service. Holds no connection, so threads may share it."""

    own_process = False

    def __init__(self, url: GatewayUrl, keys: Mapping[str, Any]) -> None:
        self.name = f"{url.scheme}:{url.host}"[:100] if url.host else url.scheme
        self.service = url.scheme
        self._class = import_module(f"anymail.backends.{SERVICES[url.scheme].backend}").EmailBackend
        self._keys = keys
        self._hidden = [value for value in (url.user, url.password) if value]

    def __repr__(self) -> str:
        return f"<EspGateway {self.name}>"

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        with self.session() as session:
            return session.send(message, secret)

    @contextmanager
    def session(self) -> Iterator["_Session"]:
        """Several messages over one HTTP connection, for one thread."""
        backend = self.backend()
        backend.open()
        backend.session.max_redirects = 0  # a redirected POST loses our message
        try:
            yield _Session(self, backend)
        finally:
            backend.close()

    def backend(self) -> Any:
        return self._class(timeout=(http.CONNECT_TIMEOUT, http.READ_TIMEOUT), fail_silently=False, **self._keys)

    def cleaned(self, text: str, secret: str | None) -> str:
        """A text fit to be stored: without our keys and the code, on one line."""
        return http.cleaned(text, secret, *self._hidden)


class _Session:
    def __init__(self, gateway: EspGateway, backend: Any) -> None:
        self._gateway = gateway
        self._backend = backend
        self._response: requests.Response | None = None
        backend.session.hooks["response"].append(self._keep_response)

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        email = mail.compose(message, secret)
        if SERVICES[self._gateway.service].metadata:
            email.metadata = {mail.METADATA: str(message.id)}  # type: ignore[attr-defined]  # anymail's own
        self._response, failure = None, None
        try:
            self._backend.send_messages([email])
        except (AnymailError, LookupError, TypeError, ValueError, AttributeError) as error:
            failure = error  # anymail's own, or one from an answer that it does not expect
        outcome = self._outcome(email, message, failure, secret)
        if isinstance(outcome, Receipt):
            return outcome
        raise outcome  # outside the except block: its context would quote the payload

    def _keep_response(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._response = response

    def _outcome(
        self, email: Any, message: Outgoing, failure: Exception | None, secret: str | None
    ) -> Receipt | GatewayError | OutcomeUnknown:
        if self._response is None:
            return self._unanswered(failure, secret)
        reply = _reply(self._response)
        status = getattr(email, "anymail_status", None)
        states = {str(state) for state in getattr(status, "status", None) or ()}
        text = self._gateway.cleaned(
            f"{reply.status} {reply.error_text.strip() or self._response.reason or ''}", secret
        )
        known = esp_codes.classify(self._gateway.service, reply) or _by_states(states)
        if known is None and (reply.is_taken or states & {"sent", "queued"}):
            status_text = f"{self._gateway.name}: {', '.join(sorted(states)) or 'taken, without a word we can read'}"
            return Receipt(http.identifier(getattr(status, "message_id", None)) or str(message.id), status_text)
        if reply.status in _ABOUT_THE_REQUEST and not message.recipient.rpartition("@")[0].isascii():
            return GatewayError(text, permanent=True, unsupported=True)
        if known is not None:
            refusal = Code(known, text).to_exception(text, retry_after=http.retry_after(reply.headers))
            if isinstance(refusal, GatewayError):
                refusal.hard_bounce = refusal.permanent and esp_codes.is_hard_bounce(self._gateway.service, reply)
            return refusal
        return http.classify(reply, text)

    def _unanswered(self, failure: Exception | None, secret: str | None) -> GatewayError | OutcomeUnknown:
        cause = getattr(failure, "__cause__", None)
        if isinstance(failure, AnymailError) and not isinstance(failure, requests.RequestException):
            return GatewayError(self._gateway.cleaned(str(failure), secret), permanent=True, unsupported=True)
        text = f"{self._gateway.name}: sin respuesta ({type(cause or failure).__name__})"
        never_sent = failure is not None and (http.never_sent(failure) or (cause and http.never_sent(cause)))
        return GatewayError(text, permanent=False) if never_sent else OutcomeUnknown(text)


_ABOUT_THE_REQUEST = frozenset({400, 422})


def _by_states(states: set[str]) -> Outcome | None:
    """The outcome by the recipient's status, as anymail reads the answer."""
    return PERMANENT if states & {"invalid", "rejected"} and not states & {"sent", "queued"} else None


def _reply(response: requests.Response) -> http.Reply:
    """The answer in the form of `http.Reply`; a body that broke off counts as empty."""
    body = b""
    with suppress(requests.RequestException, RuntimeError, OSError):
        body = response.content[: http.MAX_REPLY_SIZE]
    return http.Reply(response.status_code, response.headers, body.decode("utf-8", "replace"))


def from_url(url: GatewayUrl, via: str) -> Gateway:
    """Make a gateway from `postmark://SERVER_TOKEN@/`, `mailgun://KEY@/?domain=mg.example.com` or the like.

    `?api=https://...`: another address of the API, such as a region or a proxy. Raises BadGatewayUrl.
    """
    service = SERVICES[url.scheme]
    if not url.user or bool(url.password) != bool(service.password):
        url.refuse("it needs its key before the @" + (", as KEY:SECRET" if service.password else " and nothing else"))
    own = dict(service.options or {})
    url.allow_options("api", *own)
    keys: dict[str, Any] = {service.user: url.user}
    if service.password:
        keys[service.password] = url.password
    keys |= {own[name]: value for name, value in url.options.items() if name in own}
    if "api" in url.options:
        url.check_address("api")
        keys["api_url"] = url.options["api"]
    gateway = EspGateway(url, keys)
    try:
        gateway.backend()
    except ImproperlyConfigured:
        url.refuse("its options are not complete")
    return gateway
