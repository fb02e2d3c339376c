"""Texts of a code's message, by via. The templates, in templates/messages/, do not depend on the client."""

from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.template.loader import render_to_string

from clients.models import Partner
from messaging.gateways.base import MASK
from messaging.gsm import encode, folded
from messaging.models import Via

BRAND_SEPTETS = 20
"""Septets left for the brand in one segment beside the longest domain; `{`, `[` and `€` take two."""


@dataclass(frozen=True)
class Text:
    subject: str
    text: str
    html: str = ""


def compose(via: str, partner: Partner | None = None) -> Text:
    """Subject, text and HTML of a code's message, the code masked. It names the brand of the partner that asked."""
    brand = partner.brand if partner is not None else ""
    return _compose(via, brand or settings.BRAND, settings.WEBOTP_DOMAIN)


def brand_in_sms(brand: str) -> str:
    """The brand in the alphabet of SMS, cut so that a code stays one segment (of 160 characters, not of 70)."""
    found = folded(brand)
    while len(encode(found)) > BRAND_SEPTETS:
        found = found[:-1]
    return found.strip()


@lru_cache(maxsize=1024)
def _compose(via: str, brand: str, domain: str) -> Text:
    context = {"brand": brand_in_sms(brand) if via == Via.SMS else brand, "code": MASK, "domain": domain}
    text = render_to_string(f"messages/verificacion_{via}.txt", context).strip()
    if via != Via.EMAIL:
        return Text(subject="", text=text)
    return Text(
        subject=f"{brand}: tu código de verificación",
        text=text,
        html=render_to_string("messages/verificacion_C.html", context),
    )
