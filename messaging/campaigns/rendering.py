"""Rendering of a campaign's mail to one client: text, sender in the footer, unsubscribe link and headers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from html import escape

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from clients.email_subscriptions import unsubscribe_token
from clients.models import AuthorizedClient, Partner
from messaging.campaigns import page, placeholders
from messaging.gateways.base import Outgoing
from messaging.gateways.mail_template import MailTemplate, Markers, new_placeholder
from messaging.models import Campaign, Message

EXAMPLE_NAME = "Rosa Quispe"
"""Name in the preview and in test mails."""


@dataclass(frozen=True)
class _Content:
    text: str
    html: str
    of_several_companies: bool
    has_name: bool


def names_for(messages: Sequence[Message]) -> Mapping[int, str]:
    """Names of the clients of these messages by their id, read at once; empty if no text names a client."""
    minute = _this_minute()
    clients = [
        each.authorized_client_id or 0
        for each in messages
        if each.campaign_id and _content(each.campaign_id, minute).has_name
    ]
    rows = AuthorizedClient.objects.filter(pk__in=clients).values_list("pk", "name") if clients else ()
    return {key: placeholders.printable(name) for key, name in rows}


def render(message: Message, name: str = "") -> Outgoing:
    """Render a message of a campaign, from the text that all clients of its partner share.

    `name`: the client's, printable, for a text that has it.
    """
    minute = _this_minute()
    content = _content(message.campaign_id or 0, minute)
    token = unsubscribe_token(message.authorized_client_id or 0, everywhere=content.of_several_companies)
    template = _template(
        message.campaign_id or 0,
        message.partner_id or 0,
        message.kind,
        message.via,
        message.subject,
        len(token),
        Markers.for_name(name) if content.has_name else Markers(),
        minute,
    )
    return template.mail_to(message.recipient, token, id=message.id, send_before=message.send_before, name=name)


def render_alone(
    message: Message, token: str, *, minute: datetime, name: str = "", html_name: str | None = None
) -> Outgoing:
    """Render a message with its footer and its unsubscribe headers (RFC 2369, RFC 8058).

    `html_name`: the name as it stands in HTML, if it is not the name, escaped.
    """
    content = _content(message.campaign_id or 0, minute)
    company, brand = _company(message.partner_id or 0, minute)
    url = unsubscribe_url(token, message.campaign_id)
    in_html = escape(name) if html_name is None else html_name
    subject = placeholders.fill(message.subject, name)
    return Outgoing(
        id=message.id,
        kind=message.kind,
        via=message.via,
        recipient=message.recipient,
        subject=subject,
        text=placeholders.fill(content.text, name) + _footer_text(url, company),
        html=_page(placeholders.fill(content.html, in_html), message.subject, in_html, url, company),
        send_before=message.send_before,
        headers=(
            ("List-Unsubscribe", f"<{url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("Precedence", "bulk"),
        ),
        sender_name=brand,
    )


def preview(campaign: Campaign) -> tuple[str, str]:
    """Text and HTML as a client would get them, with a made-up name and a link that unsubscribes no one."""
    url = f"{settings.PUBLIC_URL}/suscripcion/"
    text = placeholders.fill(campaign.text, EXAMPLE_NAME) + _footer_text(url, "(empresa)")
    typed = placeholders.fill_html(campaign.html, EXAMPLE_NAME)
    return text, _page(typed, campaign.full_subject, EXAMPLE_NAME, url, "(empresa)")


def preview_subject(campaign: Campaign) -> str:
    return placeholders.fill(campaign.full_subject, EXAMPLE_NAME)


def unsubscribe_url(token: str, campaign: int | None = None) -> str:
    """URL of the unsubscribe page. `campaign`: whose mail the link is in, for its figures; it grants nothing."""
    query = f"?c={campaign}" if campaign else ""
    return f"{settings.PUBLIC_URL}/suscripcion/baja/{token}/{query}"


def _this_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


@lru_cache(maxsize=100)
def _template(
    campaign_id: int,
    partner_id: int,
    kind: str,
    via: str,
    subject: str,
    token_length: int,
    markers: Markers,
    minute: datetime,
) -> MailTemplate:
    """Template of a campaign's mails to the clients of one partner, made once a minute: one for clients without a name,
    and one each for names within and outside ASCII if the text has names."""
    placeholder = new_placeholder(token_length)
    example = Message(campaign_id=campaign_id, partner_id=partner_id, kind=kind, via=via, subject=subject, recipient="")
    written = render_alone(example, placeholder, minute=minute, name=markers.name, html_name=markers.html_name)
    return MailTemplate(written, placeholder, markers)


@lru_cache(maxsize=8)
def _content(campaign_id: int, minute: datetime) -> _Content:
    """Content of a campaign, read once a minute: a batch does not read the same text a hundred times."""
    campaign = Campaign.objects.only("text", "html", "subject").get(pk=campaign_id)
    has_name = placeholders.has_name(campaign.text, campaign.html, campaign.subject)
    return _Content(campaign.text, campaign.html, campaign.partners.count() != 1, has_name)


@lru_cache(maxsize=1000)
def _company(partner_id: int, minute: datetime) -> tuple[str, str]:
    """Name and brand of the partner that authorised the client, in whose name the mail is sent (Ley 28493: name the
    sender)."""
    return Partner.objects.values_list("name", "brand").get(pk=partner_id)


def _footer_text(url: str, company: str) -> str:
    return (
        "\n\n"
        + render_to_string("messages/pie.txt", {"brand": settings.BRAND, "url": url, "company": company}).strip()
        + "\n"
    )


def _page(typed: str, subject: str, html_name: str, url: str, company: str) -> str:
    """The page with its frame and footer. A campaign without HTML stays plain text."""
    if not typed:
        return ""
    title = placeholders.fill(escape(subject), html_name)
    footer = render_to_string("messages/pie.html", {"brand": settings.BRAND, "url": url, "company": company})
    return page.with_footer(page.framed(typed, title=title), footer)
