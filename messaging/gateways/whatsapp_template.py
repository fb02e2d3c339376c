"""Authentication template for codes: created and read through Meta's Business Management API.

Meta stores a message's time to live with its template (`message_send_ttl_seconds`, 30 to 900 for authentication) and
drops what has not arrived by then, so that no code arrives expired. A code lives 150 s.
"""

from dataclasses import dataclass
from typing import Any

from messaging.gateways import accounts, http
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.gateways.url import GatewayUrl
from messaging.gateways.whatsapp_cloud import LANGUAGE, address_of

TTL_SECONDS = 120
CODE_LIFE_SECONDS = 150
EXPIRATION_MINUTES = 2
"""Minutes in the footer; whole minutes, rounded down."""


class TemplateFault(Exception):
    """Meta refused, or no WHATSAPP_URL is set. The text says what is missing, without the token."""


@dataclass(frozen=True)
class Template:
    """Template as Meta has it."""

    name: str
    language: str
    status: str  # APPROVED, PENDING, REJECTED, PAUSED, DISABLED
    ttl_seconds: int | None

    @property
    def outlives_a_code(self) -> bool:
        return self.ttl_seconds is None or not 0 < self.ttl_seconds <= CODE_LIFE_SECONDS


def make(business_account: str) -> str:
    """Create the template that WHATSAPP_URL names; return its status. Raises TemplateFault."""
    url = _account()
    name, language = _wanted(url)
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


def look(business_account: str) -> Template | None:
    """The template that WHATSAPP_URL names, as Meta has it, or None. Raises TemplateFault."""
    url = _account()
    name, language = _wanted(url)
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
        raise TemplateFault("WHATSAPP_URL names no whatsapp-cloud:// gateway.")
    return found[0]


def _wanted(url: GatewayUrl) -> tuple[str, str]:
    return url.options["template"], url.options.get("lang", LANGUAGE)


def _call(method: str, url: GatewayUrl, path: str, **more: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {url.user}"}
    try:
        reply = http.call(method, address_of(url, path), headers=headers, **more)
    except (GatewayError, OutcomeUnknown) as fault:
        raise TemplateFault(f"Meta does not answer: {fault.reply}.") from None
    said = reply.said
    if said is None:
        raise TemplateFault("Meta's answer cannot be read.")
    if not reply.is_taken:
        error = said.get("error")
        words = str((error or {}).get("error_user_msg") or (error or {}).get("message") or reply.status)
        raise TemplateFault(f"Meta refuses: {http.cleaned(words, url.user)}")
    return said
