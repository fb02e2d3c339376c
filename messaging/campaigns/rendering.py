"""Rendering of a bulletin or alert for one client: text, sender, and unsubscribe link."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from clients.email_subscriptions import unsubscribe_token
from clients.models import Partner
from messaging.gateways.base import Outgoing
from messaging.models import Campaign, Message


@dataclass(frozen=True)
class _Words:
    text: str
    html: str
    of_several_companies: bool
    read_at: datetime


def letter(message: Message) -> Outgoing:
    """Mail of a campaign with its footer and its unsubscribe headers (RFC 2369, RFC 8058)."""
    words = _words(message.campaign_id or 0, timezone.now().replace(second=0, microsecond=0))
    url = unsubscribe_url(message.authorized_client_id or 0, everywhere=words.of_several_companies)
    company = _company(message.partner_id or 0, words.read_at)
    return Outgoing(
        id=message.id,
        kind=message.kind,
        via=message.via,
        recipient=message.recipient,
        subject=message.subject,
        text=words.text + _footer_text(url, company),
        html=_with_footer(words.html, url, company),
        send_before=message.send_before,
        headers=(
            ("List-Unsubscribe", f"<{url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("Precedence", "bulk"),
        ),
    )


def preview(campaign: Campaign) -> tuple[str, str]:
    """Text and HTML as a client would get them, with a link that unsubscribes nobody."""
    url = f"{settings.PUBLIC_URL}/suscripcion/"
    return campaign.text + _footer_text(url, "(empresa)"), _with_footer(campaign.html, url, "(empresa)")


def unsubscribe_url(client_id: int, *, everywhere: bool = False) -> str:
    return f"{settings.PUBLIC_URL}/suscripcion/baja/{unsubscribe_token(client_id, everywhere=everywhere)}/"


@lru_cache(maxsize=8)
def _words(campaign_id: int, minute: datetime) -> _Words:
    """Text of a campaign, cached for a minute: a batch of a hundred does not read the same text a hundred times."""
    campaign = Campaign.objects.only("text", "html").get(pk=campaign_id)
    return _Words(campaign.text, campaign.html, campaign.partners.count() != 1, minute)


@lru_cache(maxsize=1000)
def _company(partner_id: int, minute: datetime) -> str:
    """Partner in whose name the mail is sent, by the client's authorisation (Ley 28493: the sender is named)."""
    return Partner.objects.values_list("name", flat=True).get(pk=partner_id)


def _footer_text(url: str, company: str) -> str:
    return (
        "\n\n"
        + render_to_string("messages/pie.txt", {"brand": settings.BRAND, "url": url, "company": company}).strip()
        + "\n"
    )


def _with_footer(page: str, url: str, company: str) -> str:
    """Text and HTML with the footer, which goes before the end of the body if there is one. A campaign without HTML
    stays plain text."""
    if not page:
        return ""
    footer = render_to_string("messages/pie.html", {"brand": settings.BRAND, "url": url, "company": company})
    head, end, tail = page.rpartition("</body>")
    return f"{head}{footer}{end}{tail}" if end else page + footer
