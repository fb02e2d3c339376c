"""Real processes that a test may kill, freeze and start again, and that end with it however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from config.embedded.stack import ServerHandle
from config.run.environment import BASE_DIR
from config.run.processes import dying_with_us, holders, send, wait_until

Reaper = subprocess.Popen[str]
REAPER_SCRIPT = 'while read pid; do pids="$pids $pid"; done; for pid in $pids; do kill -9 "-$pid"; done 2>/dev/null'
"""A shell that reads the numbers of our process groups and kills them when the stream ends, that is, when we do. A
frozen process dies of nothing else: SIGTERM waits until it thaws."""


class Program:
    """One of Aval's three programs as a process group. Start it from the main thread (`config.run.processes` says
    why)."""

    def __init__(
        self, name: str, environment: Mapping[str, str], log: Path, inherit: Sequence[int], reaper: Reaper
    ) -> None:
        self.name = name
        self.environment = dict(environment)
        self.log = log
        self.inherit = tuple(inherit)
        self.reaper = reaper
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.run", self.name],
                cwd=BASE_DIR,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=self.inherit,
                preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509  started from the main thread
            )
        assert self.reaper.stdin is not None
        self.reaper.stdin.write(f"{self.process.pid}\n")
        self.reaper.stdin.flush()

    @property
    def pid(self) -> int:
        """Its leader's process id, which is the group's."""
        assert self.process is not None
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.is_running():
            os.killpg(self.process.pid, number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """`kill -9`, of the whole group and at once."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()


class ServerProcess:
    """PostgreSQL or Valkey, all of its processes. What is killed here its keeper starts again within a second."""

    def __init__(self, handle: ServerHandle) -> None:
        self.handle = handle

    def pids(self) -> list[int]:
        return holders(self.handle.locks.server_path)

    def freeze(self) -> None:
        send(self.pids(), signal.SIGSTOP)

    def thaw(self) -> None:
        send([*self.pids(), self._watchdog_pid()], signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Killed, and not started again before the end of the block: its keeper sleeps meanwhile."""
        send([self._watchdog_pid()], signal.SIGSTOP)
        try:
            send(self.pids(), signal.SIGKILL)
            yield
        finally:
            send([self._watchdog_pid()], signal.SIGCONT)
        assert wait_until(self.handle.server.answers, 30), f"{self.handle.server.title} did not come back"

    def _watchdog_pid(self) -> int:
        return int(self.handle.locks.watchdog.read())


@contextmanager
def reaping() -> Iterator["subprocess.Popen[str]"]:
    reaper = subprocess.Popen(
        ["/bin/sh", "-c", REAPER_SCRIPT],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield reaper
    finally:
        reaper.kill()  # not by the end of its stream: the numbers may be others' by now
        reaper.communicate()
