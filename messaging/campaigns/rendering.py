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
from messaging.gateways.mail_template import MailTemplate, new_placeholder
from messaging.models import Campaign, Message


@dataclass(frozen=True)
class _Content:
    text: str
    html: str
    of_several_companies: bool


def render(message: Message) -> Outgoing:
    """Render a message of a campaign, from the text that all clients of its partner share."""
    minute = timezone.now().replace(second=0, microsecond=0)
    content = _content(message.campaign_id or 0, minute)
    token = unsubscribe_token(message.authorized_client_id or 0, everywhere=content.of_several_companies)
    template = _template(
        message.campaign_id or 0,
        message.partner_id or 0,
        message.kind,
        message.via,
        message.subject,
        len(token),
        minute,
    )
    return template.mail_to(message.recipient, token, id=message.id, send_before=message.send_before)


def render_alone(message: Message, token: str, *, minute: datetime) -> Outgoing:
    """Render a message with its footer and its unsubscribe headers (RFC 2369, RFC 8058)."""
    content = _content(message.campaign_id or 0, minute)
    company = _company(message.partner_id or 0, minute)
    url = unsubscribe_url(token)
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


def unsubscribe_url(token: str) -> str:
    return f"{settings.PUBLIC_URL}/suscripcion/baja/{token}/"


@lru_cache(maxsize=100)
def _template(
    campaign_id: int, partner_id: int, kind: str, via: str, subject: str, token_length: int, minute: datetime
) -> MailTemplate:
    """Template of a campaign's mails to the clients of one partner, made once a minute."""
    placeholder = new_placeholder(token_length)
    example = Message(campaign_id=campaign_id, partner_id=partner_id, kind=kind, via=via, subject=subject, recipient="")
    return MailTemplate(render_alone(example, placeholder, minute=minute), placeholder)


@lru_cache(maxsize=8)
def _content(campaign_id: int, minute: datetime) -> _Content:
    """Content of a campaign, read once a minute: a batch does not read the same text a hundred times."""
    campaign = Campaign.objects.only("text", "html").get(pk=campaign_id)
    return _Content(campaign.text, campaign.html, campaign.partners.count() != 1)


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
