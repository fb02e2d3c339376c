"""Composition of e-mails, the same for every provider."""

import re
from email import charset
from email.utils import formataddr, parseaddr
from functools import lru_cache

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from clients import request_id
from clients.identity.emails import InvalidEmail, canonical_email, smtp_address
from messaging.gateways.base import GatewayError, Outgoing, Unsendable

METADATA = "aval"
"""Name of the metadata with our message's id, which a mail service repeats in its reports."""

_QUOTED_PRINTABLE = charset.Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = charset.QP

_LINE_BREAKS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
"""CR and LF, all other line ends of Python's email package, and the control characters around them."""


def compose(message: Outgoing, secret: str | None, *, seven_bit: bool = False) -> EmailMultiAlternatives:
    """Compose the e-mail with its code: plain text, and HTML where there is any.

    `seven_bit`: write the bodies in quoted-printable, for a server without 8BITMIME. Raises Unsendable: a line break in
    the subject or a header (header injection), or an invalid recipient; GatewayError: DEFAULT_FROM_EMAIL is invalid.
    """
    check(message)
    mail = EmailMultiAlternatives(
        subject=message.subject,
        body=message.text_with(secret),
        from_email=_from(message),
        to=[recipient(message)],
        headers=_headers(message),
    )
    if message.html:
        mail.attach_alternative(message.html_with(secret), "text/html")
    if seven_bit:
        mail.encoding = _QUOTED_PRINTABLE
    return mail


def _from(message: Outgoing) -> str:
    header, address = _sender()
    return formataddr((message.sender_name, address)) if message.sender_name else header


def check(message: Outgoing) -> None:
    """Raise Unsendable in the same cases as `compose`."""
    recipient(message)
    if any(map(_LINE_BREAKS.search, (message.subject, message.sender_name, *_headers(message).values()))):
        raise Unsendable("salto de línea en el asunto o en una cabecera")


def _headers(message: Outgoing) -> dict[str, str]:
    """With the id of the request that asked for the mail, random and about nobody, so that a service can be asked."""
    request = request_id.current()
    return {
        **({request_id.HEADER: request.id} if request else {}),
        "Message-ID": message_id(message),
        "Auto-Submitted": "auto-generated",  # RFC 3834: no automatic answers
        # the same for Exchange (MS-OXCMAIL, section 2.1.3.2.20); not NDR: a bounce must come back
        "X-Auto-Response-Suppress": "DR, RN, NRN, OOF, AutoReply",
        **dict(message.headers),
    }


def recipient(message: Outgoing) -> str:
    """The recipient's address in the form for SMTP. Raises Unsendable: it is not an address.

    It was checked when it was stored. It is checked again because a blank or a `>` in it could inject SMTP commands.
    """
    try:
        return smtp_address(canonical_email(message.recipient))
    except InvalidEmail:
        raise Unsendable("el destino no es una dirección de correo") from None


def envelope_sender() -> str:
    """Bare address of DEFAULT_FROM_EMAIL, which bounces go to."""
    return _sender()[1]


def message_id(message: Outgoing) -> str:
    """The Message-ID, the same at every attempt, so that a mailbox can detect duplicates."""
    return f"<{message.id}@{_sender()[1].rpartition('@')[2]}>"


def _sender() -> tuple[str, str]:
    """DEFAULT_FROM_EMAIL as a header and as a bare address. Raises GatewayError, temporary: the operator can fix it."""
    found = _parse_sender(settings.DEFAULT_FROM_EMAIL)
    if found is None:
        raise GatewayError("DEFAULT_FROM_EMAIL no es una dirección de correo", permanent=False)
    return found


@lru_cache(maxsize=4)
def _parse_sender(sender: str) -> tuple[str, str] | None:
    """Parsed and cached, because composing a mail needs it five times."""
    name, address = parseaddr(sender)
    try:
        address = smtp_address(address)
    except ValueError:
        return None
    return (formataddr((name, address)), address) if "@" in address else None
