"""Socket connection to an SMSC. Never blocks, and reassembles PDUs that come in pieces."""

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
LONGEST_PDU = 70_000
"""Most octets of a PDU; message_payload may have 65,535. A longer one is no SMPP, or an attack."""
AT_ONCE = 1 << 20
"""Most octets of one read, so that a flood does not keep us from sending."""


class LineBroken(Exception):
    """There is no connection, or no longer; the text is the reason, in Spanish for staff."""


@dataclass(frozen=True, slots=True)
class Frame:
    """PDU as it came, with its body unread and left out of `repr`: it may hold a client's text."""

    command: int
    status: int
    sequence: int
    raw: bytes

    def __repr__(self) -> str:
        return f"<Frame {self.command:#010x} {self.status:#010x} {self.sequence}>"

    @property
    def body(self) -> bytes:
        return self.raw[HEADER.size :]


class Line:
    """Connection. `ended` says why no more frames will come."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._in = bytearray()
        self._out = bytearray()
        self._stuck_since: float | None = None
        self.written = 0
        """Octets the system has taken since the beginning."""
        self.ended = ""

    @property
    def is_writable(self) -> bool:
        """Nothing waits to be written: what is put now is sent now."""
        return not self._out and not self.ended

    def stuck_for(self, *, now: float) -> float:
        """Seconds since the SMSC last took some of the waiting octets."""
        return now - self._stuck_since if self._stuck_since is not None else 0.0

    def put(self, octets: bytes) -> int:
        """Write, or keep what does not fit; returns the value of `written` when all of it has been sent."""
        end = self.written + len(self._out) + len(octets)
        self._out += octets
        self.flush()
        return end

    def flush(self) -> None:
        """Write what can be written now."""
        while self._out and not self.ended:
            try:
                count = self._socket.send(self._out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if self._stuck_since is None:
                    self._stuck_since = time.monotonic()
                return
            except OSError:
                self.ended = "se cortó la conexión"
                return
            del self._out[:count]
            self.written += count
            self._stuck_since = None

    def wait(self, seconds: float) -> None:
        """Wait until something comes, waiting octets can be sent, or the time is up."""
        if not self.ended:
            select.select([self._socket], [self._socket] if self._out else [], [], seconds)
            self.flush()

    def receive(self) -> list[Frame]:
        """PDUs that are complete. What came before the end of the connection is still returned."""
        taken = 0
        while taken < AT_ONCE:
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
            if not HEADER.size <= length <= LONGEST_PDU:
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


def connect(account: Account, *, timeout: float) -> Line:
    """Connect, with TLS if the account says so; `timeout` in seconds for each. Raises LineBroken."""
    try:
        plain = socket.create_connection((account.host, account.port), timeout=timeout)
    except OSError as fault:
        raise LineBroken(_explained(fault)) from None
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Line(account.tls.wrap_socket(plain, server_hostname=account.host) if account.tls else plain)
    except OSError as fault:
        plain.close()
        raise LineBroken(_explained(fault)) from None


def _explained(fault: OSError) -> str:
    match fault:
        case socket.gaierror():
            return "no se encuentra el servidor"
        case ssl.SSLCertVerificationError():
            return f"certificado del servidor no válido: {fault.verify_message}"
        case ssl.SSLError():
            return f"falló la conexión segura: {fault.reason or 'TLS'}"
        case ConnectionRefusedError():
            return "el servidor rechaza la conexión"
        case TimeoutError():
            return "el servidor no respondió a tiempo"
    return "no se pudo conectar"
