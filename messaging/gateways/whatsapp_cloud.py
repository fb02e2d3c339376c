"""WhatsApp gateway on Meta's Cloud API: `whatsapp-cloud://TOKEN@/PHONE_NUMBER_ID?template=codigo`.

| option     | meaning                                                                                            |
|------------|----------------------------------------------------------------------------------------------------|
| `template` | the approved authentication template whose one parameter is the code, with its copy-code button    |
| `lang`     | the template's language; `es` by default                                                           |
| `version`  | the Graph API's version                                                                            |
| `api`      | another address of the API: a proxy, a test's own server                                           |

A message's time to live is a property of its template: `manage.py whatsapp_template` creates one whose messages Meta
drops after 2 minutes, within a code's lifetime. Our message's id is sent as `biz_opaque_callback_data`, and every
receipt repeats it.
"""

import re
from typing import Any

from clients.identity.phones import to_e164
from messaging.gateways import http
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt, Unsendable
from messaging.gateways.url import GatewayUrl
from messaging.gateways.whatsapp_codes import REQUEST

API = "https://graph.facebook.com"
VERSION = "v24.0"
LANGUAGE = "es"

_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]")
_NAME = re.compile(r"[a-z0-9_]{1,512}")


class WhatsAppCloudGateway:
    """Business telephone number at Meta. Holds no connection, so threads may share it."""

    own_process = False

    def __init__(self, url: GatewayUrl) -> None:
        self._token = url.user
        self._template = url.options["template"]
        self._language = url.options.get("lang", LANGUAGE)
        self._endpoint = address_of(url, f"{url.path.strip('/')}/messages")
        self.name = f"whatsapp-cloud:{url.path.strip('/')}"[:100]

    def __repr__(self) -> str:
        return f"<WhatsAppCloudGateway {self.name}>"

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        reply = http.call(
            "POST", self._endpoint, headers={"Authorization": f"Bearer {self._token}"}, json=self._body(message, secret)
        )
        answer = reply.json_object or {}
        if reply.is_taken:
            return _receipt(answer, message)
        raise self._classify(reply, answer.get("error"), secret)

    def _body(self, message: Outgoing, secret: str | None) -> dict[str, Any]:
        if secret is None:
            raise Unsendable("por WhatsApp solo salen códigos")
        try:
            number = to_e164(message.recipient).lstrip("+")
        except ValueError:
            raise Unsendable("el destino no es un celular") from None
        code = [{"type": "text", "text": secret}]
        return {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": number,
            "type": "template",
            "template": {
                "name": self._template,
                "language": {"code": self._language},
                "components": [
                    {"type": "body", "parameters": code},
                    {"type": "button", "sub_type": "url", "index": "0", "parameters": code},
                ],
            },
            "biz_opaque_callback_data": str(message.id),
        }

    def _classify(self, reply: http.Reply, error: Any, secret: str | None) -> GatewayError | OutcomeUnknown:
        """The outcome by Meta's own code where the table has it: permanent errors come with 400, 500 and even 503."""
        error = error if isinstance(error, dict) else {}
        number = http.number(error.get("code"))
        known = REQUEST.get(number) if number is not None else None
        which = reply.status if number is None else f"{reply.status}/{number}"
        text = http.cleaned(f"whatsapp {which}: {known.reason if known else reply.error_text}", secret, self._token)
        if known is not None:
            return known.to_exception(text, retry_after=http.retry_after(reply.headers))
        return http.classify(reply, text)


def address_of(url: GatewayUrl, path: str) -> str:
    """The URL of a path of the Graph API, at the address and version of the gateway's URL."""
    return f"{url.options.get('api', API).rstrip('/')}/{url.options.get('version', VERSION)}/{path}"


def from_url(url: GatewayUrl, via: str) -> Gateway:
    """Make a gateway. Raises BadGatewayUrl: a part that Meta needs is missing, or an option is not known."""
    if not url.user or url.password:
        url.refuse("it needs its token before the @ and nothing else")
    if url.host or url.port:
        url.refuse("it has no host; another address of the API is named by the option api")
    if not url.path.strip("/").isdigit():
        url.refuse("its path must be the id of the telephone number, in digits")
    url.allow_options("template", "lang", "version", "api")
    if not _NAME.fullmatch(url.options.get("template", "")):
        url.refuse("it needs the option template, the name of an approved authentication template")
    if not _VERSION.fullmatch(url.options.get("version", VERSION)):
        url.refuse("its option version must look like v24.0")
    url.check_address("api")
    return WhatsAppCloudGateway(url)


def _receipt(answer: dict[str, Any], message: Outgoing) -> Receipt:
    """The receipt of a taken message, with Meta's id if it can be read. Meta's reports repeat our id in any case."""
    try:
        [made] = answer["messages"]
        name, status = http.identifier(made["id"]), made.get("message_status", "accepted")
    except (KeyError, TypeError, ValueError, AttributeError):
        name, status = "", ""
    if not name:
        return Receipt(str(message.id), "whatsapp: taken, without a word we can read")
    return Receipt(name, http.cleaned(f"whatsapp: {status}"))
