"""Clients that ask for codes and answer them, over kept connections: one thread, so that it leaves the processors to
what is measured.

A code is read where its gateway put it, from the outbox's table, in batches: reading it over HTTP would be a third
request of each cycle that no client ever makes.
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
ON_THE_WAY = 200
"""Codes asked for and not answered yet, at most: a worker that falls behind slows the asking down."""
LOOK_EVERY = 0.005
"""Seconds between two looks for codes."""
NEWEST = 'SELECT id, "to", text FROM messaging_sandboxmessage WHERE id > %s - 500 AND id > %s ORDER BY id'  # ids commit
"""Out of order: the last 500 are looked at again."""


@dataclass(frozen=True)
class Client:
    """Somebody registered, with a phone that nobody else has."""

    id: str
    phone: str


@dataclass
class Counted:
    cycles: int = 0
    refused: list[str] = field(default_factory=list)


class Line:
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
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the web server closed a connection")
        self.received += more
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        _, has_length, rest = head.lower().partition(b"content-length:")
        # without a length it comes in chunks, of which the last is empty
        is_whole = len(body) >= int(rest.split(b"\r\n", 1)[0]) if has_length else body.endswith(b"0\r\n\r\n")
        return (int(head[9:12]), body) if is_whole else None


class Load:
    """A closed loop: every connection always has something to do, and a code that is there is answered first."""

    def __init__(
        self, port: int, clients: deque[Client], database: "psycopg.Connection", code_at: Callable[[str], str]
    ) -> None:
        self.clients = clients
        self.database = database
        self.code_at = code_at
        self.waiting: dict[str, Client] = {}
        self.ready: deque[tuple[Client, str]] = deque()
        self.idle: list[Line] = []
        newest = database.execute("SELECT coalesce(max(id), 0) FROM messaging_sandboxmessage").fetchone()
        self.last = self.first = newest[0] if newest else 0
        self.selector = selectors.DefaultSelector()
        for _ in range(CONNECTIONS):
            line = Line(port)
            self.selector.register(line.socket, selectors.EVENT_READ, line)
            self.idle.append(line)
        self.counted = Counted()

    def run(self, seconds: float) -> Counted:
        """Goes on where the last call stopped, requests under way included; counts what is answered from now on."""
        self.counted = Counted()
        end, look_at = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < end:
            if now >= look_at:
                self._look_for_codes()
                look_at = time.monotonic() + LOOK_EVERY
            self._occupy()
            for key, _ in self.selector.select(LOOK_EVERY):
                self._hear(key.data)
        return self.counted

    def close(self) -> None:
        """Hears what is under way, then hangs up."""
        end = time.monotonic() + 10
        while len(self.idle) < CONNECTIONS and time.monotonic() < end:
            for key, _ in self.selector.select(0.1):
                self._hear(key.data)
        for key in list(self.selector.get_map().values()):
            key.data.socket.close()
        self.selector.close()

    def _occupy(self) -> None:
        while self.idle:
            if self.ready:
                client, code = self.ready.popleft()
                self.idle.pop().send(self._verify(client, code), client, is_asking=False)
            elif len(self.waiting) < ON_THE_WAY:
                client = self.clients.popleft()
                self.waiting[client.phone] = client
                self.idle.pop().send(self._ask(client), client, is_asking=True)
            else:
                return

    def _hear(self, line: Line) -> None:
        answer = line.answer()
        if answer is None:
            return
        self.idle.append(line)
        status, body = answer
        if status != 200:
            self.counted.refused.append(f"{status} {body[:200]!r}")
            if line.is_asking and line.client:
                self.waiting.pop(line.client.phone, None)
        elif not line.is_asking:
            self.counted.cycles += 1

    def _look_for_codes(self) -> None:
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
