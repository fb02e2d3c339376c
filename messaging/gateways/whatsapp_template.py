"""WhatsApp's authentication template for codes: created and checked through Meta's Business Management API.

A message's time to live is set in its template (`message_send_ttl_seconds`, 30 to 900 for authentication). Meta drops
messages that have not arrived by then, so that no code arrives after its lifetime of 150 s.
"""

from dataclasses import dataclass
from typing import Any

from messaging.gateways import accounts, http
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.gateways.url import GatewayUrl
from messaging.gateways.whatsapp_cloud import LANGUAGE, address_of

TTL_SECONDS = 120
CODE_LIFETIME_SECONDS = 150
EXPIRATION_MINUTES = 2
"""Minutes in the text of the footer, rounded down."""


class TemplateError(Exception):
    """Meta refused, or WHATSAPP_URL names no gateway. The text is the reason, without the token."""


@dataclass(frozen=True)
class Template:
    """A template at Meta."""

    name: str
    language: str
    status: str  # APPROVED, PENDING, REJECTED, PAUSED, DISABLED
    ttl_seconds: int | None

    @property
    def outlives_a_code(self) -> bool:
        return self.ttl_seconds is None or not 0 < self.ttl_seconds <= CODE_LIFETIME_SECONDS


def create(business_account: str) -> str:
    """Create the template that WHATSAPP_URL names. Returns its status at Meta. Raises TemplateError."""
    url = _account()
    name, language = _name_and_language(url)
    answer = _call(
        "POST",
        url,
        f"{business_account}/message_templates",
        json={
            "name": name,
            "language": language,
            "category": "AUTHENTICATION",
            "message_send_ttl_seconds": TTL_SECONDS,
            "components": [
                {"type": "BODY", "add_security_recommendation": True},
                {"type": "FOOTER", "code_expiration_minutes": EXPIRATION_MINUTES},
                {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]},
            ],
        },
    )
    return str(answer.get("status", "PENDING"))


def find(business_account: str) -> Template | None:
    """Find the template that WHATSAPP_URL names. None: Meta has none with its name and language.

    Raises TemplateError.
    """
    url = _account()
    name, language = _name_and_language(url)
    params = {"name": name, "fields": "name,language,status,message_send_ttl_seconds", "limit": "100"}
    answer = _call("GET", url, f"{business_account}/message_templates", params=params)
    for each in answer.get("data") or ():
        if (each.get("name"), each.get("language")) == (name, language):
            ttl = each.get("message_send_ttl_seconds")
            return Template(name, language, str(each.get("status")), int(ttl) if ttl is not None else None)
    return None


def _account() -> GatewayUrl:
    found = accounts("whatsapp-cloud")
    if not found:
        raise TemplateError("WHATSAPP_URL names no whatsapp-cloud:// gateway.")
    return found[0]


def _name_and_language(url: GatewayUrl) -> tuple[str, str]:
    return url.options["template"], url.options.get("lang", LANGUAGE)


def _call(method: str, url: GatewayUrl, path: str, **more: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {url.user}"}
    try:
        reply = http.call(method, address_of(url, path), headers=headers, **more)
    except (GatewayError, OutcomeUnknown) as failure:
        raise TemplateError(f"Meta does not answer: {failure.reply}.") from None
    answer = reply.json_object
    if answer is None:
        raise TemplateError("Meta's answer cannot be read.")
    if not reply.is_taken:
        error = answer.get("error")
        words = str((error or {}).get("error_user_msg") or (error or {}).get("message") or reply.status)
        raise TemplateError(f"Meta refuses: {http.cleaned(words, url.user)}")
    return answer
