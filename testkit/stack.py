"""Complete installation for tests: PostgreSQL, Valkey, web server, workers and beat, started as by `make run`.

Unit tests call functions; this is for faults that only processes show: races between them, `kill -9`, a frozen server.
It has its own data folder and port and starts empty; every process logs into its own file below `logs/`. Its processes
end with the test run in any case.
"""

import http.client
import itertools
import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import redis

from config.embedded import stack as embedded
from config.embedded.servers import bare_environment
from config.embedded.stack import Servers
from config.log_writer import DELAY_SECONDS
from config.run.processes import FileLock, wait_until
from config.variables import BASE_DIR
from testkit.commands import ManagementCommands, run_module
from testkit.processes import Program, ServerProcess, reaping

Row = tuple[Any, ...]

MASK = "••••"
"""Placeholder of the code in the stored text of a message."""

UNLIMITED = "1000000"
SETTINGS: Mapping[str, str] = {
    "SECRET_KEY": "a-secret-for-test-stacks-only-of-more-than-32-characters",
    "SANDBOX": "true",
    # set explicitly: a developer's .env may name providers that cost money
    **dict.fromkeys(("SMS_URL", "WHATSAPP_URL", "IVR_URL", "EMAIL_URL"), "sandbox://"),
    **dict.fromkeys(
        (
            "RATE_PER_ADDRESS",
            "RATE_PER_PARTNER",
            "LOGINS_PER_ADDRESS",
            "PAID_MESSAGES_PER_DAY",
            "PAID_MESSAGES_PER_DAY_TOTAL",
            "MAIL_CODES_PER_DAY",
            "WRONG_CODES_PER_DAY",
        ),
        UNLIMITED,
    ),
    # so that receipts can be sent
    "WHATSAPP_APP_SECRET": "a-secret-of-the-test-stacks-app",
    "ANYMAIL_WEBHOOK_SECRET": "aval:receipts",
    "BROKER_URL": "",
    "LOG_LEVEL": "DEBUG",  # the search for codes must see everything that can ever be logged
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


class Call(NamedTuple):
    """A request of contract 2, below /v1/api, before it is sent."""

    method: str
    path: str
    fields: Mapping[str, str] | None = None
    more: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        return f"/v1/api{self.path}"

    @property
    def body(self) -> bytes | None:
        return None if self.fields is None else json.dumps(self.fields).encode()

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **self.more}

    @property
    def act(self) -> str:
        """Last part of the path: token, verify, cancel, ..."""
        return self.path.split("/")[3]


class Asked(NamedTuple):
    """A client with a code on its way."""

    client: str
    phone: str


class PartnerKeys(NamedTuple):
    """A partner of contract 1 and its token."""

    id: int
    token: str


def code_in(text: str, masked: str) -> str:
    """The code in a text that arrived, at the place of the mask in our stored text."""
    return text[masked.index(MASK) :][: len(MASK)]


class Stack:
    """The running installation with helpers for clients, partners and operators.

    `source`: folder of the version that its processes and commands run.
    """

    def __init__(
        self,
        folder: Path,
        servers: Servers,
        settings: Mapping[str, str],
        stopping: ExitStack,
        *,
        source: Path = BASE_DIR,
    ) -> None:
        self.folder = folder
        self.source = source
        self.servers = servers
        self.postgres, self.redis = (ServerProcess(handle) for handle in servers.handles)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **bare_environment(),
            **SETTINGS,
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "DATA_DIR": str(folder),
            "PORT": str(self.port),
            "PUBLIC_URL": self.url,
            **settings,
        }
        self._reaper = stopping.enter_context(reaping())
        self._management = ManagementCommands()
        stopping.callback(self._management.close)
        names = ("web", "worker", "periodic", "beat")
        self.web, self.worker, self.periodic, self.beat = (self.program(name) for name in names)
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        self.http = stopping.enter_context(httpx.Client(base_url=self.url, limits=limits, timeout=30, trust_env=False))
        self._numbers = itertools.count(10_000_001)

    # --- its processes ---

    def program(self, name: str, log: str = "", **environment: str) -> Program:
        """One more process of a program, not started yet."""
        path = self.folder / "logs" / f"{log or name}.log"
        given = self.environment | environment
        return Program(name, given, path, self.servers.inheritable, self._reaper, source=self.source)

    @property
    def programs(self) -> tuple[Program, ...]:
        return self.web, self.worker, self.periodic, self.beat

    def start(self) -> None:
        self.command("config.run", "migrate", MIGRATE_DATABASE_URL=self.servers.owner_url)
        for program in self.programs:
            program.start()
        self.heal()

    def stop(self) -> None:
        for program in self.programs:
            program.kill()

    def heal(self) -> None:
        """Continue and start all processes; returns once a code arrives, within a minute."""
        for server in (self.postgres, self.redis):
            server.thaw()
        for program in self.programs:
            program.thaw()
            if not program.is_running():
                program.start()
        assert wait_until(self.is_up, 60), f"the web server does not answer: see {self.web.log}"
        asked = self.asked()
        assert wait_until(lambda: self.code(asked.phone) is not None, 60), f"no code arrives: see {self.worker.log}"

    def is_up(self) -> bool:
        try:
            return self.http.get("/v1/api/status").status_code == 200
        except httpx.TransportError:
            return False

    def command(self, *words: str, **environment: str) -> str:
        """Run a module to its end with the stack's settings and return its output."""
        return run_module(self.source, self.environment | environment, *words)

    def manage(self, *words: str, **more: str) -> str:
        """Run a management command and return its output. `more`: variables that the settings do not read."""
        return self._management.run(self.source, self.environment, words, more)

    def logs(self) -> dict[str, str]:
        """Logs of all processes by file name, PostgreSQL's and Valkey's included, after a wait for lines under way."""
        time.sleep(3 * DELAY_SECONDS)
        return {path.name: path.read_text(errors="replace") for path in sorted((self.folder / "logs").iterdir())}

    # --- clients (contract 2) ---

    def number(self) -> int:
        """Eight unused digits, for a document, or for a phone with a leading 9."""
        return next(self._numbers)

    def person(self, **changes: str) -> dict[str, str]:
        document = self.number()
        return {
            "tipo_documento": "DNI",
            "documento": str(document),
            "digito_verificador": "9",
            "nombres": "Juan",
            "apellido_paterno": "Perez",
            "apellido_materno": "Gomez",
            "correo": f"juan{document}@example.com",
            "departamento": "LIMA",
            "provincia": "LIMA",
            "distrito": "MIRAFLORES",
            **changes,
        }

    def phone(self) -> str:
        return f"9{self.number()}"

    def send(self, call: Call) -> httpx.Response:
        return self.http.request(call.method, call.url, content=call.body, headers=call.headers)

    def send_together(self, calls: Sequence[Call]) -> list[httpx.Response]:
        """Send each call over its own connection, all before the first answer is read."""
        with ExitStack() as closings:
            connections = [http.client.HTTPConnection("127.0.0.1", self.port, timeout=60) for _ in calls]
            for connection in connections:
                closings.enter_context(closing(connection)).connect()
            for connection, call in zip(connections, calls, strict=True):
                connection.request(call.method, call.url, call.body, call.headers)
            answers = [connection.getresponse() for connection in connections]
            return [httpx.Response(each.status, headers=each.getheaders(), content=each.read()) for each in answers]

    def exchange_raw(self, text: str) -> str:
        """The web server's answer to any text, HTTP or not."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(text.encode())
            return connection.makefile(encoding="utf-8", errors="replace").read()

    def register(self, headers: Mapping[str, str] = {}, **changes: str) -> str:
        answer = self.send(Call("POST", "/client", self.person(**changes), headers))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["id"])

    def asking(self, client: str, phone: str = "", via: str = "S", **headers: str) -> Call:
        body = {"via": "C"} if via == "C" else {"via": via, "telefono": phone, "operador": "CLARO"}
        return Call("POST", f"/client/{client}/token", body, headers)

    def ask(self, client: str, phone: str = "", via: str = "S", **headers: str) -> httpx.Response:
        return self.send(self.asking(client, phone, via, **headers))

    def verifying(self, client: str, code: str) -> Call:
        return Call("GET", f"/client/{client}/verify/{code}")

    def verify(self, client: str, code: str) -> httpx.Response:
        return self.send(self.verifying(client, code))

    def asked(self) -> Asked:
        """A new client that has just asked for a code by SMS."""
        each = Asked(self.register(), self.phone())
        answer = self.ask(each.client, each.phone)
        assert answer.status_code == 200, answer.text
        return each

    def many_asked(self, count: int) -> list[Asked]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: self.asked(), range(count)))

    # --- partners (contract 1) ---

    def call_nopasanada(self, partner: PartnerKeys, solicitud: str, **fields: Any) -> dict[str, Any]:
        """Make a request of contract 1, which must succeed, and return its `resultados`."""
        body = {"token": partner.token, "usuario": "MAQ-001", "solicitud": solicitud, **fields}
        answer = self.http.post("/api/v1", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["resultados"])

    # --- operators ---

    def new_partner(self, name: str) -> PartnerKeys:
        """Create a partner by the operator's command."""
        made = json.loads(self.manage("create_partner", f"{name} {self.number()}", "--json"))
        ((number,),) = self.sql("SELECT id FROM clients_partner WHERE slug = %s", made["partner"])
        return PartnerKeys(number, made["token"])

    def bulletin(self, partner: PartnerKeys) -> int:
        """Create a campaign to the partner's subscribers that is due now; beat starts it within five seconds."""
        ((campaign,),) = self.sql(  # one statement, or it could start without its partner, for all
            "WITH made AS (INSERT INTO messaging_campaign (type, subject, text, html, is_advertising, profiles, state,"
            " scheduled_at, last_client_id, created_by, created_at)"
            " VALUES ('boletin', 'Novedades', 'Hola', '', true, '{}', 'SCHEDULED', now(), 0, 'ana', now())"
            " RETURNING id)"
            " INSERT INTO messaging_campaign_partners (campaign_id, partner_id) SELECT id, %s FROM made"
            " RETURNING campaign_id",
            partner.id,
        )
        return int(campaign)

    @contextmanager
    def database(self, *, autocommit: bool = True) -> Iterator[psycopg.Connection[Row]]:
        """Connection as the owner. Without autocommit it can hold locks and is rolled back at the end."""
        connection = psycopg.connect(self.servers.owner_url, autocommit=autocommit, application_name="test")
        try:
            yield connection
        finally:
            connection.close()

    def sql(self, text: str, *values: Any) -> list[Row]:
        with self.database() as connection:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def keys(self) -> Iterator["redis.Redis"]:
        with redis.Redis.from_url(self.servers.redis_url) as connection:
            yield connection

    def outbox(self, to: str) -> list[dict[str, str]]:
        """Messages at /sandbox/messages, the newest first."""
        answer = self.http.get("/sandbox/messages", params={"to": to, "format": "json"})
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def code(self, to: str) -> str | None:
        """The newest code that arrived there."""
        rows = self.sql(
            "SELECT s.text, m.text FROM messaging_sandboxmessage s JOIN messaging_message m ON m.id = s.message_id"
            ' WHERE s."to" = %s ORDER BY s.id DESC LIMIT 1',
            to,
        )
        return code_in(*rows[0]) if rows else None

    def code_soon(self, to: str, seconds: float = 10) -> str:
        assert wait_until(lambda: self.code(to) is not None, seconds), f"no code arrived in {seconds} s"
        return str(self.code(to))

    def arrivals(self, asked: Sequence[Asked]) -> dict[str, int]:
        """Number of copies in the outbox of each one's message, by phone."""
        rows = self.sql(
            "SELECT m.recipient, count(s.id) FROM messaging_message m"
            " LEFT JOIN messaging_sandboxmessage s ON s.message_id = m.id"
            " WHERE m.recipient = ANY(%s) GROUP BY m.id",
            [each.phone for each in asked],
        )
        assert len(rows) == len(asked), "one message for each"
        return dict(rows)

    def all_arrived(self, asked: Sequence[Asked]) -> bool:
        return all(self.arrivals(asked).values())

    def states(self, asked: Sequence[Asked]) -> dict[str, str]:
        """The state of each one's message, by phone."""
        phones = [each.phone for each in asked]
        return dict(self.sql("SELECT recipient, state FROM messaging_message WHERE recipient = ANY(%s)", phones))


@contextmanager
def running(folder: Path, source: Path = BASE_DIR, /, **settings: str) -> Iterator[Stack]:
    """A stack in this folder, emptied first. `settings` are environment variables of its programs."""
    with ExitStack() as stopping:
        exclusive_folder(folder, stopping)
        stack = Stack(folder, stopping.enter_context(embedded.stack(folder)), settings, stopping, source=source)
        stopping.callback(stack.stop)
        for server in (stack.postgres, stack.redis):
            stopping.callback(server.thaw)
        stack.start()
        yield stack


def exclusive_folder(folder: Path, stopping: ExitStack) -> None:
    """Lock the folder, wait until servers of a killed run have ended, and empty it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    stopping.callback(lock.close)
    if not lock.try_exclusive():
        raise embedded.EmbeddedError(f"Another run uses {folder}: wait for it.")
    for name in ("postgres", "redis"):
        if (folder / "locks" / f"{name}.server").exists():
            old = FileLock(folder / "locks" / f"{name}.server")
            assert old.wait_exclusive(45), f"an older {name} in {folder} does not end"
            old.close()
    shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
