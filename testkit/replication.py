"""Two PostgreSQL servers, one a synchronous replica of the other, for tests of a fail-over.

They listen on ports of the loopback address and trust everybody: no data of value is in them.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from config.embedded.servers import PostgreSQL, _unprivileged, bare_environment
from config.run.processes import wait_until
from testkit.stack import free_port

SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 200
wal_level = replica
hot_standby = on
timezone = 'UTC'
"""
OWNER, RUN = "aval_owner", "aval_run"


class Node:
    """One of the two servers."""

    def __init__(self, folder: Path, server: PostgreSQL, prefix: Sequence[str]) -> None:
        self.data = folder / "data"
        self.folder = folder
        self.server = server
        self.prefix = list(prefix)
        self.port = free_port()

    def run(self, program: str, *words: str) -> None:
        """Raises AssertionError with what the program said."""
        command = [*self.prefix, str(self.server.bin / program), *words]
        done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder}"
        self.run("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """At once, as when its machine loses power."""
        self.run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def promote(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "promote")

    def connected(self, user: str = "postgres", database: str = "postgres") -> "psycopg.Connection":
        return psycopg.connect(host="127.0.0.1", port=self.port, user=user, dbname=database, autocommit=True)


class Pair:
    """Primary and replica. `url` names both: a client finds the one that takes writes."""

    def __init__(self, primary: Node, replica: Node) -> None:
        self.primary = primary
        self.replica = replica

    def url(self, role: str) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in (self.primary, self.replica))
        return f"postgres://{role}:secret@{hosts}/aval?target_session_attrs=read-write"

    def fail_over(self) -> None:
        """Stop the primary and promote the replica, which waits for no replica of its own."""
        self.primary.stop()
        self.replica.promote()
        with self.replica.connected() as session:
            session.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            session.execute("SELECT pg_reload_conf()")


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    server = PostgreSQL(folder, folder)
    nodes = [Node(folder / name, server, _unprivileged()) for name in ("primary", "replica")]
    for node in nodes:
        node.folder.mkdir(parents=True)
        os.chown(node.folder, server._user(), -1)
    primary, replica = nodes
    try:
        _make_primary(primary)
        _make_replica(replica, primary)
        yield Pair(primary, replica)
    finally:
        for node in nodes:
            with suppress(AssertionError):  # it has stopped before
                node.stop()


def _make_primary(node: Node) -> None:
    node.run("initdb", "-D", str(node.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
    with (node.data / "postgresql.conf").open("a") as file:
        file.write(SETTINGS)
    node.start()
    with node.connected() as session:
        session.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
        session.execute(f"CREATE DATABASE aval OWNER {OWNER}")


def _make_replica(node: Node, primary: Node) -> None:
    where = f"host=127.0.0.1 port={primary.port} user=postgres application_name=replica"
    node.run("pg_basebackup", "-D", str(node.data), "-d", where, "-R", "-X", "stream", "-c", "fast")
    node.start()
    with primary.connected() as session:
        session.execute("ALTER SYSTEM SET synchronous_standby_names = 'replica'")
        session.execute("SELECT pg_reload_conf()")
        state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        assert wait_until(lambda: (session.execute(state).fetchone() or (0,))[0] == 1, 30), (
            "the replica does not follow"
        )
