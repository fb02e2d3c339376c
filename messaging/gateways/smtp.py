"""SMTP gateway for e-mail, on Django's mail backend.

| result of the dialogue                                                    | outcome                              |
|---------------------------------------------------------------------------|--------------------------------------|
| 2xx to the message                                                        | Receipt                              |
| 5xx about the recipient (`smtp_codes`)                                    | permanent refusal                    |
| 4xx about the recipient: greylisting, a full mailbox                      | temporary, no failure of this server |
| no SMTPUTF8 where it is needed, or too big for this server                | unsupported by this server           |
| any other 4xx or 5xx, at any step                                         | temporary refusal, next provider     |
| no connection, no TLS, no answer or a cut before 354                      | temporary refusal, next provider     |
| no answer, a cut or nonsense after 354                                    | OutcomeUnknown                       |

With PIPELINING (RFC 2920) MAIL, RCPT and DATA leave in one write, and the first refusal among their replies is the
outcome: a 354 after it is no hand-over. In a session they leave with the text of the mail before, so that a mail costs
one round trip. Where that fails before MAIL is answered, the mail is sent again over a new connection.

A refusal that is not clearly about the recipient (a quota, a block list, a sender or a relay that is not allowed) is a
failure of this server, and the next server is tried at once.
"""

import base64
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from django.core.mail.backends.smtp import EmailBackend

from messaging.gateways import mail, mail_template
from messaging.gateways.base import MASK, Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt
from messaging.gateways.smtp_codes import Fault, classify, is_hard_bounce
from messaging.gateways.smtp_connection import Connection, Dialogue, Mail
from messaging.gateways.url import GatewayUrl

STEP_TIMEOUT = 10.0
TOTAL_TIMEOUT = 20.0
"""Seconds for each step and for the whole dialogue; below the 30 of a hand-over's lease."""

REPLY_LENGTH = 300
"""Characters of a reply that are stored: the size of the column."""
SMTPUTF8_RETRY = 600.0
"""Seconds after which a server that lacked SMTPUTF8 is tried again with such an address."""
CHAINING_RETRY = 600.0
"""Seconds after which a server that did not answer commands sent with a text is sent them so again."""

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465, "smtp+ssl": 465}
_CLOSING = 421
_QUEUE_ID = re.compile(r"\bqueued as ([\w.-]{1,150})|\bid=([\w.-]{1,150})", re.IGNORECASE | re.ASCII)  # Postfix; Exim


class SmtpGateway:
    """One SMTP server, usually a relay for authenticated clients. Holds no connection, so threads may share it."""

    own_process = False
    has_receipts = False
    """Nobody reports on a mail later: one that cannot be delivered comes back to the mailbox of its sender."""

    def __init__(
        self, url: GatewayUrl, *, step_timeout: float = STEP_TIMEOUT, total_timeout: float = TOTAL_TIMEOUT
    ) -> None:
        self._url = url
        self._port = url.port or _PORTS[url.scheme]
        self._context = _tls_context(url)
        self._step_timeout = step_timeout
        self._total_timeout = total_timeout
        self._lacks_smtputf8_until = float("-inf")
        self._unchained_until = float("-inf")
        host = f"[{url.host}]" if ":" in url.host else url.host
        self.name = f"{url.scheme}:{host}:{self._port}"[:100]

    def __repr__(self) -> str:
        return f"<SmtpGateway {self.name}>"

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        with self.session() as session:
            return session.send(message, secret)

    @contextmanager
    def session(self) -> Iterator["_Session"]:
        """One connection for several messages, for one thread. After a failure the next message opens another one."""
        session = _Session(self)
        try:
            yield session
        finally:
            session.close()

    def can_reach(self, recipient: str) -> bool:
        """False: the address needs SMTPUTF8, and this server lacked it within the last SMTPUTF8_RETRY seconds."""
        return _needs_no_smtputf8(recipient) or time.monotonic() >= self._lacks_smtputf8_until

    def lacks_smtputf8(self) -> None:
        self._lacks_smtputf8_until = time.monotonic() + SMTPUTF8_RETRY

    @property
    def may_chain(self) -> bool:
        """False: it did not answer commands that were sent with a text, within the last CHAINING_RETRY seconds."""
        return time.monotonic() >= self._unchained_until

    def does_not_chain(self) -> None:
        self._unchained_until = time.monotonic() + CHAINING_RETRY

    def dialogue(self, message: Outgoing) -> Dialogue:
        return Dialogue(step=self._step_timeout, total=self._total_timeout, send_before=message.send_before)

    def redactor(self, secret: str | None) -> "_Redactor":
        return _Redactor(self._url, secret)

    def backend(self, dialogue: Dialogue) -> "_Backend":
        backend = _Backend(
            host=self._url.host,
            port=self._port,
            username=self._url.user,
            password=self._url.password,
            use_tls=self._url.scheme == "smtp+tls",
            use_ssl=self._url.scheme in ("smtps", "smtp+ssl"),
        )
        backend.dialogue = dialogue
        if self._context is not None:
            backend.ssl_context = self._context
        return backend


@dataclass(frozen=True)
class _Failure:
    """Outcome of a message that was not taken, and where its dialogue ended: stage and code of the last reply."""

    outcome: GatewayError | OutcomeUnknown
    stage: str
    code: int

    @property
    def is_before_mail(self) -> bool:
        """MAIL was refused or not answered."""
        return self.stage == "mail" and isinstance(self.outcome, GatewayError)


class _Session:
    """Session of a gateway: sends several messages over one connection."""

    def __init__(self, gateway: SmtpGateway) -> None:
        self._gateway = gateway
        self._backend: _Backend | None = None
        self._announced: Outgoing | None = None
        self._following: tuple[Outgoing, Mail] | None = None  # sent with the text of the message before it

    def announce(self, message: Outgoing | None) -> None:
        """Say which message, without a secret, the call after the next one will send."""
        self._announced = message

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        mail.check(message)  # fails before a connection is opened
        is_chained = self._following is not None and self._following[0] is message
        result = self._try(message, secret)
        if is_chained and isinstance(result, _Failure) and result.is_before_mail:
            # The server may be one that forgets what arrives with a text. It has nothing of this message.
            if result.code != _CLOSING:
                self._gateway.does_not_chain()
            result = self._try(message, secret)
        if isinstance(result, Receipt):
            return result
        raise result.outcome  # outside an except block: its context may quote the code or our password

    def close(self) -> None:
        self._following = None
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def _try(self, message: Outgoing, secret: str | None) -> "Receipt | _Failure":
        dialogue = self._gateway.dialogue(message)
        outcome: GatewayError | OutcomeUnknown
        redactor = self._gateway.redactor(secret)
        try:
            self._transmit(message, secret, dialogue)
            return _receipt(dialogue, message, redactor)
        except (OSError, ValueError) as error:
            # Errors of smtplib, TLS and the socket are OSErrors; a reply that cannot be decoded is a ValueError.
            code = _code_of(error)
            if dialogue.handed_over and 200 <= code <= 299:
                return _receipt(dialogue, message, redactor)  # smtplib accepts only 250
            outcome = _classify(error, code, dialogue, redactor)
        except GatewayError as own:
            outcome = own
        failure = _Failure(outcome, dialogue.stage, dialogue.reply[0])
        self.close()  # after a refusal the state of the dialogue is not known
        if isinstance(outcome, GatewayError) and outcome.unsupported and not _needs_no_smtputf8(message.recipient):
            self._gateway.lacks_smtputf8()
        return failure

    def _transmit(self, message: Outgoing, secret: str | None, dialogue: Dialogue) -> None:
        if self._following is not None and self._following[0] is not message:
            self.close()  # the server waits for another one
        connection = self._connection(dialogue)
        connection.ehlo_or_helo_if_needed()
        written = self._following[1] if self._following is not None else _write(connection, message, secret)
        self._following = self._next(connection)
        connection.transmit(written, self._following[1] if self._following is not None else None)

    def _next(self, connection: Connection) -> tuple[Outgoing, Mail] | None:
        """The announced message, if its commands may leave with the text of the one before it."""
        message, self._announced = self._announced, None
        if message is None or not self._gateway.may_chain or not connection.has_extn("pipelining"):
            return None
        try:
            mail.check(message)
            return message, _write(connection, message, None)
        except (GatewayError, ValueError):
            return None  # its own call says why

    def _connection(self, dialogue: Dialogue) -> Connection:
        if self._backend is None:
            self._backend = self._gateway.backend(dialogue)
            self._backend.open()
        self._backend.use_dialogue(dialogue)
        return cast(Connection, self._backend.connection)


class _Backend(EmailBackend):
    """Django's backend on our connection: connects, secures and logs in. Errors of QUIT are ignored."""

    dialogue: Dialogue

    def use_dialogue(self, dialogue: Dialogue) -> None:
        """Use the dialogue of the next message on the same connection."""
        self.dialogue = dialogue
        if self.connection is not None:
            cast(Connection, self.connection).dialogue = dialogue

    @property
    def connection_class(self) -> Any:
        return partial(Connection, dialogue=self.dialogue)

    def _close_connection(self, connection: Connection) -> None:
        self.dialogue.begin_quit()
        try:
            if connection.announced is None:  # else the server takes QUIT for a text
                connection.quit()
        except OSError:
            pass  # the outcome is known already
        finally:
            connection.close()


class _Redactor:
    """Removes our credentials and the code from a server's replies before they are stored."""

    def __init__(self, url: GatewayUrl, secret: str | None) -> None:
        self._credentials = []
        if url.password:
            plain = [url.password, url.user]
            encoded = [base64.b64encode(form.encode()).decode() for form in (*plain, f"\0{url.user}\0{url.password}")]
            self._credentials = sorted([*plain, *encoded], key=len, reverse=True)
        # As a whole word: a queue id may contain the same four characters by chance.
        self._code = re.compile(rf"(?<![0-9a-z]){re.escape(secret)}(?![0-9a-z])", re.IGNORECASE) if secret else None

    def redact(self, text: str) -> str:
        """A text fit to be stored and shown: no secrets, no control characters, one line."""
        for credential in self._credentials:
            text = text.replace(credential, "***")
        if self._code is not None:
            text = self._code.sub(MASK, text)
        if not text.isprintable():
            text = "".join(character if character.isprintable() else " " for character in text)
        return " ".join(text.split())


def _write(connection: Connection, message: Outgoing, secret: str | None) -> Mail:
    """Write a message for a connection that is open and logged in. Raises GatewayError, ValueError."""
    recipient = mail.recipient(message)
    eight_bit = connection.has_extn("8bitmime")
    options = ["BODY=8BITMIME"] if eight_bit else []
    if recipient.isascii():
        body = mail_template.write(message, secret, seven_bit=not eight_bit)
    else:
        # Django would write =?utf-8?...?= for the part before the @, which names another mailbox.
        if not (connection.has_extn("smtputf8") and eight_bit):
            words = "el servidor no acepta direcciones con tildes o eñes (SMTPUTF8)"
            raise GatewayError(words, permanent=True, unsupported=True)
        options.append("SMTPUTF8")
        email = mail.compose(message, secret).message()
        email.replace_header("To", recipient.encode().decode("ascii", "surrogateescape"))
        body = mail_template.as_bytes(email)
    return connection.mail_with_commands(mail.envelope_sender(), recipient, body, options)


def _needs_no_smtputf8(recipient: str) -> bool:
    """True if the part before the @ is ASCII. A domain has an ASCII form, that part has none."""
    return recipient.rpartition("@")[0].isascii()


def _receipt(dialogue: Dialogue, message: Outgoing, redactor: _Redactor) -> Receipt:
    code, words = dialogue.reply
    reply = redactor.redact(f"{code} {words.decode('utf-8', 'replace')}")
    named = _QUEUE_ID.search(reply)
    provider_id = (named[1] or named[2]) if named else mail.message_id(message)
    return Receipt(provider_id=provider_id, reply=reply[:REPLY_LENGTH])


def _code_of(error: Exception) -> int:
    """The server's reply code in an error; 0 where there is none, or an invalid one."""
    code = 0
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
    elif isinstance(error, smtplib.SMTPResponseException):
        code = error.smtp_code
    return code if 200 <= code <= 599 else 0


def _classify(error: Exception, code: int, dialogue: Dialogue, redactor: _Redactor) -> GatewayError | OutcomeUnknown:
    """The outcome of an error, by the table at the top of this module."""
    if 400 <= code <= 599:
        words = dialogue.reply[1].decode("utf-8", "replace")
        whose = classify(code, words, stage=dialogue.stage)
        return GatewayError(
            redactor.redact(f"{code} {words}")[:REPLY_LENGTH],
            permanent=whose in (Fault.RECIPIENT, Fault.UNSUPPORTED),
            unsupported=whose is Fault.UNSUPPORTED,
            about_recipient=whose is Fault.RECIPIENT_FOR_NOW,
            hard_bounce=whose is Fault.RECIPIENT and is_hard_bounce(code, words),
        )
    reply = redactor.redact(f"{_reason(error, dialogue.stage)} ({dialogue.stage.upper()})")[:REPLY_LENGTH]
    return OutcomeUnknown(reply) if dialogue.handed_over else GatewayError(reply, permanent=False)


def _reason(error: Exception, stage: str) -> str:
    """The reason in Spanish for staff, where there is no reply of the server to show."""
    cause = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
    match cause:
        case socket.gaierror():
            return "no se encuentra el servidor"
        case ssl.SSLCertVerificationError():
            return f"certificado del servidor no válido: {cause.verify_message}"
        case ssl.SSLError():
            return f"falló la conexión segura: {cause.reason or 'TLS'}"
        case ConnectionRefusedError():
            return "el servidor rechaza la conexión"
        case TimeoutError():
            return "el servidor no respondió a tiempo"
        case smtplib.SMTPNotSupportedError():
            return f"el servidor no ofrece {stage.upper()}"
        case smtplib.SMTPException() | ValueError():
            return "el servidor no dio una respuesta clara"
    return "no se pudo conectar" if stage == "connect" and cause is not None else "se cortó la conexión"


def _tls_context(url: GatewayUrl) -> ssl.SSLContext | None:
    """The TLS context, made once because reading the system's certificates costs some 20 ms. Always verifies."""
    if url.scheme == "smtp":
        return None
    try:
        return ssl.create_default_context(cafile=url.options.get("ca"))
    except OSError:
        url.refuse("its option ca must be a readable file of certificates in PEM")


def from_url(url: GatewayUrl, via: str) -> Gateway:
    """Make a gateway from `smtp+tls://user:password@host:587?ca=/path.pem`. Raises BadGatewayUrl.

    User and password must be given together or not at all.
    """
    if not url.host:
        url.refuse("it needs a host")
    if url.path:
        url.refuse("it has a path; percent-encode a slash in a password as %2F")
    if bool(url.user) != bool(url.password):
        url.refuse("it needs a user and a password, or neither")
    if not (url.user + url.password).isascii() or not (url.user + url.password).isprintable():
        url.refuse("its user and password must be printable ASCII: SMTP's AUTH has nothing else in common use")
    if "verify" in url.options:
        url.refuse("certificates are always verified; name a private authority's file with the option ca")
    url.allow_options(*([] if url.scheme == "smtp" else ["ca"]))
    return SmtpGateway(url)
