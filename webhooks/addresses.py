"""Addresses of endpoints: which URLs a partner may give, and which IP addresses are called.

A URL is checked when it is given, and its host is resolved and checked anew for each try: a name may point elsewhere by
then (DNS rebinding). The connection goes to the address that was checked. Numbers in other spellings (decimal, octal,
hexadecimal) are what the resolver makes of them, so the check is of the result.
"""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

from clients.errors import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST_URL = 500
"""Characters."""
MOST_ADDRESSES = 4
"""Addresses of a host that a try may use, in the resolver's order."""
_LOOPBACK_NAMES = ("localhost",)
_INTERNAL_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".onion")
_NOT_CALLED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "100.64.0.0/10",  # shared by carriers (RFC 6598)
        "168.63.129.16/32",  # metadata of a cloud provider, at a public address
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "64:ff9b:1::/48",  # translation within a network (RFC 8215)
        "fec0::/10",  # site-local (RFC 3879)
    )
)
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses whose last 32 bits are an IPv4 address (RFC 6052)."""


class BadUrl(Refused):
    """A URL that no endpoint may have; `reason` says why, in Spanish."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotCalled(Exception):
    """A host that does not resolve, or resolves to an address that is not called; the text says which, in Spanish."""


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint's URL in its parts. `host` is ASCII, without the brackets of an IPv6 address."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"


def target_of(url: str, *, sandbox: bool) -> Target:
    """The parts of a URL that an endpoint may have. Raises BadUrl.

    `sandbox`: plain HTTP to this machine is allowed, for a developer's own receiver.
    """
    if not url or len(url) > LONGEST_URL:
        raise BadUrl(f"Debe tener de 1 a {LONGEST_URL} caracteres.")
    if any(character <= " " or character == "\x7f" or character == "\\" for character in url) or not url.isascii():
        raise BadUrl("No es una URL válida: solo ASCII visible; otros caracteres, codificados con %.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadUrl("No es una URL válida.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadUrl("Debe comenzar con https://.")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise BadUrl("No puede llevar usuario ni clave.")
    if parts.fragment or url.endswith("#"):
        raise BadUrl("No puede llevar un fragmento (#).")
    if port == 0:
        raise BadUrl("El puerto no es válido.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, _host(host), port or (443 if parts.scheme == "https" else 80), path)
    _check_scheme_and_name(target, sandbox=sandbox)
    return target


def _host(host: str) -> str:
    """Host in lower case, without the dot of the root; an internationalised one as it is called. Raises BadUrl."""
    if ":" in host:  # IPv6, which urlsplit has taken out of its brackets
        if "%" in host:
            raise BadUrl("No puede llevar una zona.")
        return host
    try:
        encoded = idna.encode(host.rstrip("."), uts46=True).decode("ascii") if "xn--" in host else host.rstrip(".")
    except idna.IDNAError:
        raise BadUrl("El nombre del servidor no es válido.") from None
    if not encoded or len(encoded) > 253:
        raise BadUrl("El nombre del servidor no es válido.")
    return encoded.lower()


def _check_scheme_and_name(target: Target, *, sandbox: bool) -> None:
    """Raises BadUrl for what can be known without the resolver."""
    literal = _literal(target.host)
    is_loopback = target.host in _LOOPBACK_NAMES or (literal is not None and literal.is_loopback)
    if is_loopback and sandbox:
        return
    if not target.is_secure:
        raise BadUrl("Debe comenzar con https://.")
    is_internal = is_loopback or target.host.endswith(_INTERNAL_SUFFIXES)
    if is_internal or (literal is not None and not is_public(literal)):
        raise BadUrl("Debe ser un servidor de internet, no de una red interna.")
    if literal is None and "." not in target.host:
        raise BadUrl("El nombre del servidor debe llevar un dominio.")


def _literal(host: str) -> Address | None:
    """The address that a host is in any spelling that a resolver takes (2130706433, 0177.1, 0x7f.1); None: a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_public(address: Address) -> bool:
    """Whether it is a machine on the internet. An IPv6 address that holds an IPv4 one is what that one is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _TRANSLATED:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address.sixtofour is not None or address.teredo is not None:
            return False
        if int(address) >> 32 == 0:  # ::, ::1 and IPv4-compatible addresses (RFC 4291, 2.5.5.1)
            return False
    if address.is_multicast or address.is_reserved or address.is_link_local or address.is_unspecified:
        return False
    if any(address.version == each.version and address in each for each in _NOT_CALLED):
        return False
    return address.is_global


def target_of_operator(url: str) -> Target:
    """The parts of a URL of our own settings, which may be of an internal network. Raises BadUrl."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadUrl("No es una URL válida.") from None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise BadUrl("Debe ser una URL https:// o http://, sin usuario ni clave.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def resolve(target: Target, *, sandbox: bool, internal: bool = False) -> Sequence[Address]:
    """Addresses to call, MOST_ADDRESSES at most. Raises NotCalled where one of them is not public.

    `internal`: any address will do.

    The resolver has no deadline of its own beyond its configuration's.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotCalled("el nombre del servidor no se pudo resolver") from None
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found))
    if not addresses:
        raise NotCalled("el nombre del servidor no se pudo resolver")
    for address in addresses:
        if not (internal or is_public(address) or (sandbox and address.is_loopback)):
            raise NotCalled("el servidor está en una red interna")
    return addresses[:MOST_ADDRESSES]
