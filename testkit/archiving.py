"""PostgreSQL that archives its WAL, and one that is restored from base backup and archive to a moment.

The settings are those of docs/backup.md, *To a moment*; tests/test_point_in_time.py holds them against each other.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.embedded.servers import PostgreSQL, _unprivileged, bare_environment
from config.run.processes import wait_until
from testkit.replication import OWNER, Node
from testkit.restoring import FreshServer

ARCHIVE = """
archive_mode = on
archive_command = 'test ! -f {backups}/wal/%f && cp %p {backups}/wal/%f.new && mv {backups}/wal/%f.new {backups}/wal/%f'
archive_timeout = 60
"""
RECOVERY = """
archive_mode = off
restore_command = 'cp {backups}/wal/%f %p'
recovery_target_time = '{moment}'
recovery_target_action = 'promote'
"""
SETTINGS = "listen_addresses = '127.0.0.1'\ntimezone = 'UTC'\n"


class Archived:
    """A server, its backups, and what was restored from them. Folders and programs are of the server's user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        server = PostgreSQL(folder, folder)
        self.node, self.restored = (Node(folder / name, server, _unprivileged()) for name in ("first", "restored"))
        for each in (self.node.folder, self.restored.folder, self.backups):
            self.as_server("mkdir", "-p", str(each))
        self.as_server("mkdir", str(self.backups / "wal"))

    def as_server(self, *words: str) -> None:
        done = subprocess.run(
            [*self.node.prefix, *words], env=bare_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def server(self, node: Node) -> FreshServer:
        return FreshServer(f"postgres://{OWNER}:secret@127.0.0.1:{node.port}/aval", node.server.bin)

    def _add_settings(self, node: Node, text: str) -> None:
        with (node.data / "postgresql.conf").open("a") as file:
            file.write(text)

    def start(self) -> None:
        node = self.node
        node.run("initdb", "-D", str(node.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        self._add_settings(node, SETTINGS + ARCHIVE.format(backups=self.backups))
        node.start()
        with node.connected() as session:
            session.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
            session.execute(f"CREATE DATABASE aval OWNER {OWNER}")

    def take_base_backup(self) -> None:
        where = f"host=127.0.0.1 port={self.node.port} user=postgres"
        self.node.run("pg_basebackup", f"--pgdata={self.backups / 'base'}", "--checkpoint=fast", f"--dbname={where}")

    def lose(self) -> None:
        """Archive the last WAL, then stop at once."""
        with self.node.connected() as session:
            ((last,),) = session.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchall()
        assert wait_until((self.backups / "wal" / last).exists, 30), "the archive does not follow"
        self.node.stop()

    def restore_to(self, moment: str) -> FreshServer:
        """Base backup and archived WAL up to a moment, on a server that takes writes."""
        node = self.restored
        self.as_server("cp", "-a", str(self.backups / "base"), str(node.data))
        self._add_settings(node, RECOVERY.format(backups=self.backups, moment=moment))
        self.as_server("touch", str(node.data / "recovery.signal"))
        node.start()
        with node.connected() as session:
            in_recovery = "SELECT pg_is_in_recovery()"
            assert wait_until(lambda: session.execute(in_recovery).fetchone() == (False,), 60), "it does not end"
        return self.server(node)


@contextmanager
def archived(folder: Path) -> Iterator[Archived]:
    folder.mkdir()
    shutil.chown(folder, PostgreSQL(folder, folder)._user())
    each = Archived(folder)
    try:
        each.start()
        yield each
    finally:
        for node in (each.node, each.restored):
            with suppress(AssertionError):  # it has stopped before, or was never made
                node.stop()
