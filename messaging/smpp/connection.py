"""Connection to an SMSC: a non-blocking socket that keeps partial PDUs until the rest of them arrives."""

import select
import socket
import ssl
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from messaging.gateways.smpp import Account

HEADER = struct.Struct(">LLLL")
"""command_length, command_id, command_status, sequence_number (SMPP 3.4, section 3.2)."""
MAX_PDU_SIZE = 70_000
"""Octets. message_payload may have 65,535; a longer PDU is not SMPP, or is an attack."""
MAX_READ = 1 << 20
"""Octets that one call of `receive` reads at most, so that a flood of input does not keep us from sending."""


class ConnectionLost(Exception):
    """The connection could not be made or has ended. The text is the reason, in Spanish for the staff."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One PDU as received, its body not parsed. `repr` omits the body: it may hold a client's text."""

    command: int
    status: int
    sequence: int
    raw: bytes

    def __repr__(self) -> str:
        return f"<Frame {self.command:#010x} {self.status:#010x} {self.sequence}>"

    @property
    def body(self) -> bytes:
        return self.raw[HEADER.size :]


class Connection:
    """One connection. `ended` is empty while it is open, then the reason why it ended, in Spanish."""

    def __init__(self, link: socket.socket) -> None:
        link.setblocking(False)
        self._socket = link
        self._in = bytearray()
        self._out = bytearray()
        self._blocked_since: float | None = None
        self.written = 0
        """Octets that the operating system has taken since the connection was made."""
        self.ended = ""

    @property
    def is_writable(self) -> bool:
        """The write buffer is empty: octets that are put now leave now."""
        return not self._out and not self.ended

    def blocked_for(self, *, now: float) -> float:
        """Seconds since the SMSC last took any octets, where some wait to be written; else 0."""
        return now - self._blocked_since if self._blocked_since is not None else 0.0

    def put(self, octets: bytes) -> int:
        """Write octets, or buffer those that do not fit. Returns the value of `written` once all of them have left."""
        end = self.written + len(self._out) + len(octets)
        self._out += octets
        self.flush()
        return end

    def flush(self) -> None:
        """Write as much of the buffer as the socket takes now."""
        while self._out and not self.ended:
            try:
                count = self._socket.send(self._out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if self._blocked_since is None:
                    self._blocked_since = time.monotonic()
                return
            except OSError:
                self.ended = "se cortó la conexión"
                return
            del self._out[:count]
            self.written += count
            self._blocked_since = None

    def wait(self, seconds: float) -> None:
        """Wait until input arrives, buffered octets can be written, or `seconds` have passed."""
        if not self.ended:
            select.select([self._socket], [self._socket] if self._out else [], [], seconds)
            self.flush()

    def receive(self) -> list[Frame]:
        """The complete PDUs received so far, including those that came before the connection ended."""
        taken = 0
        while taken < MAX_READ:
            try:
                octets = self._socket.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                octets = b""
            if not octets:
                self.ended = self.ended or "se cortó la conexión"
                break
            self._in += octets
            taken += len(octets)
        return self._frames()

    def _frames(self) -> list[Frame]:
        frames = []
        while len(self._in) >= HEADER.size:
            length, command, status, sequence = HEADER.unpack_from(self._in)
            if not HEADER.size <= length <= MAX_PDU_SIZE:
                self.ended = "el SMSC envió algo que no es SMPP"
                self._in.clear()
            if len(self._in) < length:
                break
            frames.append(Frame(command, status, sequence, bytes(self._in[:length])))
            del self._in[:length]
        return frames

    def close(self) -> None:
        self.ended = self.ended or "cerrada"
        with suppress(OSError):
            self._socket.close()


def connect(account: Account, *, timeout: float) -> Connection:
    """Connect, with TLS where the account says so. `timeout`: seconds for each step. Raises ConnectionLost."""
    try:
        plain = socket.create_connection((account.host, account.port), timeout=timeout)
    except OSError as error:
        raise ConnectionLost(_reason(error)) from None
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(account.tls.wrap_socket(plain, server_hostname=account.host) if account.tls else plain)
    except OSError as error:
        plain.close()
        raise ConnectionLost(_reason(error)) from None


def _reason(error: OSError) -> str:
    match error:
        case socket.gaierror():
            return "no se encuentra el servidor"
        case ssl.SSLCertVerificationError():
            return f"certificado del servidor no válido: {error.verify_message}"
        case ssl.SSLError():
            return f"falló la conexión segura: {error.reason or 'TLS'}"
        case ConnectionRefusedError():
            return "el servidor rechaza la conexión"
        case TimeoutError():
            return "el servidor no respondió a tiempo"
    return "no se pudo conectar"
