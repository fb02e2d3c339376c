"""System checks of the texts of codes (`manage.py check`; the web server logs them at its start)."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from messaging.gsm import outside
from tokens.texts import brand_in_sms


def check_sms_alphabet(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """W001: BRAND is sent by SMS in another spelling. W002: WEBOTP_DOMAIN makes each code two segments."""
    found: list[CheckMessage] = []
    sent = brand_in_sms(settings.BRAND)
    if sent != settings.BRAND.strip():
        letters = outside(settings.BRAND)
        why = f"has letters outside the alphabet of SMS (GSM-7): {letters}" if letters else "is too long for an SMS"
        found.append(
            Warning(
                f"BRAND {why}. By SMS it is sent as {sent!r}, so that a code stays one segment.",
                hint="Set BRAND to a spelling that clients shall read everywhere, or leave it so.",
                id="tokens.W001",
            )
        )
    if outside(settings.WEBOTP_DOMAIN):
        found.append(
            Warning(
                "WEBOTP_DOMAIN has letters outside the alphabet of SMS (GSM-7): every code takes two segments.",
                hint="Write it in its xn-- form, as browsers compare it.",
                id="tokens.W002",
            )
        )
    return found
