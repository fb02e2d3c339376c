"""The process that owns one embedded server: starts it, starts it again when it dies, stops it when nobody is left.

    python -m config.embedded.watchdog postgres|redis DATA_DIR SOCKET_DIR

Whoever uses the server holds a shared lock (`config.embedded.stack`); the kernel drops it however they end. The keeper
looks whether anybody holds one, so the last user takes the server along even when it was killed. If the keeper is
killed, the kernel ends the server with it, and the next user or the next look of a present one starts both anew."""

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
"""What the keeper says to the one who started it; anything else is the sentence of a failure."""

LOOK = 0.5
"""Seconds between two looks at the server and at its users."""

LONGEST_STOP = 30.0
LOG_LIMIT = 10 * 1024 * 1024


class Locks:
    """The four locks of one server of one data folder.

    gate    exclusive, for moments: whoever starts, joins, leaves or stops
    users   shared by everybody who needs the server; exclusive: nobody does
    keeper  exclusive, by the living keeper, whose process id the file holds
    server  exclusive, inherited by all of the server's processes
    """

    def __init__(self, data: Path, name: str) -> None:
        folder = data / "locks"
        self.gate = FileLock(folder / f"{name}.gate")
        self.users = FileLock(folder / f"{name}.users")
        self.keeper = FileLock(folder / f"{name}.keeper")
        self.server_path = folder / f"{name}.server"

    def close(self) -> None:
        for lock in (self.users, self.keeper, self.gate):  # the gate last: who comes through it finds order
            lock.close()


class Keeper:
    """Lives in a process of its own: `run` returns when there is nothing left to keep."""

    def __init__(self, server: Server, locks: Locks) -> None:
        self.server = server
        self.locks = locks
        self.process: subprocess.Popen[bytes] | None = None
        self.told_to_stop = False
        self.started_at = 0.0
        self.alarm = -1
        self.pause = 0.0

    def run(self) -> None:
        self.alarm = _signals_as_a_stream()
        signal.signal(signal.SIGTERM, self._stop_please)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler of any kind wakes us: the server may have died
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            if not self.locks.keeper.wait_exclusive(1):  # others touch it for moments, to look
                return  # a keeper whose starter was killed got here first, and serves our starter as well
            self.locks.keeper.write(str(os.getpid()))
            self._start()
        except (EmbeddedError, OSError) as fault:
            self._end()
            _say(str(fault))
            return
        _say(READY)
        while not self._nobody_is_left():
            self._look_after()
            self._sleep()
        self._end()

    def _sleep(self) -> None:
        """Until the next look, or a signal. The stream is emptied: what was read stays read, or we would spin."""
        if select.select([self.alarm], [], [], LOOK)[0]:
            with suppress(BlockingIOError):
                os.read(self.alarm, 4096)

    def _stop_please(self, *_: object) -> None:
        self.told_to_stop = True

    def _nobody_is_left(self) -> bool:
        """True with the gate and the users' lock in our hands, so that nobody comes in while we stop."""
        if self.told_to_stop:
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
        """Returns when the server answers. Holding the server's lock means that no older process of it is alive."""
        self.started_at = time.monotonic()
        lock = FileLock(self.locks.server_path)
        try:
            self._clear_the_way(lock)
            self.server.prepare(lock.fd)
            with log_file(self.server.log) as log:
                beginning = os.fstat(log.fileno()).st_size
                self.process = subprocess.Popen(
                    self.server.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a Ctrl-C in the terminal is not for databases: they stop last
                    pass_fds=[lock.fd],
                    env=bare_environment(),
                    preexec_fn=dying_with_us(self.server.stop_signal),  # noqa: PLW1509 (a keeper has one thread)
                )
        finally:
            lock.close()
        wait_until(lambda: self.server.answers() or self._is_over(), self.server.patience)
        if self._is_over() or not self.server.answers():
            raise EmbeddedError(
                f"{self.server.title} did not start: {self.server.complaint(beginning)} (more in {self.server.log})"
            )

    def _is_over(self) -> bool:
        return self.told_to_stop or self.process is None or self.process.poll() is not None

    def _clear_the_way(self, lock: FileLock) -> None:
        """Take the server's lock, from a server that lost its keeper if need be: ask it to stop, then make it."""
        if lock.wait_exclusive(1):  # as a rule free, or its last processes are just ending
            return
        send(self.server.leaders(holders(lock.path)), self.server.stop_signal)
        if lock.wait_exclusive(LONGEST_STOP if self.server.leaders(holders(lock.path)) else 1):
            return
        send(holders(lock.path), signal.SIGKILL)  # a crash for the server, which is made for that
        if not lock.wait_exclusive(5):
            raise EmbeddedError(f"An older {self.server.title} of this data folder does not stop.")

    def _look_after(self) -> None:
        if self.process is None or self.process.poll() is None:
            return
        _note(f"{self.server.title} ended with {self.process.returncode}: starting it again.")
        if time.monotonic() - self.started_at > 10:
            self.pause = 0.0
        if wait_until(lambda: self.told_to_stop or not self.locks.gate.is_in_place(), self.pause):
            return
        self.pause = min(5.0, self.pause + 0.5)
        try:
            self._start()
        except (EmbeddedError, OSError) as fault:
            _note(f"{fault} Trying again.")

    def _end(self) -> None:
        """Stop the server and wait for all of its processes."""
        if self.process is None:
            return
        orderly = self.locks.gate.is_in_place()  # with the data folder gone there is nothing left to write
        if self.process.poll() is None:
            self.process.send_signal(self.server.stop_signal if orderly else signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(LONGEST_STOP)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if orderly:
            with suppress(EmbeddedError, OSError):
                rest = FileLock(self.locks.server_path)
                self._clear_the_way(rest)
                rest.close()


def log_file(path: Path) -> IO[bytes]:
    """The log, opened to append; one that has grown is put aside first, over the one before it."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".old.log"))
    return open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0)


def _signals_as_a_stream() -> int:
    """A descriptor that can be read once a signal came, so that waiting for time ends with the signal."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _note(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())} {text}\n")
    sys.stderr.flush()


def _say(text: str) -> None:
    """Tell our starter, who reads until the end of the stream; it may be dead, and then nobody reads."""
    with suppress(OSError):
        os.write(1, text.encode())
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)


def main(words: list[str]) -> NoReturn:
    name, data, sockets = words
    if os.fork():  # our starter reaps this one at once; nobody has to reap the keeper
        os._exit(0)
    os.chdir("/")
    Keeper(SERVERS[name](Path(data), Path(sockets)), Locks(Path(data), name)).run()
    os._exit(0)  # at once: who waits for our locks to fall finds no process either


if __name__ == "__main__":
    main(sys.argv[1:])
