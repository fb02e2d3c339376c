"""Watchdog process of one embedded server: starts it, restarts it when it dies, stops it after its last user.

    python -m config.embedded.watchdog postgres|redis DATA_DIR SOCKET_DIR

Each user of the server holds a shared lock (`config.embedded.stack`), which the kernel drops however they end. The
watchdog checks whether any is held, so the server stops after its last user even when that was killed. If the watchdog
is killed, the kernel ends the server with it, and the next user, or the next check of a present one, starts both again.
"""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

from config.embedded.servers import PostgreSQL, Server, Valkey, bare_environment
from config.run.data_folder import EmbeddedError
from config.run.processes import FileLock, dying_with_us, holders, send, wait_until

SERVERS: dict[str, type[Server]] = {each.name: each for each in (PostgreSQL, Valkey)}

READY = "ready"
"""Report to the process that started the watchdog; any other report is the text of a failure."""

NAME_ON_DISK = "keeper"
WATCHDOG_LOG = f"{NAME_ON_DISK}.log"
"""The lock file `<server>.keeper` and the log keep this older name: a process of an older version may share the data
folder, and both must use the same lock."""

POLL_SECONDS = 0.5
"""Interval of the checks of the server and its users."""

STOP_SECONDS = 30.0
LOG_LIMIT = 10 * 1024 * 1024


class Locks:
    """The four locks of one server of one data folder.

    gate      exclusive and short: held while a process starts, joins, leaves or stops
    users     shared by all users of the server; exclusive: there are none
    watchdog  exclusive, held by the running watchdog, whose process id is in the file
    server    exclusive, inherited by all of the server's processes
    """

    def __init__(self, data: Path, name: str) -> None:
        folder = data / "locks"
        self.gate = FileLock(folder / f"{name}.gate")
        self.users = FileLock(folder / f"{name}.users")
        self.watchdog = FileLock(folder / f"{name}.{NAME_ON_DISK}")
        self.server_path = folder / f"{name}.server"

    def close(self) -> None:
        for lock in (self.users, self.watchdog, self.gate):  # the gate last: the next holder then finds the others free
            lock.close()


class Watchdog:
    """Main loop of the watchdog process; `run` returns when the server is no longer needed."""

    def __init__(self, server: Server, locks: Locks) -> None:
        self.server = server
        self.locks = locks
        self.process: subprocess.Popen[bytes] | None = None
        self.stop_requested = False
        self.started_at = 0.0
        self.signal_fd = -1
        self.pause = 0.0

    def run(self) -> None:
        self.signal_fd = _signal_fd()
        signal.signal(signal.SIGTERM, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # any handler wakes the loop: the server may have died
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            if not self.locks.watchdog.wait_exclusive(1):  # others hold it for moments, to check it
                return  # another watchdog was faster and serves our starter as well
            self.locks.watchdog.write(str(os.getpid()))
            self._start()
        except (EmbeddedError, OSError) as fault:
            self._end()
            _report(str(fault))
            return
        _report(READY)
        while not self._should_stop():
            self._restart_if_dead()
            self._sleep()
        self._end()

    def _sleep(self) -> None:
        """Wait for the next check or a signal. The stream is emptied, or the loop would spin."""
        if select.select([self.signal_fd], [], [], POLL_SECONDS)[0]:
            with suppress(BlockingIOError):
                os.read(self.signal_fd, 4096)

    def _request_stop(self, *_: object) -> None:
        self.stop_requested = True

    def _should_stop(self) -> bool:
        """Whether to stop. True leaves the gate and the users' lock held, so that no user joins meanwhile."""
        if self.stop_requested:
            return True
        if not self.locks.gate.is_in_place():
            return True  # the data folder was deleted
        if not self.locks.gate.try_exclusive():
            return False
        if self.locks.users.try_exclusive():
            return True
        self.locks.gate.release()
        return False

    def _start(self) -> None:
        """Start the server and return once it answers. Its lock proves that no older process is alive.

        Raises EmbeddedError.
        """
        self.started_at = time.monotonic()
        lock = FileLock(self.locks.server_path)
        try:
            self._take_server_lock(lock)
            self.server.prepare(lock.fd)
            with log_file(self.server.log) as log:
                beginning = os.fstat(log.fileno()).st_size
                self.process = subprocess.Popen(
                    self.server.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C in the terminal must not reach databases: they stop last
                    pass_fds=[lock.fd],
                    env=bare_environment(),
                    preexec_fn=dying_with_us(self.server.stop_signal),  # noqa: PLW1509  the watchdog has one thread
                )
        finally:
            lock.close()
        wait_until(lambda: self.server.answers() or self._has_ended(), self.server.start_seconds)
        if self._has_ended() or not self.server.answers():
            raise EmbeddedError(
                f"{self.server.title} did not start: {self.server.error_in_log(beginning)} (more in {self.server.log})"
            )

    def _has_ended(self) -> bool:
        return self.stop_requested or self.process is None or self.process.poll() is not None

    def _take_server_lock(self, lock: FileLock) -> None:
        """Take the server's lock. A server without a watchdog is asked to stop, then killed. Raises EmbeddedError."""
        if lock.wait_exclusive(1):  # usually free, or the last processes are ending
            return
        send(self.server.pids_to_signal(holders(lock.path)), self.server.stop_signal)
        if lock.wait_exclusive(STOP_SECONDS if self.server.pids_to_signal(holders(lock.path)) else 1):
            return
        send(holders(lock.path), signal.SIGKILL)  # both servers recover from a crash
        if not lock.wait_exclusive(5):
            raise EmbeddedError(f"An older {self.server.title} of this data folder does not stop.")

    def _restart_if_dead(self) -> None:
        if self.process is None or self.process.poll() is None:
            return
        _log(f"{self.server.title} ended with {self.process.returncode}: starting it again.")
        if time.monotonic() - self.started_at > 10:
            self.pause = 0.0
        if wait_until(lambda: self.stop_requested or not self.locks.gate.is_in_place(), self.pause):
            return
        self.pause = min(5.0, self.pause + 0.5)
        try:
            self._start()
        except (EmbeddedError, OSError) as fault:
            _log(f"{fault} Trying again.")

    def _end(self) -> None:
        """Stop the server and wait for all of its processes."""
        if self.process is None:
            return
        orderly = self.locks.gate.is_in_place()  # without its data folder there is nothing to write
        if self.process.poll() is None:
            self.process.send_signal(self.server.stop_signal if orderly else signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if orderly:
            with suppress(EmbeddedError, OSError):
                lock = FileLock(self.locks.server_path)
                self._take_server_lock(lock)
                lock.close()


def log_file(path: Path) -> IO[bytes]:
    """The log, opened to append. A large one is renamed first and replaces the one renamed before."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".old.log"))
    return open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0)


def _signal_fd() -> int:
    """Descriptor that becomes readable with a signal, so that a timed wait ends with it."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _log(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())} {text}\n")
    sys.stderr.flush()


def _report(text: str) -> None:
    """Send a report to the starting process, which reads to the end of the stream, unless it is dead."""
    with suppress(OSError):
        os.write(1, text.encode())
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)


def main(words: list[str]) -> NoReturn:
    name, data, sockets = words
    if os.fork():  # our starter reaps this process at once, and init the watchdog
        os._exit(0)
    os.chdir("/")
    Watchdog(SERVERS[name](Path(data), Path(sockets)), Locks(Path(data), name)).run()
    os._exit(0)  # at once: when the locks are free, the process is gone too


if __name__ == "__main__":
    main(sys.argv[1:])
