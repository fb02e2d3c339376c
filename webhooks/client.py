"""HTTP client of the dispatcher: one POST to an endpoint at an address that was checked, without redirects.

The whole try has one deadline, whatever the receiver sends how slowly: the dispatcher closes the connection of a try
that is over it (`Try.abort`). Of an answer only the status and Retry-After are used; its body is not read.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import certifi

from webhooks import addresses
from webhooks.addresses import Address, NotCalled, Target

DEADLINE = 15.0
"""Seconds for a whole try: resolving, connecting, TLS, request and the headers of the answer."""
CONNECT_TIMEOUT = 5.0
"""Seconds for each address of a host."""
LONGEST_ERROR = 200
"""Characters."""
TOO_LATE = "no respondió a tiempo"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a try. `status` is None without an answer; `error` is empty for a success."""

    status: int | None
    error: str
    seconds: float
    retry_after: timedelta | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The receiver wants no more of them (410)."""
        return self.status == http.HTTPStatus.GONE


class _Connection(http.client.HTTPConnection):
    """Connection to an address that was checked; Host and the name in the certificate are the URL's."""

    def __init__(self, target: Target, address: Address, *, timeout: float) -> None:
        host = f"[{target.host}]" if ":" in target.host else target.host
        super().__init__(host, target.port, timeout=timeout)
        self.default_port = 443 if target.is_secure else 80  # left out of the header Host
        self._target = target
        self._address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((str(self._address), self._target.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._target.is_secure:
            # in two steps, so that `Try.abort` finds the socket of a handshake that does not end
            secure = _tls_context().wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            self.sock = secure
            secure.do_handshake()


@cache
def _tls_context() -> ssl.SSLContext:
    """The system's certificate authorities (SSL_CERT_FILE, SSL_CERT_DIR) and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class Try:
    """One try in a thread of its own, which another thread may abort."""

    def __init__(self, target: Target, *, sandbox: bool, internal: bool = False) -> None:
        """`internal`: the URL is the operator's own, and may be of an internal network."""
        self._target = target
        self._sandbox = sandbox
        self._internal = internal
        self._connection: _Connection | None = None
        self._aborted = False
        self._began = time.monotonic()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Send the request. Raises nothing that a receiver or a network can cause."""
        self._began = time.monotonic()
        status, error, retry_after = None, "", None
        try:
            response = self._exchange(body, headers)
            status = response.status
            retry_after = _retry_after(response.headers.get("Retry-After", ""), at=datetime.now(UTC))
            error = "" if 200 <= status < 300 else f"HTTP {status}"
        except NotCalled as fault:
            error = str(fault)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            error = TOO_LATE if self._is_over() else _reason(fault)
        finally:
            self.abort()
        return Outcome(status, error[:LONGEST_ERROR], self.seconds, retry_after)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def abort(self) -> None:
        """Close the connection, whatever the thread of the try waits for."""
        self._aborted = True
        connection = self._connection
        sock = None if connection is None else connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
            with suppress(OSError):
                sock.close()

    def _is_over(self) -> bool:
        return self._aborted or self.seconds >= DEADLINE

    def _left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError after it."""
        if self._is_over():
            raise TimeoutError
        return DEADLINE - self.seconds

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        connection = self._connected()
        connection.request("POST", self._target.path, body=body, headers=dict(headers))
        response = connection.getresponse()
        self._left()  # headers that an abort cuts off look as if they had ended
        return response

    def _connected(self) -> _Connection:
        """A connection to the first address that takes one. Raises NotCalled, OSError."""
        fault: OSError = OSError("no address")
        for address in addresses.resolve(self._target, sandbox=self._sandbox, internal=self._internal):
            left = self._left()
            connection = self._connection = _Connection(self._target, address, timeout=min(CONNECT_TIMEOUT, left))
            try:
                connection.connect()
                connection.sock.settimeout(self._left())
            except ssl.SSLError:
                raise  # another address has the same certificate, or an attacker's
            except OSError as failed:
                self._close(connection)
                fault = failed
                continue
            return connection
        raise fault

    @staticmethod
    def _close(connection: Any) -> None:
        with suppress(OSError):
            connection.close()


def _retry_after(value: str, *, at: datetime) -> timedelta | None:
    """The wait of a header Retry-After (RFC 9110, 10.2.3): seconds or a date; None where it is neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 10**6))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(timedelta(0), moment - at)


def _reason(fault: Exception) -> str:
    """What went wrong, in Spanish and without texts of the network's or the receiver's."""
    match fault:
        case ssl.SSLCertVerificationError():
            return "el certificado no es válido"
        case ssl.SSLError():
            return "la conexión TLS falló"
        case TimeoutError():
            return TOO_LATE
        case ConnectionRefusedError():
            return "la conexión fue rechazada"
        case ConnectionResetError() | BrokenPipeError() | http.client.RemoteDisconnected():
            return "la conexión se cortó"
        case http.client.HTTPException():
            return "la respuesta no es HTTP"
    return "no se pudo conectar"
