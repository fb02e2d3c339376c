"""What every scenario stands on: a whole Aval, its providers processes of ours, each behind a line we can break."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.standing import serving
from chaos.logbook import Arrival, Log, Logbook, Orders
from chaos.proxy import Proxy
from config.embedded import stack as embedded
from config.embedded.stack import Servers
from config.run.processes import wait_until
from testkit.processes import Program
from testkit.stack import Stack, alone_in, code_in, free_port

PUBLIC = "https://aval.example.com"
"""Twilio is given an address for its reports only where the outside can reach us."""
KEYS = {"TWILIO_TOKEN": "twilio-token-of-a-test", "WHATSAPP_APP_SECRET": "app-secret-of-a-test"}
ACCOUNT = "AC00000000000000000000000000000001"
META_TOKEN = "meta-token-of-a-test"
SENDERS = {"one": "%2B15005550001", "two": "%2B15005550002"}


@dataclass
class Company:
    """A provider: its orders, its log, and the line to it."""

    name: str
    port: int
    orders: Orders
    book: Logbook
    line: Proxy

    @property
    def gateway(self) -> str:
        """As Aval calls it."""
        return f"twilio:S:{SENDERS[self.name].replace('%2B', '+')}"


@dataclass(frozen=True)
class Accepted:
    """A request that was answered with 2xx: what must not be lost."""

    token: str
    client: str
    to: str
    via: str


@dataclass
class Front:
    """A front end's memory: what was accepted since the scenario began, and how each call went."""

    stack: Stack
    since: float = field(default_factory=time.time)
    accepted: list[Accepted] = field(default_factory=list)
    answers: list[tuple[int, float]] = field(default_factory=list)  # status (0: none came), seconds

    def register(self) -> str | None:
        answer = self._timed(lambda: self.stack.http.post("/v1/api/client", json=self.stack.person()))
        return str(answer.json()["data"]["id"]) if answer is not None and answer.status_code == 201 else None

    def ask(self, via: str = "S", client: str | None = None) -> Accepted | None:
        """A new client asks for a code; None where one of the two calls was not answered with 2xx."""
        client = client or self.register()
        if client is None:
            return None
        to = self.stack.phone() if via != "C" else self._address(client)
        answer = self._timed(lambda: self.stack.ask(client, to, via))
        if answer is None or not answer.is_success:
            return None
        made = Accepted(answer.json()["data"]["token_id"], client, to, via)
        self.accepted.append(made)
        return made

    def _address(self, client: str) -> str:
        return str(self.stack.sql("SELECT email FROM clients_applicant WHERE id = %s", client)[0][0])

    def _timed(self, call: Callable[[], httpx.Response]) -> httpx.Response | None:
        began = time.monotonic()
        try:
            answer = call()
        except httpx.TransportError:
            self.answers.append((0, time.monotonic() - began))
            return None
        self.answers.append((answer.status_code, time.monotonic() - began))
        if answer.status_code == 503:
            assert answer.headers["Retry-After"], answer.text
        return answer


class Field(Stack):
    """A stack whose codes leave through our providers; `code` and all that waits for one read their logs."""

    companies: dict[str, Company]
    redis_line: Proxy
    postgres_line: Proxy
    guests: list[Log]
    """Logs of providers that are there for one scenario."""

    @property
    def logs_of_all(self) -> list[Log]:
        return [*(each.book for each in self.companies.values()), *self.guests]

    def code(self, to: str) -> str | None:
        rows = self.sql("SELECT text FROM messaging_message WHERE recipient = %s ORDER BY created_at DESC LIMIT 1", to)
        found = [each for log in self.logs_of_all for each in log.arrivals() if each.to == to]
        return code_of(max(found, key=lambda each: each.at), rows[0][0]) if found and rows else None

    def taken(self) -> int:
        """Messages that providers have taken so far, ever."""
        return sum(map(len, self.logs_of_all))

    def ready(self) -> Front:
        """Every provider well and in the row, every line whole, every program running: a scenario may begin."""
        for each in self.companies.values():
            each.orders.give("ok")
            each.line.heal()
        for line in (self.redis_line, self.postgres_line):
            line.heal()
        self.forget_verdicts()
        self.heal()
        return Front(self)

    def forget_verdicts(self) -> None:
        """What the workers think of the providers, in the table and, of the last minute, in the memory of the process
        that sends: that one is started anew where it has seen anything bad."""
        ((doubts,),) = self.sql(
            "SELECT (SELECT count(*) FROM messaging_messageevent"
            " WHERE at > now() - '61 s'::interval AND state IN ('QUEUED', 'FAILED', 'UNKNOWN'))"
            " + (SELECT count(*) FROM messaging_providerstate)"
        )
        self.sql("DELETE FROM messaging_providerstate")
        if doubts:
            self.worker.restart()

    def recover(self) -> float:
        """Ends every fault; seconds until no message is waiting or under way, a minute at most."""
        for each in self.companies.values():
            each.orders.give("ok")
            each.line.heal()
        for line in (self.redis_line, self.postgres_line):
            line.heal()
        began = time.monotonic()
        self.heal()
        wait_until(lambda: self.sql(IN_HAND) == [(0,)], 60 - (time.monotonic() - began))
        return time.monotonic() - began

    @contextmanager
    def rewired(self, programs: Sequence[Program], environment: Mapping[str, str]) -> Iterator[None]:
        """These programs with other settings, restarted for it; and as they were afterwards."""
        before = [dict(program.environment) for program in programs]
        for program in programs:
            program.environment |= environment
            program.restart()
        try:
            self.heal()
            yield
        finally:
            for program, old in zip(programs, before, strict=True):
                program.environment = old
                program.restart()


IN_HAND = "SELECT count(*) FROM messaging_message WHERE state IN ('QUEUED', 'SENDING')"


def code_of(arrival: Arrival, masked: str) -> str:
    """The code that arrived: alone, or in the text we keep masked."""
    return arrival.text if len(arrival.text) == 4 else code_in(arrival.text.replace("\r\n", "\n"), masked)


@contextmanager
def field_of_fire(folder: Path, **settings: str) -> Iterator[Field]:
    """A whole Aval in this folder, emptied first: two providers for SMS, one for WhatsApp, one for mail."""
    with ExitStack() as stopping:
        alone_in(folder, stopping)
        servers = stopping.enter_context(embedded.stack(folder))
        (folder / "books").mkdir()
        companies = {name: _company(name, folder, stopping) for name in ("one", "two", "meta", "mail")}
        environment = {
            **KEYS,
            "PUBLIC_URL": PUBLIC,
            "SECURE_SSL_REDIRECT": "false",
            "INFORMAPERU_OPEN": "true",
            **_gateways(companies),
            **settings,
        }
        field = Field(folder, servers, environment, stopping)
        field.companies, field.guests = companies, []
        field.redis_line, field.postgres_line = _lines_to(servers, stopping)
        for each in companies.values():
            module = "chaos.mailbox" if each.name == "mail" else "chaos.provider"
            names = {"NAME": each.name, "BOOK": str(each.book.path), "ORDERS": str(each.orders.path)}
            known = {**field.environment, **names, "AVAL_URL": field.url, "TWILIO_SID": ACCOUNT}
            log = folder / "books" / f"{each.name}.log"
            stopping.enter_context(serving(module, log, known, port=each.port))
        stopping.callback(field.stop)
        for server in (field.postgres, field.redis):
            stopping.callback(server.thaw)
        field.start()
        yield field


def _company(name: str, folder: Path, stopping: ExitStack) -> Company:
    port = free_port()
    line = Proxy(("127.0.0.1", port))
    stopping.callback(line.close)
    book, orders = folder / "books" / f"{name}.jsonl", folder / "books" / f"{name}.orders"
    return Company(name, port, Orders(orders), Logbook(book), line)


def _gateways(companies: Mapping[str, Company]) -> dict[str, str]:
    """Every provider is reached through its line."""
    login = f"{ACCOUNT}:{KEYS['TWILIO_TOKEN']}"
    api = {name: f"http://127.0.0.1:{each.line.port}" for name, each in companies.items()}
    return {
        "SMS_URL": " ".join(f"twilio://{login}@/?from={SENDERS[name]}&api={api[name]}" for name in SENDERS),
        "WHATSAPP_URL": f"whatsapp-cloud://{META_TOKEN}@/1234567890?template=codigo&api={api['meta']}",
        "EMAIL_URL": f"smtp://127.0.0.1:{companies['mail'].line.port}",
    }


def _lines_to(servers: Servers, stopping: ExitStack) -> tuple[Proxy, Proxy]:
    """To Redis and to PostgreSQL, which listen on Unix sockets only."""
    sockets = servers.shares[0].sockets
    lines = Proxy(sockets / "redis.sock"), Proxy(sockets / ".s.PGSQL.5432")
    for line in lines:
        stopping.callback(line.close)
    return lines
