"""Load generator: clients that ask for codes and verify them over persistent connections.

It has one thread, to leave the processors to the measured processes. Codes are read in batches from the outbox's table:
reading them over HTTP would add a third request to each cycle, which no real client makes.
"""

import json
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

CONNECTIONS = 16
MAX_UNANSWERED = 200
"""Codes under way: a worker that falls behind slows the load down."""
POLL_SECONDS = 0.005
"""Interval of the reads of codes."""
NEWEST = 'SELECT id, "to", text FROM messaging_sandboxmessage WHERE id > %s - 500 AND id > %s ORDER BY id'
"""Ids are committed out of order: the last 500 are read again."""


@dataclass(frozen=True)
class Client:
    """A registered client with a unique phone."""

    id: str
    phone: str


@dataclass
class Counts:
    cycles: int = 0
    refused: list[str] = field(default_factory=list)


class Connection:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.client: Client | None = None
        self.is_asking = False

    def send(self, request: bytes, client: Client, *, is_asking: bool) -> None:
        self.client, self.is_asking, self.received = client, is_asking, b""
        self.socket.sendall(request)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body once they are complete."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the web server closed a connection")
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        _, has_length, rest = head.lower().partition(b"content-length:")
        # an answer without a length is chunked, and the last chunk is empty
        is_whole = len(body) >= int(rest.split(b"\r\n", 1)[0]) if has_length else body.endswith(b"0\r\n\r\n")
        return (int(head[9:12]), body) if is_whole else None


class Load:
    """Closed loop: every connection is always busy, and codes that have arrived are verified first."""

    def __init__(
        self, port: int, clients: deque[Client], database: "psycopg.Connection", code_at: Callable[[str], str]
    ) -> None:
        self.clients = clients
        self.database = database
        self.code_at = code_at
        self.waiting: dict[str, Client] = {}
        self.ready: deque[tuple[Client, str]] = deque()
        self.idle: list[Connection] = []
        newest = database.execute("SELECT coalesce(max(id), 0) FROM messaging_sandboxmessage").fetchone()
        self.last = self.first = newest[0] if newest else 0
        self.selector = selectors.DefaultSelector()
        for _ in range(CONNECTIONS):
            connection = Connection(port)
            self.selector.register(connection.socket, selectors.EVENT_READ, connection)
            self.idle.append(connection)
        self.counts = Counts()

    def run(self, seconds: float) -> Counts:
        """Run for some seconds and count answers from now on. Requests under way from the last call continue."""
        self.counts = Counts()
        end, next_poll = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < end:
            if now >= next_poll:
                self._read_codes()
                next_poll = time.monotonic() + POLL_SECONDS
            self._send_requests()
            for key, _ in self.selector.select(POLL_SECONDS):
                self._read_answer(key.data)
        return self.counts

    def close(self) -> None:
        """Read the answers under way, then close the connections."""
        end = time.monotonic() + 10
        while len(self.idle) < CONNECTIONS and time.monotonic() < end:
            for key, _ in self.selector.select(0.1):
                self._read_answer(key.data)
        for key in list(self.selector.get_map().values()):
            key.data.socket.close()
        self.selector.close()

    def _send_requests(self) -> None:
        while self.idle:
            if self.ready:
                client, code = self.ready.popleft()
                self.idle.pop().send(self._verify(client, code), client, is_asking=False)
            elif len(self.waiting) < MAX_UNANSWERED:
                client = self.clients.popleft()
                self.waiting[client.phone] = client
                self.idle.pop().send(self._ask(client), client, is_asking=True)
            else:
                return

    def _read_answer(self, connection: Connection) -> None:
        answer = connection.answer()
        if answer is None:
            return
        self.idle.append(connection)
        status, body = answer
        if status != 200:
            self.counts.refused.append(f"{status} {body[:200]!r}")
            if connection.is_asking and connection.client:
                self.waiting.pop(connection.client.phone, None)
        elif not connection.is_asking:
            self.counts.cycles += 1

    def _read_codes(self) -> None:
        for row, phone, text in self.database.execute(NEWEST, [self.last, self.first]):
            self.last = max(self.last, row)
            client = self.waiting.pop(phone, None)
            if client is not None:
                self.ready.append((client, self.code_at(text)))

    def _ask(self, client: Client) -> bytes:
        body = json.dumps({"via": "S", "telefono": client.phone, "operador": "CLARO"})
        head = (
            f"POST /v1/api/client/{client.id}/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        )
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def _verify(self, client: Client, code: str) -> bytes:
        return f"GET /v1/api/client/{client.id}/verify/{code} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
