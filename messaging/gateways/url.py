"""Parser for gateways' URLs. Its errors name the setting and the problem and never quote the URL.

A part that looks like a host or an option may be the end of a password that was not percent-encoded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Never
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SETTINGS: Mapping[str, str] = {"S": "SMS_URL", "W": "WHATSAPP_URL", "I": "IVR_URL", "C": "EMAIL_URL"}
"""Setting that holds the gateways of each via."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"  # an underscore: container networks name services so
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*|[0-9a-f.]*:[0-9a-f:.]*")
_SCHEME = re.compile(r"[a-z][a-z0-9+-]{0,30}")


class BadGatewayUrl(ValueError):
    """A gateway's URL cannot be used. The text may be logged: it holds no part of the URL."""


@dataclass(frozen=True, slots=True)
class GatewayUrl:
    """`scheme://user:password@host:port/path?options`, percent-decoded. `repr` omits the credentials."""

    setting: str
    scheme: str
    host: str  # empty where the URL has none
    port: int | None
    user: str = field(repr=False)
    password: str = field(repr=False)
    path: str = field(repr=False)  # without the slash before it; may be a token or an account
    options: Mapping[str, str] = field(repr=False)

    def refuse(self, problem: str) -> Never:
        """Raise BadGatewayUrl for this URL. `problem` must not quote it."""
        raise BadGatewayUrl(f"{self.setting} ({self.scheme}://...): {problem}.")

    def check_address(self, option: str) -> None:
        """Raise BadGatewayUrl where the option is given and is no http:// or https:// address."""
        if not self.options.get(option, "https://").startswith(("https://", "http://")):
            self.refuse(f"its option {option} must be an http:// or https:// address")

    def allow_options(self, *known: str) -> None:
        """Raise BadGatewayUrl where the query has an option that is not among `known`."""
        if not self.options.keys() <= set(known):
            self.refuse("its query may have " + " and ".join(known) if known else "it takes no query")


def scheme_of(url: str) -> str:
    """Part before `://` in lower case; empty if there is none."""
    scheme, found, _ = url.partition("://")
    return scheme.lower() if found and _SCHEME.fullmatch(scheme.lower()) else ""


def parse(url: str, setting: str) -> GatewayUrl:
    """Parse a URL. Raises BadGatewayUrl."""

    def refuse(problem: str) -> Never:
        raise BadGatewayUrl(f"{setting}: {problem}.")

    scheme = scheme_of(url)
    if not scheme:
        refuse("a gateway is written as a URL, scheme://...")
    if not url.isprintable() or " " in url:
        refuse("its URL holds a blank or a control character")
    if "#" in url:
        refuse("its URL holds a '#'; in a user or password write it %23")
    split = _split(url)
    if split is None:
        refuse("its port or query cannot be read; percent-encode the characters : / ? # [ ] @ in a user or password")
    parts, port, pairs = split
    host, options = parts.hostname or "", dict(pairs)
    if len(options) != len(pairs):
        refuse("an option stands twice in its query")
    if port == 0 or parts.netloc.endswith(":"):
        refuse("its port must be from 1 to 65535")
    if host and not _HOST.fullmatch(host):
        refuse("its host is not a host name; write an internationalised one in its xn-- form")
    return GatewayUrl(
        setting=setting,
        scheme=scheme,
        host=host,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        path=unquote(parts.path.removeprefix("/")),
        options=options,
    )


def _split(url: str) -> tuple[SplitResult, int | None, list[tuple[str, str]]] | None:
    """The URL's parts, port and options; None if it cannot be parsed. The library's error would quote the URL."""
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
        return parts, parts.port, options
    except ValueError:
        return None
