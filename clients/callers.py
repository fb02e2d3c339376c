"""Where a call comes from: the socket, or the right-most forwarded address that is not one of our own proxies.

Works on the CGI variables of a request (RFC 3875, RFC 7239's older cousin X-Forwarded-For), not on a request object.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from django.conf import settings

IPv4Or6 = ipaddress.IPv4Address | ipaddress.IPv6Address


def caller_address(meta: Mapping[str, Any]) -> str:
    """The caller's address as text. X-Forwarded-For counts only behind TRUSTED_PROXIES; anybody can write it."""
    address = _parse(meta.get("REMOTE_ADDR", ""))
    if address is None:
        return "0.0.0.0"  # noqa: S104  a Unix socket has no address; nothing is bound here
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while _is_proxy(address) and forwarded:
        next_hop = _parse(forwarded.pop().strip())
        if next_hop is None:
            break
        address = next_hop
    return str(address)


def limiting_address_of_request(request: Any) -> str:
    """What django-axes locks out: it hands over the request and stores an address."""
    return limiting_key(caller_address(request.META))


def limiting_key(address: str) -> str:
    """What a limit counts: an IPv4 address, or the /64 that one IPv6 customer has to himself (RFC 6177)."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return address


def is_trusted_proxy(address: str) -> bool:
    """Whether a socket's address is in TRUSTED_PROXIES."""
    parsed = _parse(address)
    return parsed is not None and _is_proxy(parsed)


def _parse(text: str) -> IPv4Or6 | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_proxy(address: IPv4Or6) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)
