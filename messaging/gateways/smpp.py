"""SMPP 3.4 gateway, to an operator's SMSC: `smpp://USER:PASSWORD@HOST:2775/?sender=AVAL`.

| option        | meaning                                                                                          |
|---------------|--------------------------------------------------------------------------------------------------|
| `sender`      | a name (up to 11 characters), a number (%2B51... or 7 to 15 digits) or a short code (3 to 6)      |
| `source_ton`, `source_npi` | the sender's TON and NPI, where the operator wants others than those of its form    |
| `tls`         | `true`: SMPP over TLS; certificates are always verified                                          |
| `ca`          | with tls: a file of certificates in PEM, of a private authority                                  |
| `window`      | submits that may be outstanding at once; 10 by default                                           |
| `per_second`  | messages a second at most, from the contract with the operator; by default no limit of ours      |
| `system_type` | a field of the bind that some operators require                                                  |
| `long_password` | `true`: the operator issued a password of 9 to 15 characters, more than SMPP 3.4 allows        |
| `bind`        | `transceiver`, or `transmitter` where another client gets the receipts                           |

It keeps a session open, so only a process of its own sends by it: `manage.py smpp_gateway` (`messaging.smpp`).
"""

import re
import ssl
from dataclasses import dataclass, field

from messaging.gateways.base import Gateway, GatewayError, Outgoing, Receipt
from messaging.gateways.url import GatewayUrl

PORT = 2775
WINDOW = 10
MAX_WINDOW, MAX_PER_SECOND = 100, 1000
BINDS = ("transceiver", "transmitter")

MAX_PASSWORD, MAX_LONG_PASSWORD = 8, 15
"""Characters: the limit of SMPP 3.4, and the longest that operators issue nevertheless."""

_OPTIONS = (
    "sender",
    "source_ton",
    "source_npi",
    "tls",
    "ca",
    "window",
    "per_second",
    "system_type",
    "bind",
    "long_password",
)
_SENDERS = (
    (re.compile(r"\+?([0-9]{7,15})"), 1, 1),  # international, E.164
    (re.compile(r"([0-9]{3,6})"), 3, 0),  # a short code: of the network
    (re.compile(r"([A-Za-z0-9 ._&-]{1,11})"), 5, 0),  # alphanumeric
)
"""Sender's form, its type of number (TON) and numbering plan (NPI); SMPP 3.4, sections 5.2.5 and 5.2.6."""


@dataclass(frozen=True, slots=True)
class Account:
    """Account at an SMSC: credentials, sender and limits. `repr` omits the credentials."""

    host: str
    port: int
    system_id: str = field(repr=False)
    password: str = field(repr=False)
    sender: str
    source_ton: int
    source_npi: int
    window: int
    per_second: int  # 0: no limit of ours
    system_type: str
    bind: str  # transceiver or transmitter
    tls: ssl.SSLContext | None = field(repr=False)


class SmppGateway:
    """One bind to one SMSC. Workers only put messages into its queue; the process of `messaging.smpp` sends them."""

    own_process = True

    def __init__(self, account: Account) -> None:
        self.account = account
        host = f"[{account.host}]" if ":" in account.host else account.host
        self.name = f"smpp:{host}:{account.port}"[:100]

    def __repr__(self) -> str:
        return f"<SmppGateway {self.name}>"

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        """Raise GatewayError: only its own process may send."""
        raise GatewayError("por SMPP solo envía su propio proceso", permanent=False)


def from_url(url: GatewayUrl, via: str) -> Gateway:
    """Make a gateway. Raises BadGatewayUrl: a part that a bind needs is missing, or an option is not known."""
    if not url.host:
        url.refuse("it needs a host")
    if url.path:
        url.refuse("it has a path; percent-encode a slash in a password as %2F")
    if not url.user or not url.password:
        url.refuse("it needs a user (system_id) and a password")
    url.allow_options(*_OPTIONS)
    _check_credentials(url)
    sender, ton, npi = _sender(url)
    bind, system_type = url.options.get("bind", BINDS[0]), url.options.get("system_type", "")
    if bind not in BINDS:
        url.refuse("its option bind must be transceiver or transmitter")
    if not system_type.isascii() or len(system_type) > 12:
        url.refuse("its option system_type may have 12 ASCII characters")
    account = Account(
        host=url.host,
        port=url.port or PORT,
        system_id=url.user,
        password=url.password,
        sender=sender,
        source_ton=_number(url, "source_ton", ton, 0, 6),
        source_npi=_number(url, "source_npi", npi, 0, 18),
        window=_number(url, "window", WINDOW, 1, MAX_WINDOW),
        per_second=_number(url, "per_second", 0, 1, MAX_PER_SECOND),
        system_type=system_type,
        bind=bind,
        tls=_tls(url),
    )
    return SmppGateway(account)


def _check_credentials(url: GatewayUrl) -> None:
    is_ascii = (url.user + url.password).isascii()
    if _flag(url, "long_password"):
        if not is_ascii or len(url.user) > 15 or len(url.password) > MAX_LONG_PASSWORD:
            url.refuse(f"it may have 15 ASCII characters of user and {MAX_LONG_PASSWORD} of password")
    elif not is_ascii or len(url.user) > 15 or len(url.password) > MAX_PASSWORD:
        url.refuse(
            f"SMPP 3.4 allows 15 ASCII characters of user and {MAX_PASSWORD} of password; for a longer one, up to "
            f"{MAX_LONG_PASSWORD}, say long_password=true"
        )


def _flag(url: GatewayUrl, name: str) -> bool:
    given = url.options.get(name, "false")
    if given not in ("true", "false"):
        url.refuse(f"its option {name} must be true or false")
    return given == "true"


def _sender(url: GatewayUrl) -> tuple[str, int, int]:
    """The sender as it is sent, its TON and its NPI."""
    given = url.options.get("sender", "")
    known = next(((found[1], ton, npi) for form, ton, npi in _SENDERS if (found := form.fullmatch(given))), None)
    if known is None:
        url.refuse("it needs the option sender: a name up to 11 characters, a number written %2B..., or a short code")
    return known


def _number(url: GatewayUrl, name: str, default: int, least: int, most: int) -> int:
    given = url.options.get(name)
    if given is None:
        return default
    if not re.fullmatch(r"[0-9]{1,4}", given) or not least <= int(given) <= most:
        url.refuse(f"its option {name} must be a number from {least} to {most}")
    return int(given)


def _tls(url: GatewayUrl) -> ssl.SSLContext | None:
    if not _flag(url, "tls"):
        if "ca" in url.options:
            url.refuse("its option ca means something only with tls=true")
        return None
    try:
        return ssl.create_default_context(cafile=url.options.get("ca"))
    except OSError:
        url.refuse("its option ca must be a readable file of certificates in PEM")
