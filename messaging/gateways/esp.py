"""E-mail through the HTTP API of a mail service, by django-anymail: Postmark, Mailgun, Brevo, Resend and others.

| it ended                                                     | judgement         |
|--------------------------------------------------------------|-------------------|
| 2xx, the recipient queued or sent                            | Receipt           |
| 2xx, the recipient rejected or invalid                       | refused for good  |
| 401, 403, 408, 425, 429, 503; no connection, no TLS          | refused for now   |
| any other 4xx                                                | refused for good  |
| any other 5xx; no answer or a cut after the request was sent | OutcomeUnknown    |

401 and 403 are about our key, not about the recipient: another provider may do better, and the operator must act.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from anymail.exceptions import AnymailAPIError, AnymailError, AnymailRecipientsRefused
from django.core.exceptions import ImproperlyConfigured

from messaging.gateways import http, mail
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt
from messaging.gateways.url import GatewayUrl


@dataclass(frozen=True)
class Service:
    """What a service calls its keys, as anymail's backend takes them: the URL's user, its password, its options."""

    backend: str
    user: str
    password: str = ""
    options: Mapping[str, str] | None = None


SERVICES: Mapping[str, Service] = {
    "postmark": Service("postmark", "server_token", options={"stream": "message_stream"}),
    "mailgun": Service("mailgun", "api_key", options={"domain": "sender_domain"}),
    "brevo": Service("brevo", "api_key"),
    "resend": Service("resend", "api_key"),
    "sparkpost": Service("sparkpost", "api_key"),
    "mandrill": Service("mandrill", "api_key"),
    "mailersend": Service("mailersend", "api_token"),
    "mailjet": Service("mailjet", "api_key", "secret_key"),
}


class EspGateway:
    """One account at a mail service. Holds no connection, so threads may share it."""

    own_process = False

    def __init__(self, url: GatewayUrl, keys: Mapping[str, Any]) -> None:
        self.name = f"{url.scheme}:{url.host}"[:100] if url.host else url.scheme
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
        backend.session.max_redirects = 0  # a redirected POST is not our message any more
        try:
            yield _Session(self, backend)
        finally:
            backend.close()

    def backend(self) -> Any:
        return self._class(timeout=(http.CONNECT_TIMEOUT, http.READ_TIMEOUT), fail_silently=False, **self._keys)

    def cleaned(self, text: str, secret: str | None) -> str:
        """Fit to be kept: without our keys and the code, on one line."""
        return http.cleaned(text, secret, *self._hidden)


class _Session:
    def __init__(self, gateway: EspGateway, backend: Any) -> None:
        self._gateway = gateway
        self._backend = backend

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        email = mail.compose(message, secret)
        try:
            self._backend.send_messages([email])
        except AnymailRecipientsRefused:
            judgement: Exception = GatewayError("el servicio rechaza este destinatario", permanent=True)
        except AnymailAPIError as error:
            judgement = self._judged(error, secret)
        except AnymailError as error:  # the message is one that this service cannot take
            judgement = GatewayError(self._gateway.cleaned(str(error), secret), permanent=True)
        else:
            status = getattr(email, "anymail_status")  # noqa: B009  anymail adds it to Django's class
            states = {str(state) for state in status.status or ()}
            said = f"{self._gateway.name}: {', '.join(sorted(states)) or '?'}"
            if states & {"sent", "queued"}:
                return Receipt(provider_id=str(status.message_id or message.id)[:200], reply=said)
            refused = states & {"invalid", "rejected", "failed"}
            judgement = GatewayError(said, permanent=True) if refused else OutcomeUnknown(said)
        raise judgement  # out here it does not carry the original, whose text quotes the payload

    def _judged(self, error: Exception, secret: str | None) -> GatewayError | OutcomeUnknown:
        response = getattr(error, "response", None)
        if response is None:
            words = f"{self._gateway.name}: sin respuesta ({type(error.__cause__ or error).__name__})"
            never_sent = http.never_sent(error) or http.never_sent(error.__cause__ or error)
            return GatewayError(words, permanent=False) if never_sent else OutcomeUnknown(words)
        status = int(response.status_code)
        words = self._gateway.cleaned(f"{status} {response.reason or ''}", secret)
        return http.judged(http.Reply(status, response.headers, ""), words)


def from_url(url: GatewayUrl, via: str) -> Gateway:
    """`postmark://SERVER_TOKEN@/`, `mailgun://KEY@/?domain=mg.example.com`, `mailjet://KEY:SECRET@/`.

    `?api=https://...` names another address of the API: a region, a proxy, a test's own server.
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
