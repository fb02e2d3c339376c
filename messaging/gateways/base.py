"""Interface of gateways: the message they are given, the receipt they return, the errors they raise."""

import html
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol
from uuid import UUID

MASK = "••••"
"""Placeholder of the code in every text that is stored. Only a gateway puts in the code, when it sends."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as a gateway sees it. `repr` omits its texts, so that they are never logged."""

    id: UUID
    kind: str
    via: str  # S, W, I, C
    recipient: str  # a national mobile number, or an address in its canonical spelling
    subject: str  # empty but for e-mail; never holds the code
    text: str = field(repr=False)
    html: str = field(repr=False)  # empty: plain text only
    send_before: datetime | None  # the end of its code's lifetime; it must not arrive later
    headers: tuple[tuple[str, str], ...] = ()  # further e-mail headers, such as List-Unsubscribe
    sender_name: str = ""  # display name of the sender of an e-mail; empty: that of DEFAULT_FROM_EMAIL

    def text_with(self, secret: str | None) -> str:
        """The plain text with the code in the place of MASK; unchanged where there is no code."""
        return self.text if secret is None else self.text.replace(MASK, secret)

    def html_with(self, secret: str | None) -> str:
        """The HTML with the code in the place of MASK; unchanged where there is no code."""
        return self.html if secret is None else self.html.replace(MASK, html.escape(secret))


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider took the message. It has not been delivered yet."""

    provider_id: str  # the provider's id for it, or ours where it gave none
    reply: str  # the provider's reply, shown to staff
    provider_failed: ClassVar[bool | None] = False


class GatewayError(Exception):
    """The provider certainly did not take the message: it may be sent again, by this provider or another.

    `permanent=False` alone: about us or the provider, or unclear. The next provider is tried at once, and the error
    counts as a failure of this one. `permanent`: every provider will refuse this recipient or message each time.
    `unsupported` (with `permanent`): this provider can never send it, another may; no failure. `about_recipient`:
    temporary, because of this recipient (greylisting, a full mailbox); no failure. `throttled`: the provider asked us
    to slow down; neither a failure nor an attempt. `retry_after`: seconds it asked us to wait. `hard_bounce` (with
    `permanent`): the mailbox does not exist or takes no mail. `reply` holds neither the code nor our credentials.

    `provider_failed` is for the provider's circuit breaker. None: the answer says nothing about its health.
    """

    provider_failed: bool | None

    def __init__(
        self,
        reply: str,
        *,
        permanent: bool,
        retry_after: float | None = None,
        throttled: bool = False,
        about_recipient: bool = False,
        unsupported: bool = False,
        hard_bounce: bool = False,
    ) -> None:
        super().__init__(reply)
        self.reply = reply
        self.permanent = permanent
        self.retry_after = retry_after
        self.throttled = throttled
        self.about_recipient = about_recipient
        self.unsupported = unsupported
        self.hard_bounce = hard_bounce
        does_not_tell = throttled or about_recipient or unsupported
        self.provider_failed = None if does_not_tell else not permanent


class Unsendable(GatewayError):
    """No provider can take this message, and none was called."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply, permanent=True)
        self.provider_failed = None


class OutcomeUnknown(Exception):
    """No clear answer came: the message may have been taken, and must not be sent again."""

    provider_failed: ClassVar[bool | None] = True

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class Gateway(Protocol):
    """One provider, used with one set of credentials. Thread-safe."""

    name: str
    """Shown to staff, up to 100 characters: `smtp:mail.example.com:587`, `sandbox`. Never holds credentials."""
    own_process: bool
    """True: only a process of its own may send by it, because it keeps a session open (SMPP)."""

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        """Send the message with its code, within half a minute.

        Raises GatewayError (not taken) or OutcomeUnknown (perhaps taken).
        """


def can_reach(gateway: Gateway, recipient: str) -> bool:
    """False if the gateway knows that its provider cannot reach such a recipient (SMTPUTF8).

    Only gateways that can know this have a method of the same name.
    """
    asks = getattr(gateway, "can_reach", None)
    return asks is None or bool(asks(recipient))
