"""Rendering of a campaign's mail to one client: text, sender in the footer, unsubscribe link and headers."""

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
class _Content:
    text: str
    html: str
    of_several_companies: bool
    read_at: datetime


def render(message: Message) -> Outgoing:
    """Render a message of a campaign, with its footer and its unsubscribe headers (RFC 2369, RFC 8058)."""
    content = _content(message.campaign_id or 0, timezone.now().replace(second=0, microsecond=0))
    url = unsubscribe_url(message.authorized_client_id or 0, everywhere=content.of_several_companies)
    company = _company(message.partner_id or 0, content.read_at)
    return Outgoing(
        id=message.id,
        kind=message.kind,
        via=message.via,
        recipient=message.recipient,
        subject=message.subject,
        text=content.text + _footer_text(url, company),
        html=_with_footer(content.html, url, company),
        send_before=message.send_before,
        headers=(
            ("List-Unsubscribe", f"<{url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("Precedence", "bulk"),
        ),
    )


def preview(campaign: Campaign) -> tuple[str, str]:
    """Text and HTML as a client would get them, with a link that unsubscribes no one."""
    url = f"{settings.PUBLIC_URL}/suscripcion/"
    return campaign.text + _footer_text(url, "(empresa)"), _with_footer(campaign.html, url, "(empresa)")


def unsubscribe_url(client_id: int, *, everywhere: bool = False) -> str:
    return f"{settings.PUBLIC_URL}/suscripcion/baja/{unsubscribe_token(client_id, everywhere=everywhere)}/"


@lru_cache(maxsize=8)
def _content(campaign_id: int, minute: datetime) -> _Content:
    """Content of a campaign, read once a minute: a batch does not read the same text a hundred times."""
    campaign = Campaign.objects.only("text", "html").get(pk=campaign_id)
    return _Content(campaign.text, campaign.html, campaign.partners.count() != 1, minute)


@lru_cache(maxsize=1000)
def _company(partner_id: int, minute: datetime) -> str:
    """Name of the partner that authorised the client, in whose name the mail is sent (Ley 28493: name the sender)."""
    return Partner.objects.values_list("name", flat=True).get(pk=partner_id)


def _footer_text(url: str, company: str) -> str:
    return (
        "\n\n"
        + render_to_string("messages/pie.txt", {"brand": settings.BRAND, "url": url, "company": company}).strip()
        + "\n"
    )


def _with_footer(page: str, url: str, company: str) -> str:
    """Put the footer before the end of the body, where there is one. A campaign without HTML stays plain text."""
    if not page:
        return ""
    footer = render_to_string("messages/pie.html", {"brand": settings.BRAND, "url": url, "company": company})
    head, end, tail = page.rpartition("</body>")
    return f"{head}{footer}{end}{tail}" if end else page + footer
