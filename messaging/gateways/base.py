"""Gateway protocol: what every gateway gets, returns and raises. A gateway carries one message to one provider."""

import html
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

MASK = "••••"
"""Placeholder for the code in every stored text. The gateway puts in the code when it sends."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Message as a gateway sees it. Its texts are left out of `repr`, so that no log holds a client's data."""

    id: UUID
    kind: str
    via: str  # S, W, I, C
    recipient: str  # a national mobile number, or an address in its canonical spelling
    subject: str  # empty but for e-mail; never holds the code
    text: str = field(repr=False)
    html: str = field(repr=False)  # empty: plain text only
    send_before: datetime | None  # the end of its code's life; it must not reach anybody after it
    headers: tuple[tuple[str, str], ...] = ()  # further e-mail headers, such as List-Unsubscribe

    def text_with(self, secret: str | None) -> str:
        """Plain text with its code, or as it is without one."""
        return self.text if secret is None else self.text.replace(MASK, secret)

    def html_with(self, secret: str | None) -> str:
        """HTML with its code, or as it is without one."""
        return self.html if secret is None else self.html.replace(MASK, html.escape(secret))


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider took the message. It has not arrived yet."""

    provider_id: str  # the provider's name for it, or ours where it gave none
    reply: str  # what the provider said, for the staff's eyes


class GatewayError(Exception):
    """The provider certainly did not take the message: it may be offered again, here or elsewhere.

    With `permanent=False` alone it is about us or the provider, or unclear: the next provider is asked at once, and it
    counts against this one. `permanent`: this recipient or message will be refused by every provider, each time.
    `unsupported` (with `permanent`): this provider never can, another one may; it counts against nobody.
    `about_recipient`: for now, because of this recipient (greylisting, a full mailbox); it counts against nobody.
    `throttled`: the provider is healthy and asked us to come later; this is no attempt. `retry_after`: seconds it asked
    us to wait. `reply` holds neither the code nor our credentials.
    """

    def __init__(
        self,
        reply: str,
        *,
        permanent: bool,
        retry_after: float | None = None,
        throttled: bool = False,
        about_recipient: bool = False,
        unsupported: bool = False,
    ) -> None:
        super().__init__(reply)
        self.reply = reply
        self.permanent = permanent
        self.retry_after = retry_after
        self.throttled = throttled
        self.about_recipient = about_recipient
        self.unsupported = unsupported


class Unsendable(GatewayError):
    """No provider can take this message, and none was asked."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply, permanent=True)


class OutcomeUnknown(Exception):
    """Handed over without a clear answer: it may have been taken and must not be offered again."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class Gateway(Protocol):
    """Provider with one set of credentials. Safe to use from several threads at once."""

    name: str
    """Name for staff, up to 100 characters: `smtp:mail.example.com:587`, `sandbox`. Never holds credentials."""
    own_process: bool
    """Whether only a process of its own may send by it, because it keeps a connection open (SMPP)."""

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        """Send the message with its code within half a minute.

        Raises GatewayError (not taken) or OutcomeUnknown (perhaps taken).
        """


def can_reach(gateway: Gateway, recipient: str) -> bool:
    """False if the gateway has found that its provider cannot reach such a recipient (SMTPUTF8). Only gateways that can
    find out have this method."""
    asks = getattr(gateway, "can_reach", None)
    return asks is None or bool(asks(recipient))
