"""Harness of the scenarios: a complete installation with fake providers, each behind a proxy that can be broken."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.harness import serving
from chaos.alarms import SECRET, AlarmLog, alarm_log
from chaos.journal import Arrival, ArrivalLog, ControlFile, Journal
from chaos.proxy import Proxy
from config.embedded import stack as embedded
from config.embedded.stack import Servers
from config.run.processes import wait_until
from testkit.processes import Program
from testkit.stack import Stack, code_in, exclusive_folder, free_port

PUBLIC = "https://aval.example.com"
"""Public, because Twilio is given a callback address only where the outside can reach us."""
KEYS = {"TWILIO_TOKEN": "twilio-token-of-a-test", "WHATSAPP_APP_SECRET": "app-secret-of-a-test"}
ACCOUNT = "AC00000000000000000000000000000001"
META_TOKEN = "meta-token-of-a-test"
SENDERS = {"one": "%2B15005550001", "two": "%2B15005550002"}


@dataclass
class FakeProvider:
    """A provider of the scenarios: its control file, its journal, and the proxy before it."""

    name: str
    port: int
    control: ControlFile
    journal: Journal
    proxy: Proxy

    @property
    def gateway(self) -> str:
        """Its name in `messaging_providerstate`."""
        return f"twilio:S:{SENDERS[self.name].replace('%2B', '+')}"


@dataclass(frozen=True)
class Accepted:
    """A request that was answered with 2xx and must not be lost."""

    token: str
    client: str
    to: str
    via: str


@dataclass
class ApiClient:
    """Client of contract 2 that records what was accepted since the scenario began, and each answer."""

    stack: Stack
    since: float = field(default_factory=time.time)
    accepted: list[Accepted] = field(default_factory=list)
    answers: list[tuple[int, float]] = field(default_factory=list)  # status (0: none came), seconds

    def register(self) -> str | None:
        answer = self._timed(lambda: self.stack.http.post("/v1/api/client", json=self.stack.person()))
        return str(answer.json()["data"]["id"]) if answer is not None and answer.status_code == 201 else None

    def ask(self, via: str = "S", client: str | None = None) -> Accepted | None:
        """Register a client and ask for a code. None: one of the two calls was not answered with 2xx."""
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


class ChaosStack(Stack):
    """A stack whose codes go to the fake providers; `code` reads their journals."""

    providers: dict[str, FakeProvider]
    redis_proxy: Proxy
    postgres_proxy: Proxy
    extra_logs: list[ArrivalLog]
    """Logs of providers of a single scenario."""
    alarms: AlarmLog
    metrics: Program

    @property
    def programs(self) -> tuple[Program, ...]:
        return *super().programs, self.metrics

    @property
    def arrival_logs(self) -> list[ArrivalLog]:
        return [*(each.journal for each in self.providers.values()), *self.extra_logs]

    def code(self, to: str) -> str | None:
        rows = self.sql("SELECT text FROM messaging_message WHERE recipient = %s ORDER BY created_at DESC LIMIT 1", to)
        found = [each for log in self.arrival_logs for each in log.arrivals() if each.to == to]
        return code_of(max(found, key=lambda each: each.at), rows[0][0]) if found and rows else None

    def taken(self) -> int:
        """Number of messages that providers have taken since the start."""
        return sum(map(len, self.arrival_logs))

    def ready(self) -> ApiClient:
        """Restore the initial state: providers work, breakers are closed, proxies forward, programs run."""
        for each in self.providers.values():
            each.control.set("ok")
            each.proxy.heal()
        for proxy in (self.redis_proxy, self.postgres_proxy):
            proxy.heal()
        self.reset_circuit_breakers()
        self.heal()
        self.alarms.begin(self.sql)
        return ApiClient(self)

    def reset_circuit_breakers(self) -> None:
        """Close the circuit breakers: empty their table, and restart the worker if it saw a failure in the last
        minute, which it keeps in memory."""
        ((recent_failures,),) = self.sql(
            "SELECT (SELECT count(*) FROM messaging_messageevent"
            " WHERE at > now() - '61 s'::interval AND state IN ('QUEUED', 'FAILED', 'UNKNOWN'))"
            " + (SELECT count(*) FROM messaging_providerstate)"
        )
        self.sql("DELETE FROM messaging_providerstate")
        if recent_failures:
            self.worker.restart()

    def recover(self) -> float:
        """End every fault and return the seconds until no message is waiting or under way; a minute at most."""
        self.alarms.fault_ends()
        for each in self.providers.values():
            each.control.set("ok")
            each.proxy.heal()
        for proxy in (self.redis_proxy, self.postgres_proxy):
            proxy.heal()
        began = time.monotonic()
        self.heal()
        wait_until(lambda: self.sql(UNSETTLED) == [(0,)], 60 - (time.monotonic() - began))
        return time.monotonic() - began

    def use_providers_again(self) -> None:
        """Put providers that are set aside on trial with a code, as if their 30 seconds were over."""
        if self.sql("UPDATE messaging_providerstate SET until = now() WHERE set_aside_at IS NOT NULL RETURNING name"):
            for via in ("S", "C"):
                ApiClient(self).ask(via)

    @contextmanager
    def rewired(self, programs: Sequence[Program], environment: Mapping[str, str]) -> Iterator[None]:
        """Restart these programs with other settings, and with their own afterwards."""
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


UNSETTLED = "SELECT count(*) FROM messaging_message WHERE state IN ('QUEUED', 'SENDING')"


def code_of(arrival: Arrival, masked: str) -> str:
    """The code that arrived, alone or in the place where our text has its mask."""
    return arrival.text if len(arrival.text) == 4 else code_in(arrival.text.replace("\r\n", "\n"), masked)


@contextmanager
def running_stack(folder: Path, **settings: str) -> Iterator[ChaosStack]:
    """Complete installation in this folder, emptied first: two providers for SMS, one for WhatsApp, one for mail."""
    with ExitStack() as stopping:
        exclusive_folder(folder, stopping)
        servers = stopping.enter_context(embedded.stack(folder))
        (folder / "journals").mkdir()
        alarms = stopping.enter_context(alarm_log())
        providers = {name: _fake_provider(name, folder, stopping) for name in ("one", "two", "meta", "mail")}
        environment = {
            **KEYS,
            "PUBLIC_URL": PUBLIC,
            "SECURE_SSL_REDIRECT": "false",
            "INFORMAPERU_OPEN": "true",
            **_gateways(providers),
            "ALARM_URL": alarms.receiver.url,
            "ALARM_SECRET": SECRET,
            **settings,
        }
        stack = ChaosStack(folder, servers, environment, stopping)
        stack.providers, stack.extra_logs, stack.alarms = providers, [], alarms
        stack.metrics = stack.program("metrics")
        stack.redis_proxy, stack.postgres_proxy = _proxies_to(servers, stopping)
        for each in providers.values():
            module = "chaos.mailbox" if each.name == "mail" else "chaos.provider"
            own = {"NAME": each.name, "JOURNAL": str(each.journal.path), "CONTROL": str(each.control.path)}
            environ = {**stack.environment, **own, "AVAL_URL": stack.url, "TWILIO_SID": ACCOUNT}
            log = folder / "journals" / f"{each.name}.log"
            stopping.enter_context(serving(module, log, environ, port=each.port))
        stopping.callback(stack.stop)
        for server in (stack.postgres, stack.redis):
            stopping.callback(server.thaw)
        stack.start()
        yield stack


def _fake_provider(name: str, folder: Path, stopping: ExitStack) -> FakeProvider:
    port = free_port()
    proxy = Proxy(("127.0.0.1", port))
    stopping.callback(proxy.close)
    journal, control = folder / "journals" / f"{name}.jsonl", folder / "journals" / f"{name}.control"
    return FakeProvider(name, port, ControlFile(control), Journal(journal), proxy)


def _gateways(providers: Mapping[str, FakeProvider]) -> dict[str, str]:
    """Gateway URLs that lead through the proxies."""
    login = f"{ACCOUNT}:{KEYS['TWILIO_TOKEN']}"
    api = {name: f"http://127.0.0.1:{each.proxy.port}" for name, each in providers.items()}
    return {
        "SMS_URL": " ".join(f"twilio://{login}@/?from={SENDERS[name]}&api={api[name]}" for name in SENDERS),
        "WHATSAPP_URL": f"whatsapp-cloud://{META_TOKEN}@/1234567890?template=codigo&api={api['meta']}",
        "EMAIL_URL": f"smtp://127.0.0.1:{providers['mail'].proxy.port}",
    }


def _proxies_to(servers: Servers, stopping: ExitStack) -> tuple[Proxy, Proxy]:
    """Proxies for Redis and PostgreSQL, which listen on Unix sockets only."""
    sockets = servers.handles[0].sockets
    proxies = Proxy(sockets / "redis.sock"), Proxy(sockets / ".s.PGSQL.5432")
    for proxy in proxies:
        stopping.callback(proxy.close)
    return proxies
