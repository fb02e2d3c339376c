"""Embedded PostgreSQL and Valkey, shared by `make run`, management commands and tests.

    with stack(Path("var")) as servers:
        connect(servers.database_url)

    python -m config.embedded exec -- COMMAND...      runs a command with the servers up and their URLs exported

Every process that needs the servers of a data folder enters `stack`. The first starts them and the last one stops them.
No `kill -9` leaves a server or a lock behind (`config.embedded.watchdog` explains how).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.embedded import roles
from config.embedded.servers import bare_environment
from config.embedded.watchdog import READY, SERVERS, WATCHDOG_LOG, Locks, log_file
from config.run.data_folder import EmbeddedError, FolderGone, as_embedded_error, open_folder, secret_key
from config.run.processes import POLL, dying_with_us, holders, send, wait_until
from config.variables import BASE_DIR, data_dir, read_dotenv

__all__ = ["EmbeddedError", "Servers", "secret_key", "stack"]

GATE_SECONDS = 60.0
START_SECONDS = 150.0
STOP_SECONDS = 45.0


def redis_url(sockets: Path) -> str:
    return f"unix://{sockets}/redis.sock?db=0"


class ServerHandle:
    """Use of one server by this process: while it is held, the server keeps running."""

    def __init__(self, name: str, data: Path, sockets: Path) -> None:
        self.data = data
        self.sockets = sockets
        self.server = SERVERS[name](data, sockets)
        self.locks = Locks(data, name)
        self.starter: subprocess.Popen[str] | None = None
        self.is_last = False
        self.signalled_pid = 0

    def start_if_missing(self) -> None:
        """Lock the gate and start the watchdog if there is none; `wait_until_up` waits for the server."""
        self._lock_gate()
        self.locks.users.try_shared()  # only the holder of the gate takes it exclusively, so this cannot fail
        self._start_watchdog_if_missing()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        starts = 0
        while time.monotonic() < deadline and starts < 3:
            if self.starter is not None:
                starts += 1
                self._read_start_result(self.starter)
            elif not self.locks.watchdog.held_by_another():
                self._start_watchdog_if_missing()
            elif self.server.answers():
                self.locks.gate.release()
                return
            else:
                time.sleep(POLL)
        raise EmbeddedError(f"{self.server.title} does not start; its log is {self.server.log}.")

    def _lock_gate(self) -> None:
        if not self.locks.gate.wait_exclusive(GATE_SECONDS):
            raise EmbeddedError(
                f"Another process has been starting or stopping {self.server.title} in {self.data} for "
                f"{GATE_SECONDS:.0f} seconds: end it and try again."
            )

    def _start_watchdog_if_missing(self) -> None:
        if self.locks.watchdog.held_by_another():
            return
        with log_file(self.data / "logs" / WATCHDOG_LOG) as log:
            self.starter = subprocess.Popen(
                [sys.executable, "-m", "config.embedded.watchdog", self.server.name, str(self.data), str(self.sockets)],
                cwd=BASE_DIR,
                env={**bare_environment(), "PYTHONPATH": os.pathsep.join((str(BASE_DIR), *sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def _read_start_result(self, starter: subprocess.Popen[str]) -> None:
        result = starter.communicate()[0].strip()
        self.starter = None
        if result and result != READY:
            raise EmbeddedError(result)

    def revive(self) -> bool:
        """Start the watchdog again if it died, and return whether it had. The watchdog restarts its server."""
        if not self.locks.gate.is_in_place():
            raise FolderGone(f"The data folder {self.data} was deleted while it was in use.")
        if self.locks.watchdog.held_by_another():
            return False
        self._lock_gate()
        try:
            self._start_watchdog_if_missing()
            self.wait_until_up()
        except BaseException:
            self.locks.gate.release()
            raise
        return True

    def release(self) -> None:
        """Give up the use; if it was the last, ask the watchdog to stop. `wait_until_stopped` waits for that."""
        if self.starter is not None:  # a watchdog that is still starting must report first
            self.starter.communicate()
            self.starter = None
        self.is_last = self.locks.gate.wait_exclusive(GATE_SECONDS) and self.locks.users.try_exclusive()
        if self.is_last:
            self._ask_to_stop()

    def wait_until_stopped(self) -> None:
        if self.is_last:
            wait_until(self._ask_to_stop, STOP_SECONDS)

    def _ask_to_stop(self) -> bool:
        """Whether the watchdog has ended; if not, ask it to stop, once.

        The process id in its file counts only while that process has the file open: a watchdog that has just started
        finds its predecessor's there.
        """
        if not self.locks.watchdog.held_by_another():
            return True
        with suppress(ValueError):
            pid = int(self.locks.watchdog.read())
            if pid != self.signalled_pid and pid in holders(self.locks.watchdog.path):
                send([pid], signal.SIGTERM)
                self.signalled_pid = pid
        return False

    def close(self) -> None:
        self.locks.close()


@dataclass(frozen=True)
class Servers:
    """URLs of the running servers. A server that was not asked for has an empty one."""

    database_url: str
    """As the run role."""
    owner_url: str = field(repr=False)
    """As the role that owns the tables; for migrations, never for a process that serves requests."""
    redis_url: str
    handles: tuple[ServerHandle, ...] = field(repr=False)

    @property
    def inheritable(self) -> tuple[int, ...]:
        """Descriptors for `pass_fds` of a child process: the servers then stay until it has ended as well."""
        return tuple(handle.locks.users.fd for handle in self.handles)

    def revive(self) -> list[str]:
        """Start dead watchdogs again and return their servers' titles. A watchdog restarts a dead server itself."""
        return [handle.server.title for handle in self.handles if handle.revive()]


@contextmanager
def stack(data_dir: str | os.PathLike[str], *, postgres: bool = True, redis: bool = True) -> Iterator[Servers]:
    """Join or start the servers of this data folder; afterwards stop them if no other process uses them.

    Raises EmbeddedError.
    """
    wanted = [name for name, asked in (("postgres", postgres), ("redis", redis)) if asked]
    with ExitStack() as stopping:
        with as_embedded_error(data_dir):
            data, sockets = open_folder(Path(data_dir))
            handles: list[ServerHandle] = []
            stopping.callback(_release_all, handles, os.getpid())
            for name in wanted:
                handles.append(ServerHandle(name, data, sockets))
                handles[-1].start_if_missing()
            for handle in handles:  # both are starting by now
                handle.wait_until_up()
        run_url, owner_url = _database_urls(data, sockets) if postgres else ("", "")
        yield Servers(run_url, owner_url, redis_url(sockets) if redis else "", tuple(handles))


def _database_urls(data: Path, sockets: Path) -> tuple[str, str]:
    if not roles.are_set_up(data, data / "pg"):
        raise EmbeddedError(f"PostgreSQL in {data} was started by an older version of Aval: stop that one first.")
    run, owner = (roles.url(role, data, sockets) for role in (roles.RUN, roles.OWNER))
    return run, owner


def _release_all(handles: list[ServerHandle], owner: int) -> None:
    """Release all before waiting, so that the last user waits for the slower of two stops, not for their sum."""
    if os.getpid() != owner:  # a forked child: the handles belong to its parent
        return
    try:
        for handle in handles:
            handle.release()
        for handle in handles:
            handle.wait_until_stopped()
    finally:
        for handle in handles:
            handle.close()


def main(words: list[str]) -> int:
    if len(words) < 3 or words[:2] != ["exec", "--"]:
        print("usage: python -m config.embedded exec -- COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2
    read_dotenv()
    environ = os.environ
    try:
        missing = {name: not environ.get(name) for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")}
        if missing["SECRET_KEY"]:
            environ["SECRET_KEY"] = secret_key(data_dir())
        with stack(data_dir(), postgres=missing["DATABASE_URL"], redis=missing["REDIS_URL"]) as servers:
            given = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
            environ.update({name: url for name, url in given.items() if missing[name]})
            return _run_command(words[2:])
    except EmbeddedError as fault:
        print(f"aval: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run_command(command: list[str]) -> int:
    """Run the command to its end. Ctrl-C reaches it from the terminal; SIGTERM is passed on."""
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command, preexec_fn=dying_with_us(signal.SIGTERM))  # noqa: PLW1509  started from the main thread
    except OSError as fault:
        print(f"aval: {command[0]}: {fault.strerror}.", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return code if code >= 0 else 128 - code
