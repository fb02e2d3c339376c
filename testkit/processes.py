"""Processes that a test may kill, freeze and restart, and that end with the test run in any case."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from config.embedded.stack import ServerHandle
from config.run.processes import dying_with_us, holders, send, wait_until
from config.variables import BASE_DIR

ReaperProcess = subprocess.Popen[str]
REAPER_SCRIPT = 'while read pid; do pids="$pids $pid"; done; for pid in $pids; do kill -9 "-$pid"; done 2>/dev/null'
"""Shell script that reads the ids of our process groups and kills them when the stream ends, which is when we end. A
frozen process needs SIGKILL: SIGTERM waits until it is continued."""


class Program:
    """One of Aval's programs as a process group. Start it from the main thread (see `config.run.processes`)."""

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        log: Path,
        inherit: Sequence[int],
        reaper: ReaperProcess,
        *,
        source: Path = BASE_DIR,
    ) -> None:
        self.name = name
        self.source = source
        self.environment = dict(environment)
        self.log = log
        self.inherit = tuple(inherit)
        self.reaper = reaper
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.run", self.name],
                cwd=self.source,
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
        """Process id of its leader, which is the id of the group."""
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

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Started for a block, and killed at its end."""
        self.start()
        try:
            yield self
        finally:
            self.kill()


class ServerProcess:
    """All processes of PostgreSQL or Valkey. Its watchdog restarts a killed server within a second."""

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
        """Kill the server and freeze its watchdog, so that it is not restarted before the end of the block."""
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
        reaper.kill()  # before its stream ends: the ids may belong to other processes by now
        reaper.communicate()
