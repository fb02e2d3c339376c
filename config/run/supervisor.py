"""Keeps a handful of child processes running until told to stop, and leaves none of them behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from config.run.processes import dying_with_us, wait_until

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
SAME_PRESS = 0.5
"""Seconds within which a second signal is the first one once more."""
GRACE = 30.0
"""Seconds that a child has to finish what it is doing: a send in flight takes less, see the gateways' deadlines."""


def say(text: str) -> None:
    """A line for the terminal. Who listened may be gone (`make run | head`), which is no reason to stop."""
    with suppress(OSError):
        os.write(1, f"{text}\n".encode())


class Child:
    """One program with a session of its own: a Ctrl-C in the terminal reaches the supervisor alone, which then stops
    its children in order, and all that a child starts can be ended as one group."""

    def __init__(
        self, name: str, command: Sequence[str], inherit: Sequence[int] = (), *, own_session: bool = True
    ) -> None:
        """Without `own_session` the child stays in our process group, and ends with it."""
        self.name = name
        self.own_session = own_session
        self.command = list(command)
        self.inherit = tuple(inherit)
        self.process: subprocess.Popen[bytes] | None = None
        self.pause = SHORTEST_PAUSE
        self.started_at = 0.0
        self.start_at = 0.0

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            start_new_session=self.own_session,
            pass_fds=self.inherit,
            preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509 (the supervisor has one thread)
        )

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look_after(self) -> None:
        """Start it again if it died: at once the first time, ever slower while it keeps dying."""
        if self.is_running():
            return
        now = time.monotonic()
        if self.process is not None:
            code = self.process.returncode
            self.end_group()
            self.process = None
            if now - self.started_at > LONGEST_PAUSE:
                self.pause = SHORTEST_PAUSE
            self.start_at = now + self.pause
            say(f"aval: {self.name} ended ({_how(code)}); starting it again in {self.pause:g} s.")
            self.pause = min(LONGEST_PAUSE, self.pause * 2)
        elif now >= self.start_at:
            self.start()

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end_group(self) -> None:
        """Kill what is left of the child: a killed leader leaves workers that would go on serving its port."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            if self.own_session:
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


class Supervisor:
    """`tick` is called between two looks at the children, about ten times a second."""

    def __init__(self, children: Sequence[Child], tick: Callable[[], None] | None = None) -> None:
        self.children = children
        self.tick = tick or (lambda: None)
        self.signals = 0
        self.last_signal = 0.0

    def listen(self) -> None:
        """From here on Ctrl-C and SIGTERM stop us in order; before, they interrupt whatever is going on."""
        signal.signal(signal.SIGINT, self._count)
        signal.signal(signal.SIGTERM, self._count)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal was closed; nohup ignores it
            signal.signal(signal.SIGHUP, self._count)

    def _count(self, *_: object) -> None:
        """One press is one signal: `make` and `timeout` hand on to us what the terminal sent us as well."""
        now = time.monotonic()
        if now - self.last_signal > SAME_PRESS:
            self.signals += 1
        self.last_signal = now

    @property
    def told_to_stop(self) -> bool:
        return self.signals > 0

    def run(self) -> None:
        while not self.told_to_stop:
            for child in self.children:
                child.look_after()
            self.tick()
            time.sleep(0.1)

    def stop(self) -> None:
        """SIGTERM to all, in order; what is still there after the grace, or at the next Ctrl-C, is killed."""
        patience = self.signals + 1
        for child in self.children:
            child.ask_to_end()
        wait_until(lambda: self._is_over(patience), GRACE)
        for child in self.children:
            if child.is_running():
                say(f"aval: {child.name} did not end in time and is killed.")
            child.end_group()

    def _is_over(self, patience: int) -> bool:
        return self.signals >= patience or not any(child.is_running() for child in self.children)
