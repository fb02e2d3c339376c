"""MIME text of mails that differ by their recipient alone: written once, then filled in for each of them.

Composing costs most of the processor time of a mail. A text that is filled in equals the composed one to the byte, but
for the boundary, which all mails of a template share. Where that is not certain the mail is composed by itself:

- The tokens of a template have one length and only characters that no encoding changes, so each mail has its line
  breaks at the same places. One of quoted-printable inside a token is kept there.
- A recipient outside ASCII, or too long for the first line of its header, is not filled in.
- A client's name has any length and letters. It is filled in only where bodies are written as they are (8BITMIME, no
  line near 998 octets): quoted-printable would break its lines elsewhere. Names within and outside ASCII have templates
  of their own, since they differ in the encoding that is declared; the header of a subject with a name is written anew.
- The first mail of a template is composed, because a template may have only one. The second is written in both ways:
  if the two differ, none is filled in.
"""

import logging
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.message import Message
from email.utils import formatdate
from functools import lru_cache
from html import escape
from uuid import UUID, uuid4

from django.conf import settings
from django.core.mail.message import SafeMIMEText

from messaging.gateways import mail
from messaging.gateways.base import Outgoing

log = logging.getLogger(__name__)

_TOKEN = re.compile(r"[0-9A-Za-z._-]+")
_ON_THE_FIRST_LINE = re.compile(r"[!-+\--:<-~]{1,70}")
"""Recipient whose header has one line: a line is broken after 78 characters, at blanks, commas and semicolons."""
_DATE_LENGTH = 31
_LONGEST_LINE = 998
_LONGEST_NAME = 300
"""Octets of 50 characters, each escaped (`&#x27;`)."""
_SOFT_BREAK = b"=\r\n"
_ANY_SOFT_BREAK = b"(?:=\r\n)?"
_HEADER = "subject"
"""Name of the value that is a whole header: an encoded word at the end of its line is no soft break."""


@dataclass(frozen=True, slots=True)
class Markers:
    """Texts in the place of a client's name, in plain text and in HTML. Empty: the template's mails name nobody."""

    name: str = ""
    html_name: str = ""

    @classmethod
    @lru_cache(maxsize=2)
    def _of_kind(cls, is_ascii: bool) -> "Markers":
        letter = "x" if is_ascii else "\N{LATIN SMALL LETTER N WITH TILDE}"
        return cls(f"{letter}{new_placeholder(24)}", f"{letter}{new_placeholder(24)}")

    @classmethod
    def for_name(cls, name: str) -> "Markers":
        return cls._of_kind(name.isascii()) if name else cls()


class MailTemplate:
    """Template of mails that differ by recipient, id, date, the client's name and token, the part of a link that names
    the client.

    `example`: one of these mails. `placeholder`: its token, made by `new_placeholder`. `markers`: in place of its name.
    """

    def __init__(self, example: Outgoing, placeholder: str, markers: Markers = Markers()) -> None:
        self._example = replace(example, id=uuid4(), recipient=f"{new_placeholder(24)}@example.com")
        self._placeholder = placeholder
        self._markers = markers
        self._fits = not markers.name or _has_room(example, markers)
        self._in_use: set[tuple[bool, str]] = set()
        self._texts: dict[tuple[bool, str], _Text | None] = {}

    def mail_to(
        self, recipient: str, token: str, *, id: UUID, send_before: datetime | None, name: str = ""
    ) -> "TemplatedMail":
        if len(token) != len(self._placeholder) or not _TOKEN.fullmatch(token):
            raise ValueError("this token needs another template")
        example, old = self._example, self._placeholder
        subject, text, page = example.subject, example.text, example.html
        if self._markers.name:
            subject, text = (each.replace(self._markers.name, name) for each in (subject, text))
            page = page.replace(self._markers.html_name, escape(name))
        return TemplatedMail(
            id=id,
            kind=example.kind,
            via=example.via,
            recipient=recipient,
            subject=subject,
            text=text.replace(old, token),
            html=page.replace(old, token),
            send_before=send_before,
            headers=tuple((name, value.replace(old, token)) for name, value in example.headers),
            sender_name=example.sender_name,
            template=self,
            token=token,
            name=name if self._markers.name else "",
        )

    def fill_in(self, message: "TemplatedMail", *, seven_bit: bool) -> bytes | None:
        """The MIME text of a mail of this template. None: it must be composed."""
        recipient = mail.recipient(message)
        if not _ON_THE_FIRST_LINE.fullmatch(recipient) or (self._markers.name and (seven_bit or not self._fits)):
            return None
        key = seven_bit, settings.DEFAULT_FROM_EMAIL
        if key not in self._in_use:
            self._in_use.add(key)
            return None
        if key not in self._texts:
            self._texts[key] = self._text(message, seven_bit=seven_bit)
        text = self._texts[key]
        return text.fill_in(_values(message, recipient, _now())) if text is not None else None

    def _text(self, sample: "TemplatedMail", *, seven_bit: bool) -> "_Text | None":
        boundary = f"{'=' * 15}{secrets.randbelow(sys.maxsize):019d}=="
        example, date = self._example, new_placeholder(_DATE_LENGTH).encode()
        written = _composed(example, seven_bit=seven_bit, date=date, boundary=boundary)
        values = {**_values(example, example.recipient, date), "token": self._placeholder.encode()}
        if self._markers.name:
            values |= {"name": self._markers.name.encode(), "html_name": self._markers.html_name.encode()}
            if self._markers.name in example.subject:
                values[_HEADER] = _subject_lines(example.subject)
        text = _Text(written, {key: value for key, value in values.items() if value})
        now = _now()
        composed = _composed(sample, seven_bit=seven_bit, date=now, boundary=boundary)
        if text.fill_in(_values(sample, mail.recipient(sample), now)) == composed:
            return text
        log.warning("mails of a campaign are composed one by one", extra={"message_id": str(sample.id)})
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatedMail(Outgoing):
    """Mail of a template, complete for gateways that do not know templates."""

    template: MailTemplate = field(repr=False)
    token: str = field(repr=False)
    name: str = field(repr=False, default="")


def write(message: Outgoing, secret: str | None, *, seven_bit: bool) -> bytes:
    """Write the MIME text of a mail, with lines that end in CR LF. Raises the errors of `mail.compose`."""
    filled = None
    if isinstance(message, TemplatedMail) and secret is None:
        filled = message.template.fill_in(message, seven_bit=seven_bit)
    return filled or as_bytes(mail.compose(message, secret, seven_bit=seven_bit).message())


def as_bytes(email: Message) -> bytes:
    body: bytes = email.as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own parameter
    return body


def _composed(message: Outgoing, *, seven_bit: bool, date: bytes, boundary: str) -> bytes:
    email = mail.compose(message, None, seven_bit=seven_bit).message()
    email.replace_header("Date", date.decode())
    if email.is_multipart():
        email.set_boundary(boundary)
    return as_bytes(email)


def _values(message: Outgoing, recipient: str, date: bytes) -> dict[str, bytes]:
    values = {"recipient": recipient.encode(), "id": str(message.id).encode(), "date": date}
    if isinstance(message, TemplatedMail):
        values["token"] = message.token.encode()
        if message.name:
            values["name"], values["html_name"] = message.name.encode(), escape(message.name).encode()
            values[_HEADER] = _subject_lines(message.subject)
    return values


def _subject_lines(subject: str) -> bytes:
    """The header of a subject as Django and Python's generator write it."""
    email = SafeMIMEText("", "plain", "utf-8")
    email["Subject"] = subject
    lines: bytes = email.policy.clone(linesep="\r\n").fold_binary("Subject", email["Subject"])
    return lines


def _has_room(example: Outgoing, markers: Markers) -> bool:
    """Whether each line stays below the 998 octets of RFC 5322, section 2.1.1, with the longest name in it."""
    lines = (line for body in (example.text, example.html) for line in body.splitlines())
    return all(
        len(line.encode()) + _LONGEST_NAME * (line.count(markers.name) + line.count(markers.html_name)) <= _LONGEST_LINE
        for line in lines
    )


def _now() -> bytes:
    return formatdate(localtime=settings.EMAIL_USE_LOCALTIME).encode()


def new_placeholder(length: int) -> str:
    """Make a text that occurs in no mail, of characters that a token may have."""
    return secrets.token_hex(length)[:length]


def _found(name: str, value: bytes) -> bytes:
    """Pattern of a value, with soft breaks inside unless it is a whole header."""
    return re.escape(value) if name == _HEADER else _ANY_SOFT_BREAK.join(re.escape(bytes([each])) for each in value)


class _Text:
    """MIME text in pieces. Those between the fixed ones are values, or parts of one with a soft break inside."""

    def __init__(self, example: bytes, placeholders: Mapping[str, bytes]) -> None:
        self._pieces: list[bytes] = []
        self._gaps: list[tuple[int, str, slice]] = []  # number of the piece, name of the value, its part
        any_of_them = b"|".join(b"(?P<%b>%b)" % (name.encode(), _found(name, v)) for name, v in placeholders.items())
        end = 0
        for found in re.finditer(any_of_them, example):
            self._pieces.append(example[end : found.start()])
            name = found.lastgroup or ""
            self._add(name, [found[0]] if name == _HEADER else found[0].split(_SOFT_BREAK))
            end = found.end()
        self._pieces.append(example[end:])

    def _add(self, name: str, parts: list[bytes]) -> None:
        start = 0
        for part in parts[:-1]:
            self._add_gap(name, slice(start, start + len(part)))
            self._pieces.append(_SOFT_BREAK)
            start += len(part)
        self._add_gap(name, slice(start, None))

    def _add_gap(self, name: str, part: slice) -> None:
        self._gaps.append((len(self._pieces), name, part))
        self._pieces.append(b"")

    def fill_in(self, values: Mapping[str, bytes]) -> bytes:
        pieces = self._pieces.copy()
        for number, name, part in self._gaps:
            pieces[number] = values[name][part]
        return b"".join(pieces)
