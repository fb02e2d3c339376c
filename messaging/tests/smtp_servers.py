"""SMTP servers for tests: a real one (aiosmtpd), a scripted one that misbehaves, and helpers for the client side."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from messaging.gateways.base import MASK, GatewayError, Outgoing
from messaging.gateways.smtp import SmtpGateway, from_url
from messaging.gateways.url import parse

# --- a real server -----------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """Mails that a real server received."""

    mails: list[Any] = field(default_factory=list)  # aiosmtpd's envelopes
    peers: list[Any] = field(default_factory=list)
    port: int = 0
    pipelining: bool = False  # whether new connections are offered PIPELINING

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]] if self.pipelining else responses

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(envelope)
        self.peers.append(session.peer)
        return "250 2.0.0 Ok: queued as 4XyZ12abc"

    def only(self) -> EmailMessage:
        """The only mail received, parsed."""
        (envelope,) = self.mails
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@contextlib.contextmanager
def real_server(**options: Any) -> Iterator[Mailbox]:
    """Run aiosmtpd on a free port. `ssl_context`: TLS at once; `tls_context`: STARTTLS; other options are passed on."""
    mailbox = Mailbox(port=free_port())
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=mailbox.port, server_hostname="mx.example.com", **options
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def password_check(user: str, password: str) -> Callable[..., AuthResult]:
    """An aiosmtpd authenticator that knows one user."""
    expected = LoginPassword(user.encode(), password.encode())
    return lambda server, session, envelope, mechanism, given: AuthResult(success=given == expected, handled=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- certificates ------------------------------------------------------------------------------------------


@dataclass
class Authority:
    """Certificate authority for tests, which issues server certificates."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def server_context(self, name: str) -> ssl.SSLContext:
        """TLS for a server whose certificate is for this name or address."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            subject = x509.DNSName(name)
        certificate = _certificate(name, self.certificate.subject, key, self.key, subject=subject)
        file = self.folder / f"{name}.pem"
        file.write_bytes(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def make_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Aval test authority")])
    authority = Authority(folder, key, _certificate("Aval test authority", name, key, key, subject=None))
    authority.file.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    return authority


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    subject: x509.GeneralName | None,
) -> x509.Certificate:
    """A certificate for a server (`subject`); without a subject that of the authority.

    It has what Python 3.13 asks for (ssl.VERIFY_X509_STRICT): ids of both keys, and the uses of the authority's key.
    """
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=subject is None, path_length=None), critical=True)
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(issued_by, critical=False)
    if subject is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([subject]), critical=False)
    else:
        may_sign = dict.fromkeys(KEY_USES, False) | {"key_cert_sign": True, "crl_sign": True}
        builder = builder.add_extension(x509.KeyUsage(**may_sign), critical=True)
    return builder.sign(signer, hashes.SHA256())


# --- a server that misbehaves ------------------------------------------------------------------------------

Act = Callable[[socket.socket], None]


def _spelled_alike(line: str) -> str:
    """A command with its keyword in small letters: smtplib's spelling differs between versions of Python."""
    keyword, colon, rest = line.partition(":")
    return f"{keyword.lower()}{colon}{rest}" if colon else line


def cut(connection: socket.socket) -> None:
    """Close the connection."""
    connection.shutdown(socket.SHUT_RDWR)


def silence(connection: socket.socket) -> None:
    """Send nothing until the client gives up."""
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass


def trickle(connection: socket.socket) -> None:
    """Send one byte at a time, each within the timeout, and never the end of a line."""
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"2")
            time.sleep(0.05)


def endless_line(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"250 " + b"x" * 100_000)


def endless_reply(connection: socket.socket) -> None:
    """Send an endless reply of many lines."""
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"250-" + b"x" * 1000 + b"\r\n")


def reply_then(reply: str, act: Act) -> Act:
    def both(connection: socket.socket) -> None:
        connection.sendall(reply.encode() + b"\r\n")
        act(connection)

    return both


@dataclass
class Script:
    """Commands and bodies that a scripted server received."""

    port: int = 0
    commands: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    def verbs(self) -> list[str]:
        return [line.split(" ")[0].split(":")[0].upper() for line in self.commands]


@contextlib.contextmanager
def scripted_server(**answers: str | Act) -> Iterator[Script]:
    """Run a server that succeeds at `greeting`, `ehlo`, `mail`, `rcpt`, `data`, `body` and `quit`, except in `answers`.

    An answer is a reply, or a function of the connection after which the server sends nothing more.
    """
    script = Script()

    def converse(connection: socket.socket) -> None:
        script.connections += 1
        _converse(connection, script, answers)

    with listening(converse) as script.port:
        yield script


@contextlib.contextmanager
def listening(converse: Act) -> Iterator[int]:
    """Accept connections, one after the other, and let `converse` serve each; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                converse(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


_GOOD = {
    "greeting": "220 mx.example.com",
    "ehlo": "250 mx.example.com",
    "helo": "250 mx.example.com",
    "mail": "250 Ok",
    "rcpt": "250 Ok",
    "data": "354 Go ahead",
    "body": "250 2.0.0 Ok: queued as 4XyZ12abc",
    "quit": "221 Bye",
}


def _converse(connection: socket.socket, script: Script, answers: dict[str, str | Act]) -> None:
    lines = connection.makefile("rb")
    with lines:
        if not _answer(connection, "greeting", answers):
            return
        while line := lines.readline():
            script.commands.append(_spelled_alike(line.decode("utf-8", "replace").strip()))
            step = script.verbs()[-1].lower()
            if not _answer(connection, step, answers):
                return
            if step == "quit":
                return
            if step == "data" and "data" not in answers:
                script.bodies.append(_body(lines))
                if not _answer(connection, "body", answers):
                    return


def _answer(connection: socket.socket, step: str, answers: dict[str, str | Act]) -> bool:
    """Answer one step. Returns True if the dialogue goes on."""
    answer = answers.get(step, _GOOD.get(step, "500 What?"))
    if callable(answer):
        answer(connection)
        return False
    connection.sendall(answer.encode() + b"\r\n")
    return True


def _body(lines: Any) -> bytes:
    body = b""
    while (line := lines.readline()) not in (b".\r\n", b""):
        body += line
    return body


# --- our side ----------------------------------------------------------------------------------------------

CODE = "A1B2"
SHORT = {"step_timeout": 0.3, "total_timeout": 0.7}  # seconds; for servers that are slow on purpose


def gateway_to(port, scheme="smtp", login="", query="", host="127.0.0.1", **timeouts):
    url = parse(f"{scheme}://{login}{host}:{port}{query}", "EMAIL_URL")
    from_url(url, "C")  # what the registry would refuse is not worth testing
    return SmtpGateway(url, **timeouts)


def outgoing(**changes):
    values = {
        "id": UUID("0198c0de-0000-4000-8000-000000000001"),
        "kind": "verificacion",
        "via": "C",
        "recipient": "ana@dominio.com",
        "subject": "Su código de verificación",
        "text": f"Su código es {MASK}.\n.\nNo lo comparta, señor Ñahui.",
        "html": "",
        "send_before": None,
    }
    return Outgoing(**{**values, **changes})


def refused(script, message=None, secret=CODE, **how):
    with pytest.raises(GatewayError) as refusal:
        gateway_to(script.port, **how).send(message or outgoing(), secret)
    return refusal.value
