"""Client IP address of a request: the socket's, or the right-most forwarded address that is not one of our proxies.

Works on the CGI variables of a request (RFC 3875), not on a request object. X-Forwarded-For has no standard. These
spellings of an element are read, with or without quotes:

| element                                     | written by                               |
|---------------------------------------------|------------------------------------------|
| `203.0.113.7`, `2001:db8::7`                | most proxies                             |
| `203.0.113.7:51234`, `[2001:db8::7]:51234`  | Azure's gateways, IIS                    |
| `[2001:db8::7]`, `for="[2001:db8::7]:4711"` | proxies that convert Forwarded (RFC 7239)|
| `fe80::7%eth0`                              | a link-local peer, with its zone         |
| nothing, as in `203.0.113.7, `              | proxies that join lists with commas      |

Other elements (`unknown`, `_hidden`) are skipped with a warning. If no address is left, the caller gets one that stands
for the text, so that callers whom a proxy describes differently stay apart.
"""

import hashlib
import ipaddress
import logging
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings

log = logging.getLogger(__name__)

IPv4Or6 = ipaddress.IPv4Address | ipaddress.IPv6Address

WARN_EVERY = 60.0
"""Seconds between two warnings of one process. A proxy with unreadable elements sends them with every request."""
HOPS = 20
"""Elements that are read, from the right: more than anybody has proxies, and a bound on the cost of a long list."""
MOST_CHARACTERS = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
"""Of an address without its zone; a longer text is none, and is not kept in the memory of parsed ones."""
KEPT_AS = "aval.caller_address"
"""Name of the variable. A header cannot set it: theirs begin with HTTP_."""
_BY_ITSELF = re.compile(r"""(?:for=)?["']?(.*?)["']?""", re.IGNORECASE | re.DOTALL)
_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::\w*)?")
_BEFORE_A_PORT = re.compile(r"(.+):\w*", re.DOTALL)


def caller_address(meta: dict[str, Any]) -> str:
    """Client address as text, worked out once a request and kept among its variables.

    X-Forwarded-For counts only behind TRUSTED_PROXIES, since anybody can write it.
    """
    if KEPT_AS not in meta:
        meta[KEPT_AS] = _address_of(meta)
    return str(meta[KEPT_AS])


def _address_of(meta: Mapping[str, Any]) -> str:
    address = _parse(meta.get("REMOTE_ADDR", ""))
    if address is None:
        return "0.0.0.0"  # noqa: S104  a Unix socket has no address; nothing is bound here
    if not _is_proxy(address):
        return str(address)
    unread = ""
    for element in reversed(str(meta.get("HTTP_X_FORWARDED_FOR", "")).rsplit(",", HOPS)[-HOPS:]):
        hop = _hop(element.strip())
        if hop is None:
            unread = unread or element.strip()
            continue
        address = hop
        if not _is_proxy(address):
            break
    if unread:
        _warnings.warn(proxy=meta["REMOTE_ADDR"], element=unread)
    return _stand_in(f"{address} {unread}") if unread and _is_proxy(address) else str(address)


class _Warnings:
    """Rate-limited warning about lists that cannot be read: one line in WARN_EVERY seconds."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.next_at, self.lists = 0.0, 0

    def warn(self, *, proxy: str, element: str) -> None:
        self.lists += 1
        if time.monotonic() >= self.next_at:
            extra = {"proxy": proxy, "element": element[:100], "lists": self.lists}
            self.next_at, self.lists = time.monotonic() + WARN_EVERY, 0
            log.warning("X-Forwarded-For cannot be read: limits by address may hit the wrong callers", extra=extra)


_warnings = _Warnings()


def _stand_in(text: str) -> str:
    """Placeholder address for a caller of whom only this text is known, in 100::/16, which no network has (RFC 4291).
    Each text gets its own /64, which is what limits count."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return str(ipaddress.IPv6Address(b"\x01\x00" + digest[:6] + bytes(8)))


def _hop(element: str) -> IPv4Or6 | None:
    """Address in an element of X-Forwarded-For, without what surrounds it."""
    text = _matched(_BY_ITSELF, element).strip()
    if text.startswith("["):
        return _parse(_matched(_IN_BRACKETS, text))
    return _parse(text) or _parse(_matched(_BEFORE_A_PORT, text))


def _matched(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.fullmatch(text)
    return found[1] if found else ""


def limiting_address_of_request(request: Any) -> str:
    """Address for django-axes, which passes the request and stores an address."""
    return limiting_key(caller_address(request.META))


def limiting_key(address: str) -> str:
    """Key that limits count by: an IPv4 address, or the /64 that an IPv6 customer has (RFC 6177)."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return address


def is_trusted_proxy(address: str) -> bool:
    parsed = _parse(address)
    return parsed is not None and _is_proxy(parsed)


def _parse(text: str) -> IPv4Or6 | None:
    """Address without its zone. A zone means something on one machine only, and PostgreSQL refuses it."""
    bare = text.partition("%")[0]
    return _parsed(bare) if len(bare) <= MOST_CHARACTERS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> IPv4Or6 | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_proxy(address: IPv4Or6) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)
