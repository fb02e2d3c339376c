"""Peers as systems to measure: each with a fresh database of the stack's server, in as many processes as our server."""

import itertools
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg

from bench import history
from bench.harness import serving_command
from bench.machine import Meter, group
from bench.peers import install
from bench.protocols import BetterAuth, Client, PhoneVerify, Protocol
from bench.rounds import System
from config.embedded.servers import bare_environment
from testkit.stack import SETTINGS, Stack, free_port

PROCESSES = 2
"""As WEB_WORKERS of ours, by default."""
THREADS = 4
"""As WEB_THREADS of ours, by default."""
FIRST_PHONE = 950_000_000
"""Valid Peruvian mobile numbers, for django-phone-verify checks that."""
TABLES = "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables WHERE schemaname = 'public'"


@contextmanager
def better_auth(stack: Stack, folder: Path) -> Iterator[System]:
    made = install.better_auth(folder)
    with _peer("better-auth", stack, made, BetterAuth(), lambda port: ["node", "server.mjs"], []) as system:
        yield system


@contextmanager
def phone_verify(stack: Stack, folder: Path) -> Iterator[System]:
    """django-phone-verify behind granian, the quickest server for it that was measured."""
    made = install.phone_verify(folder)
    bin = made / "venv" / "bin"
    migrate = [str(bin / "django-admin"), "migrate", "--verbosity", "0"]

    def command(port: int) -> list[str]:
        options = {
            "--interface": "wsgi",
            "--port": str(port),
            "--workers": str(PROCESSES),
            "--blocking-threads": str(THREADS),
        }
        words = [word for pair in options.items() for word in pair]
        return [str(bin / "granian"), *words, "--no-ws", "--factory", "django.core.wsgi:get_wsgi_application"]

    with _peer("django-phone-verify", stack, made, PhoneVerify(), command, migrate) as system:
        yield system


@contextmanager
def _peer(
    name: str,
    stack: Stack,
    folder: Path,
    protocol: Protocol,
    command: Callable[[int], Sequence[str]],
    migrate: Sequence[str],
) -> Iterator[System]:
    database_name = f"peer_{folder.name}"
    with stack.database() as owner:
        owner.execute(f"CREATE DATABASE {database_name}")
    port = free_port()
    environment = {
        **bare_environment(),
        **libpq_variables(stack.servers.owner_url, database_name),
        "SECRET_KEY": SETTINGS["SECRET_KEY"],
        "DJANGO_SETTINGS_MODULE": "peer_settings",
        "PYTHONPATH": str(folder),
        "NODE_ENV": "production",
        "PORT": str(port),
        "WEB_WORKERS": str(PROCESSES),
    }
    log = stack.folder / "logs" / f"{folder.name}.log"
    if migrate:
        subprocess.run(migrate, cwd=folder, env=environment, check=True)
    with (
        serving_command(command(port), log, environment, port, folder=folder) as (_, leader),
        psycopg.connect(stack.servers.owner_url, dbname=database_name, autocommit=True) as database,
    ):
        meter = Meter({"web": lambda: group(leader), "PostgreSQL": stack.postgres.pids})
        yield System(name, port, protocol, meter, EmptyTables(database).clients)


class EmptyTables:
    """Clients who ask a peer, which knows nobody at the beginning of a round.

    Empty tables are in the peers' favour: one of them has no index on what it searches.
    """

    def __init__(self, database: "psycopg.Connection") -> None:
        self.database = database
        self.numbers = itertools.count(FIRST_PHONE)

    def clients(self, count: int) -> deque[Client]:
        tables = self.database.execute(TABLES).fetchone()
        assert tables, "the peer has made its tables"
        self.database.execute(f"TRUNCATE {tables[0]}")
        history.tidy(self.database)
        return deque(Client(str(number)) for number in itertools.islice(self.numbers, count))


def libpq_variables(url: str, database: str) -> dict[str, str]:
    """Environment that names a database of the server of this URL, which has its socket in the query."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "PGHOST": query["host"][0],
        "PGPORT": query["port"][0],
        "PGUSER": parts.username or "",
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": database,
    }
