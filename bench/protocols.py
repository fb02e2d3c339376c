"""Protocols of the measured systems: what a client sends, and where its code is read.

Aval and the floor put codes into the outbox's table, where the load generator reads them in batches: over HTTP that
would be a third request in each cycle, which no real client makes. The session of these reads belongs to the load
generator and is not measured. The peers answer the request with the code in the header X-Code, which costs less than
any storage.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg

NEWEST = 'SELECT id, "to", text FROM messaging_sandboxmessage WHERE id > %s ORDER BY id'
GAP_SECONDS = 2.0
"""Ids are committed out of order: a missing one is waited for so long, for a transaction that failed leaves one too."""


class Client(NamedTuple):
    """A client with a unique phone; systems that register clients beforehand know it by its id."""

    phone: str
    id: str = ""


class Protocol(ABC):
    """Requests for a code and for its verification, as bytes."""

    def begin(self) -> None:  # noqa: B027  most keep nothing
        """Forget the codes that are under way: another round begins."""

    @abstractmethod
    def ask(self, client: Client) -> bytes: ...

    def verification_in(self, client: Client, head: bytes, body: bytes) -> bytes | None:
        """The client's second request, if the answer to the first has the code."""
        return None

    def arrived(self) -> Iterator[tuple[Client, bytes]]:
        """Clients whose codes arrived elsewhere since the last call, with their second requests."""
        yield from ()

    def forget(self, client: Client) -> None:  # noqa: B027  most have nothing to forget
        """The client was refused: no code will arrive."""


class Outbox:
    """Reader of new rows of the outbox, each once: to read the last 500 each time took twice the processor time."""

    def __init__(self, database: "psycopg.Connection", clock: Callable[[], float] = time.monotonic) -> None:
        self.database, self.clock = database, clock
        newest = database.execute("SELECT coalesce(max(id), 0) FROM messaging_sandboxmessage").fetchone()
        self.read_up_to = int(newest[0]) if newest else 0
        """Every row up to this id has been read, or is given up."""
        self.read_after: set[int] = set()
        self.gap_since: float | None = None

    def new(self) -> list[tuple[str, str]]:
        """Recipient and text of each."""
        rows = self.database.execute(NEWEST, [self.read_up_to]).fetchall()
        new = [(to, text) for row, to, text in rows if row not in self.read_after]
        self.read_after.update(row for row, _, _ in rows)
        self._advance()
        if not self.read_after:
            self.gap_since = None
        elif self.gap_since is None:
            self.gap_since = self.clock()
        elif self.clock() - self.gap_since > GAP_SECONDS:
            self.read_up_to, self.gap_since = min(self.read_after) - 1, None
            self._advance()
        return new

    def _advance(self) -> None:
        while self.read_up_to + 1 in self.read_after:
            self.read_up_to, self.gap_since = self.read_up_to + 1, None
            self.read_after.remove(self.read_up_to)


class InformaPeru(Protocol):
    """Contract 2. `key`: a partner's token, or none where the contract is open."""

    def __init__(self, database: "psycopg.Connection", code_at: Callable[[str], str], key: str = "") -> None:
        self.database = database
        self.code_at = code_at
        self.authorization = f"Authorization: Bearer {key}\r\n" if key else ""
        self.begin()

    def begin(self) -> None:
        self.outbox = Outbox(self.database)
        self.waiting: dict[str, Client] = {}

    def ask(self, client: Client) -> bytes:
        self.waiting[client.phone] = client
        body = {"via": "S", "telefono": client.phone, "operador": "CLARO"}
        return post(f"/v1/api/client/{client.id}/token", body, self.authorization)

    def arrived(self) -> Iterator[tuple[Client, bytes]]:
        for phone, text in self.outbox.new():
            client = self.waiting.pop(phone, None)
            if client is not None:
                yield client, self._verify(client, self.code_at(text))

    def forget(self, client: Client) -> None:
        self.waiting.pop(client.phone, None)

    def _verify(self, client: Client, code: str) -> bytes:
        path = f"/v1/api/client/{client.id}/verify/{code}"
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{self.authorization}\r\n".encode()


class BetterAuth(Protocol):
    """better-auth's plugin `phone-number`; the verification signs the client up and gives them a session."""

    def ask(self, client: Client) -> bytes:
        return post("/api/auth/phone-number/send-otp", {"phoneNumber": f"+51{client.phone}"})

    def verification_in(self, client: Client, head: bytes, body: bytes) -> bytes | None:
        return post("/api/auth/phone-number/verify", {"phoneNumber": f"+51{client.phone}", "code": code_header(head)})


class PhoneVerify(Protocol):
    """django-phone-verify; its verification wants the session token of the first answer."""

    def ask(self, client: Client) -> bytes:
        return post("/phone/register", {"phone_number": f"+51{client.phone}"})

    def verification_in(self, client: Client, head: bytes, body: bytes) -> bytes | None:
        fields = {"phone_number": f"+51{client.phone}", "security_code": code_header(head)}
        return post("/phone/verify", fields | json.loads(body))


def code_header(head: bytes) -> str:
    """The value of X-Code in the head of an answer."""
    _, found, rest = head.lower().partition(b"\r\nx-code:")
    assert found, head
    return rest.split(b"\r\n", 1)[0].strip().decode()


def post(path: str, body: dict[str, str], headers: str = "") -> bytes:
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode()
