"""SMTP connection that tracks the stage of the dialogue and has a limit on its total time.

`smtplib` raises the same errors before and after a server has taken the message, and its timeout starts again with
every byte: a server that sends one every nine seconds would hold a thread for hours. This module fixes both. It also
sends MAIL, RCPT and DATA in one write where the server offers PIPELINING (RFC 2920), and in the same write as the text
of the mail before them, which section 3.1 allows. The rest is left to smtplib.
"""

import io
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.utils import timezone

from messaging.gateways.base import GatewayError

CONNECT_TIMEOUT = 5.0
"""Seconds for each address of a host, so that a dead address leaves time for the next."""
QUIT_TIMEOUT = 1.0
"""Seconds for QUIT. The outcome is known by then."""

_FIRST_DOTS = re.compile(rb"^\.", re.MULTILINE)
_quoted = lru_cache(maxsize=4)(smtplib.quoteaddr)
_STAGES = frozenset({"ehlo", "helo", "starttls", "auth", "mail", "rcpt", "data", "quit"})
_TAKEN, _GO_ON, _REFUSED, _CLOSING = 250, 354, 400, 421
_RECIPIENT_TAKEN = frozenset({250, 251})
_CHUNK = 16 * 1024
_MAX_BYTES = 1024 * 1024
"""Bytes read in one connection at most. Replies have a few kilobytes; an endless one must not fill our memory."""


@dataclass(frozen=True, eq=False)
class Mail:
    """One mail to one recipient, for one connection."""

    sender: str
    recipient: str
    body: bytes = field(repr=False)  # lines end in CR LF
    options: Sequence[str]  # of MAIL
    group: bytes = field(repr=False)  # MAIL, RCPT and DATA


class Dialogue:
    """Stage and time limits of one dialogue: `step` seconds for each wait, `total` for all of them.

    Only the name look-up has no limit of ours. The system's resolver has its own, and its time counts in the total.
    """

    def __init__(self, *, step: float, total: float, send_before: datetime | None) -> None:
        self.stage = "connect"
        self.handed_over = False  # after 354 the server may have the message
        self.reply: tuple[int, bytes] = (0, b"")
        self.send_before = send_before
        self._step = step
        self._ends = time.monotonic() + total

    def left(self) -> float:
        """Seconds that the next wait may take. Raises TimeoutError: none are left."""
        left = min(self._step, self._ends - time.monotonic())
        if left <= 0:
            raise TimeoutError("out of time")
        return left

    def begin_quit(self) -> None:
        self._ends = time.monotonic() + QUIT_TIMEOUT


class Connection(smtplib.SMTP):
    """smtplib's client with a Dialogue. With a `context`: TLS from the first byte."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        dialogue: Dialogue,
        local_hostname: str | None = None,
        context: ssl.SSLContext | None = None,
        timeout: float | None = None,
    ) -> None:
        self.dialogue = dialogue
        self.announced: Mail | None = None
        """The mail whose MAIL, RCPT and DATA were sent with the text of the one before; their replies are unread."""
        self._tls = context
        super().__init__(host, port, local_hostname)

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        plain = self._connect_first(host, port)
        if self._tls is None:
            return plain
        try:
            plain.settimeout(self.dialogue.left())  # for the whole handshake, not for each byte
            return self._tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def _connect_first(self, host: str, port: int) -> socket.socket:
        """A connection to the first address of the host that answers."""
        failure = OSError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            reached = socket.socket(family, kind, protocol)
            try:
                reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                reached.settimeout(min(CONNECT_TIMEOUT, self.dialogue.left()))
                reached.connect(address)
            except OSError as error:
                reached.close()
                failure = error
            else:
                return reached
        raise failure

    def send(self, s: Any) -> None:
        data = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        for start in range(0, len(data), _CHUNK):
            if self.sock is not None:
                self.sock.settimeout(self.dialogue.left())
            super().send(data[start : start + _CHUNK])

    def putcmd(self, cmd: str, args: str = "") -> None:
        if cmd.lower() in _STAGES:  # the later lines of AUTH also come here, and are no stage
            self.dialogue.stage = cmd.lower()
        super().putcmd(cmd, args)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_TimedReader(self.sock, self))
        try:
            self.dialogue.reply = super().getreply()
        except smtplib.SMTPResponseException:
            # A line without an end, for which smtplib raises a 500 that the server did not send.
            raise smtplib.SMTPServerDisconnected("unreadable reply") from None
        if self.dialogue.stage == "data" and self.dialogue.reply[0] == 354:
            self.dialogue.handed_over = True
        return self.dialogue.reply

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self.ehlo_or_helo_if_needed()
        self.dialogue.stage = "starttls"
        return super().starttls(*args, **kwargs)

    def login(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self.ehlo_or_helo_if_needed()
        self.dialogue.stage = "auth"
        return super().login(*args, **kwargs)

    def mail_with_commands(self, sender: str, recipient: str, body: bytes, options: Sequence[str]) -> Mail:
        """A mail and its commands, as this connection sends them. Raises ValueError: its commands cannot be written."""
        sized = [f"size={len(body)}", *options] if self.has_extn("size") else options
        commands = (" ".join([f"mail FROM:{_quoted(sender)}", *sized]), f"rcpt TO:<{recipient}>", "data")
        if any("\r" in each or "\n" in each for each in commands):
            raise ValueError("a line break in an address")
        group = "".join(f"{each}\r\n" for each in commands).encode("utf-8" if "SMTPUTF8" in options else "ascii")
        return Mail(sender, recipient, body, options, group)

    def transmit(self, mail: Mail, following: Mail | None = None) -> None:
        """Send one mail. Raises smtplib's errors, the same ones with PIPELINING and without it.

        `following`: the mail that the next call will send, if this one does not fail. Its commands leave with the text
        of this one.
        """
        if not self.has_extn("pipelining"):
            self.sendmail(mail.sender, [mail.recipient], mail.body, mail_options=mail.options)
            return
        self._check_time()
        self.dialogue.stage = "mail"
        if self.announced is not mail:
            self.send(mail.group)
        self.announced = None
        self._acknowledge_at_once()
        self._read_group(mail)
        try:
            self._check_time()
        except GatewayError:
            self.close()  # without the end of the message the server drops it
            raise
        end = b".\r\n" if mail.body.endswith(b"\r\n") else b"\r\n.\r\n"
        self.announced = following
        self.send(_FIRST_DOTS.sub(b"..", mail.body) + end + (following.group if following is not None else b""))
        code, words = self.getreply()
        if code != _TAKEN:
            raise self._closed_by(code, smtplib.SMTPDataError(code, words))

    def _acknowledge_at_once(self) -> None:
        """A server that writes each reply by itself waits up to 40 ms for our acknowledgement of the one before it."""
        if self.sock is not None and hasattr(socket, "TCP_QUICKACK"):  # Linux
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _read_group(self, mail: Mail) -> None:
        """Read the replies to MAIL, RCPT and DATA up to the first refusal, and raise it."""
        code, words = self.getreply()
        if code != _TAKEN:
            self._leave_group(2)
            raise self._closed_by(code, smtplib.SMTPSenderRefused(code, words, mail.sender))
        self.dialogue.stage = "rcpt"
        code, words = self.getreply()
        if code not in _RECIPIENT_TAKEN:
            self._leave_group(1)
            raise self._closed_by(code, smtplib.SMTPRecipientsRefused({mail.recipient: (code, words)}))
        self.dialogue.stage = "data"
        code, words = self.getreply()
        if code != _GO_ON:
            raise smtplib.SMTPDataError(code, words)

    def _leave_group(self, unread: int) -> None:
        """Read the last replies of a group after a refusal, which stays the reply of the dialogue.

        A 354 among them is no hand-over. It is answered by an empty message (RFC 2920, 3.1) or, where the recipient was
        not refused and could get it, by hanging up: only a complete message is delivered.
        """
        refusal = self.dialogue.reply
        self.dialogue.begin_quit()
        try:
            to_recipient, to_data = [refusal[0], *(self.getreply()[0] for _ in range(unread))][-2:]
            if to_data == _GO_ON and to_recipient >= _REFUSED:
                self.send(b".\r\n")
                self.getreply()
            elif to_data == _GO_ON:
                self.close()
        except OSError:
            self.close()
        self.dialogue.reply = refusal

    def _closed_by(self, code: int, error: smtplib.SMTPException) -> smtplib.SMTPException:
        """The error, after closing the connection as the server announced with 421."""
        if code == _CLOSING:
            self.close()
        return error

    def data(self, msg: Any) -> tuple[int, bytes]:
        self._check_time()
        return super().data(msg)

    def _check_time(self) -> None:
        if self.dialogue.send_before is not None and timezone.now() >= self.dialogue.send_before:
            raise GatewayError("su plazo venció durante la conversación con el servidor", permanent=False)

    def rset(self) -> tuple[int, bytes]:
        """Send nothing. smtplib would send RSET after each refusal and wait; our connections end there."""
        return 250, b""


class _TimedReader(io.RawIOBase):
    """Reader of a socket that sets its timeout to the dialogue's remaining time before every read."""

    def __init__(self, sock: socket.socket, connection: "Connection") -> None:
        self._sock = sock
        self._connection = connection  # not its dialogue, which changes with each message
        self._bytes_left = _MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._connection.dialogue.left())
        count = self._sock.recv_into(buffer)
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise OSError("the server does not stop talking")
        with suppress(TimeoutError):  # octets that arrived at the last moment still count
            self._sock.settimeout(self._connection.dialogue.left())  # the TLS handshake after STARTTLS uses it
        return count
