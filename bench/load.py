"""Load generator: clients that ask for codes and verify them over persistent connections.

It has one thread, to leave the processors to the measured processes.
"""

import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass, field

from bench.protocols import Client, Protocol

CONNECTIONS = 16
MAX_UNANSWERED = 200
"""Codes under way: a worker that falls behind slows the load down."""
POLL_SECONDS = 0.005
"""Interval of the reads of codes."""


@dataclass
class Counts:
    cycles: int = 0
    refused: list[str] = field(default_factory=list)


class Answer:
    """Answer that arrives in pieces."""

    def __init__(self) -> None:
        self.received = b""

    def add(self, data: bytes) -> tuple[int, bytes, bytes] | None:
        """Status, head and body once they are complete."""
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        _, has_length, rest = head.lower().partition(b"\r\ncontent-length:")
        # an answer without a length is chunked, and the last chunk is empty
        is_whole = len(body) >= int(rest.split(b"\r\n", 1)[0]) if has_length else body.endswith(b"0\r\n\r\n")
        if not is_whole:
            return None
        return int(head[9:12]), head, body if has_length else _joined(body)


def _joined(chunked: bytes) -> bytes:
    """Body of a complete chunked answer."""
    found = b""
    while chunked:
        size, _, rest = chunked.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        found, chunked = found + rest[:length], rest[length + 2 :]
    return found


class Connection:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = Answer()
        self.client = Client("")
        self.is_asking = False

    def send(self, request: bytes, client: Client, *, is_asking: bool) -> None:
        self.client, self.is_asking, self.answer = client, is_asking, Answer()
        self.socket.sendall(request)

    def receive(self) -> tuple[int, bytes, bytes] | None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the web server closed a connection")
        return self.answer.add(data)


class Load:
    """Closed loop: every connection is always busy, and codes that have arrived are verified first."""

    def __init__(self, port: int, clients: deque[Client], protocol: Protocol) -> None:
        self.clients = clients
        self.protocol = protocol
        protocol.begin()
        self.unanswered = 0
        self.ready: deque[tuple[Client, bytes]] = deque()
        self.idle: list[Connection] = []
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
                for client, verification in self.protocol.arrived():
                    self._add_ready(client, verification)
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
                client, verification = self.ready.popleft()
                self.idle.pop().send(verification, client, is_asking=False)
            elif self.unanswered < MAX_UNANSWERED:
                client = self.clients.popleft()
                self.unanswered += 1
                self.idle.pop().send(self.protocol.ask(client), client, is_asking=True)
            else:
                return

    def _add_ready(self, client: Client, verification: bytes) -> None:
        self.unanswered -= 1
        self.ready.append((client, verification))

    def _read_answer(self, connection: Connection) -> None:
        answer = connection.receive()
        if answer is None:
            return
        self.idle.append(connection)
        status, head, body = answer
        if status != 200:
            self.counts.refused.append(f"{status} {body[:200]!r}")
            if connection.is_asking:
                self.unanswered -= 1
                self.protocol.forget(connection.client)
        elif not connection.is_asking:
            self.counts.cycles += 1
        else:
            verification = self.protocol.verification_in(connection.client, head, body)
            if verification is not None:
                self._add_ready(connection.client, verification)
