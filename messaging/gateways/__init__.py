"""Gateways: their URL schemes, and the gateways that the settings name."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

from django.conf import settings

from messaging.gateways.base import Gateway
from messaging.gateways.url import SETTINGS, BadGatewayUrl, GatewayUrl, parse, scheme_of

__all__ = [
    "MAIL_SCHEMES",
    "MAIL_SERVICES",
    "SCHEMES",
    "BadGatewayUrl",
    "accounts",
    "gateway_from_url",
    "gateways_for",
    "in_use",
    "is_sandbox",
]

MAIL_SCHEMES = ("smtp", "smtp+tls", "smtps", "smtp+ssl")
"""Without TLS, with required STARTTLS, and two names for TLS from the first byte."""


MAIL_SERVICES = ("postmark", "mailgun", "brevo", "resend", "sparkpost", "mandrill", "mailersend", "mailjet")
"""HTTP APIs, through django-anymail."""


@dataclass(frozen=True, slots=True)
class _Scheme:
    """The module of a gateway, with `from_url(url, via) -> Gateway`, and the vias it can serve.

    The module is imported when a setting first names it, because an SDK costs memory in every process.
    """

    module: str
    vias: frozenset[str]


SCHEMES: dict[str, _Scheme] = {
    "sandbox": _Scheme("messaging.gateways.sandbox", frozenset("SWIC")),
    **{scheme: _Scheme("messaging.gateways.smtp", frozenset("C")) for scheme in MAIL_SCHEMES},
    **{scheme: _Scheme("messaging.gateways.esp", frozenset("C")) for scheme in MAIL_SERVICES},
    "smpp": _Scheme("messaging.gateways.smpp", frozenset("S")),
    "twilio": _Scheme("messaging.gateways.twilio", frozenset("SWI")),
    "whatsapp-cloud": _Scheme("messaging.gateways.whatsapp_cloud", frozenset("W")),
}


def gateway_from_url(url: str, via: str) -> Gateway:
    """Make the gateway of a URL. Raises BadGatewayUrl, without any credentials, if it is not one for this via."""
    setting = SETTINGS[via]
    parsed = parse(url, setting)
    kind = SCHEMES.get(parsed.scheme)
    if kind is None:
        known = ", ".join(scheme for scheme, each in SCHEMES.items() if via in each.vias)
        raise BadGatewayUrl(f"{setting}: there is no gateway {parsed.scheme}://; there are {known}.")
    if via not in kind.vias:
        fits = ", ".join(SETTINGS[each] for each in sorted(kind.vias))
        parsed.refuse(f"it cannot serve this setting, but {fits}")
    gateway: Gateway = import_module(kind.module).from_url(parsed, via)
    return gateway


def gateways_for(via: str) -> tuple[Gateway, ...]:
    """The gateways of a via, the preferred one first, made at the first call. Empty: the via is not offered."""
    return _gateways(via, tuple(settings.AVAL_GATEWAYS.get(via, ())))


def accounts(scheme: str) -> list[GatewayUrl]:
    """The parsed URLs of a scheme in all settings: the accounts that may have signed a receipt."""
    urls = [(via, url) for via in SETTINGS for url in settings.AVAL_GATEWAYS.get(via, ())]
    return [parse(url, SETTINGS[via]) for via, url in urls if scheme_of(url) == scheme]


def in_use() -> dict[str, list[str]]:
    """Setting -> names of its gateways, for the start-up log. Raises BadGatewayUrl."""
    return {setting: [gateway.name for gateway in gateways_for(via)] for via, setting in SETTINGS.items()}


def is_sandbox(url: str) -> bool:
    """True if a URL delivers only to the developer's outbox."""
    return scheme_of(url) == "sandbox"


@lru_cache(maxsize=32)
def _gateways(via: str, urls: tuple[str, ...]) -> tuple[Gateway, ...]:
    """Cached by URL, so that other settings give other gateways without clearing the cache."""
    return tuple(gateway_from_url(url, via) for url in urls)
