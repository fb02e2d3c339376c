"""PostgreSQL and Valkey for who has none: `make run`, management commands and tests share them through this module.

    with stack(Path("var")) as servers:
        connect(servers.database_url)

    python -m config.embedded exec -- COMMAND...      runs a command with the servers up and their URLs exported

Everybody who needs the servers of a data folder enters `stack`; the first starts them, the last one out stops them,
and no `kill -9` of anybody leaves a server behind or a lock in the way (`config.embedded.watchdog` says how).
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
from config.embedded.watchdog import READY, SERVERS, Locks, log_file
from config.run.data_folder import EmbeddedError, FolderGone, open_folder, secret_key, told_in_one_sentence
from config.run.environment import BASE_DIR, data_dir, read_dotenv
from config.run.processes import POLL, dying_with_us, holders, send, wait_until

__all__ = ["EmbeddedError", "Servers", "secret_key", "stack"]

GATE_SECONDS = 60.0
START_SECONDS = 150.0
STOP_SECONDS = 45.0


def redis_url(sockets: Path) -> str:
    return f"unix://{sockets}/redis.sock?db=0"


class Share:
    """One process's part in one running server: while it is held, the server stays."""

    def __init__(self, name: str, data: Path, sockets: Path) -> None:
        self.data = data
        self.sockets = sockets
        self.server = SERVERS[name](data, sockets)
        self.locks = Locks(data, name)
        self.starter: subprocess.Popen[str] | None = None
        self.is_last = False
        self.told = 0

    def begin(self) -> None:
        """Come through the gate and see that somebody is starting the server; `finish` waits for it."""
        self._through_the_gate()
        self.locks.users.try_shared()  # exclusive only for who has the gate, so it cannot be refused
        self._start_keeper_if_missing()

    def finish(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        starts = 0
        while time.monotonic() < deadline and starts < 3:
            if self.starter is not None:
                starts += 1
                self._hear_starter(self.starter)
            elif not self.locks.keeper.held_by_another():
                self._start_keeper_if_missing()
            elif self.server.answers():
                self.locks.gate.release()
                return
            else:
                time.sleep(POLL)
        raise EmbeddedError(f"{self.server.title} does not start; its log is {self.server.log}.")

    def _through_the_gate(self) -> None:
        if not self.locks.gate.wait_exclusive(GATE_SECONDS):
            raise EmbeddedError(
                f"Another process has been starting or stopping {self.server.title} in {self.data} for "
                f"{GATE_SECONDS:.0f} seconds: end it and try again."
            )

    def _start_keeper_if_missing(self) -> None:
        if self.locks.keeper.held_by_another():
            return
        with log_file(self.data / "logs" / "keeper.log") as log:
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

    def _hear_starter(self, starter: subprocess.Popen[str]) -> None:
        said = starter.communicate()[0].strip()
        self.starter = None
        if said and said != READY:
            raise EmbeddedError(said)

    def revive(self) -> bool:
        """See that the keeper lives, who sees that the server does; whether there was something to do."""
        if not self.locks.gate.is_in_place():
            raise FolderGone(f"The data folder {self.data} was deleted while it was in use.")
        if self.locks.keeper.held_by_another():
            return False
        self._through_the_gate()
        try:
            self._start_keeper_if_missing()
            self.finish()
        except BaseException:
            self.locks.gate.release()
            raise
        return True

    def begin_to_leave(self) -> None:
        """Give the share back, and if it was the last one, tell the keeper; `finish_leaving` waits for it."""
        if self.starter is not None:  # a keeper on its way must be heard before it can be told
            self.starter.communicate()
            self.starter = None
        self.is_last = self.locks.gate.wait_exclusive(GATE_SECONDS) and self.locks.users.try_exclusive()
        if self.is_last:
            self._tell_keeper()

    def finish_leaving(self) -> None:
        if self.is_last:
            wait_until(self._tell_keeper, STOP_SECONDS)

    def _tell_keeper(self) -> bool:
        """Whether the keeper is gone; if not, it has been told to. The number in its file is believed only while that
        process has the file open: a keeper that has just begun finds its predecessor's number there."""
        if not self.locks.keeper.held_by_another():
            return True
        with suppress(ValueError):
            pid = int(self.locks.keeper.read())
            if pid != self.told and pid in holders(self.locks.keeper.path):
                send([pid], signal.SIGTERM)
                self.told = pid
        return False

    def close(self) -> None:
        self.locks.close()


@dataclass(frozen=True)
class Servers:
    """Where the servers are. A URL that was not asked for is empty."""

    database_url: str
    """As the run role."""
    owner_url: str = field(repr=False)
    """As the role that owns the tables; for migrations, and for no process that serves anybody."""
    redis_url: str
    shares: tuple[Share, ...] = field(repr=False)

    @property
    def inheritable(self) -> tuple[int, ...]:
        """Descriptors for `pass_fds` of a child process: the servers then stay until it has ended as well."""
        return tuple(share.locks.users.fd for share in self.shares)

    def revive(self) -> list[str]:
        """Start again what lost its keeper; the titles of what was. A dead server comes back without being asked."""
        return [share.server.title for share in self.shares if share.revive()]


@contextmanager
def stack(data_dir: str | os.PathLike[str], *, postgres: bool = True, redis: bool = True) -> Iterator[Servers]:
    """Join the servers of this data folder or start them; afterwards leave, and stop them if nobody else is there."""
    wanted = [name for name, asked in (("postgres", postgres), ("redis", redis)) if asked]
    with ExitStack() as leaving:
        with told_in_one_sentence(data_dir):
            data, sockets = open_folder(Path(data_dir))
            shares: list[Share] = []
            leaving.callback(_leave, shares, os.getpid())
            for name in wanted:
                shares.append(Share(name, data, sockets))
                shares[-1].begin()
            for share in shares:  # both are starting by now
                share.finish()
        run_url, owner_url = _database_urls(data, sockets) if postgres else ("", "")
        yield Servers(run_url, owner_url, redis_url(sockets) if redis else "", tuple(shares))


def _database_urls(data: Path, sockets: Path) -> tuple[str, str]:
    if not roles.are_set_up(data, data / "pg"):
        raise EmbeddedError(f"PostgreSQL in {data} was started by an older version of Aval: stop that one first.")
    run, owner = (roles.url(role, data, sockets) for role in (roles.RUN, roles.OWNER))
    return run, owner


def _leave(shares: list[Share], owner: int) -> None:
    """Out of all at once, so that the last one waits for the slower of two stops, not for both."""
    if os.getpid() != owner:  # a forked copy of us: the shares are not its own
        return
    try:
        for share in shares:
            share.begin_to_leave()
        for share in shares:
            share.finish_leaving()
    finally:
        for share in shares:
            share.close()


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
            return _run(words[2:])
    except EmbeddedError as fault:
        print(f"aval: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(command: list[str]) -> int:
    """Run the command to its end. A Ctrl-C reaches it from the terminal by itself; a SIGTERM we hand on."""
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command, preexec_fn=dying_with_us(signal.SIGTERM))  # noqa: PLW1509
    except OSError as fault:
        print(f"aval: {command[0]}: {fault.strerror}.", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return code if code >= 0 else 128 - code
