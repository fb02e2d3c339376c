"""Supervisor that keeps child processes running until it is stopped, and leaves none behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from config.run.processes import dying_with_us, wait_until

MIN_PAUSE = 0.5
MAX_PAUSE = 10.0
DEBOUNCE_SECONDS = 0.5
"""Signals within this time count as one."""
STOP_SECONDS = 30.0
"""Seconds that a child has to finish: a send under way takes less, by the gateways' deadlines."""


def print_line(text: str) -> None:
    """Print a line. A closed pipe (`make run | head`) is no reason to stop."""
    with suppress(OSError):
        os.write(1, f"{text}\n".encode())


class Child:
    """One program in its own session. Ctrl-C in the terminal reaches the supervisor alone, which stops its children in
    order; the descendants of a child can be killed as one group."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        inherit: Sequence[int] = (),
        *,
        own_session: bool = True,
        environment: Mapping[str, str] = {},
    ) -> None:
        """Without `own_session` the child stays in our process group and ends with it. `environment`: variables beside
        our own."""
        self.name = name
        self.own_session = own_session
        self.command = list(command)
        self.inherit = tuple(inherit)
        self.environment = dict(environment)
        self.process: subprocess.Popen[bytes] | None = None
        self.pause = MIN_PAUSE
        self.started_at = 0.0
        self.start_at = 0.0

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=self.own_session,
            pass_fds=self.inherit,
            preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509  the supervisor has one thread
        )

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def restart_if_dead(self) -> None:
        """Start it again if it died, with a growing pause while it keeps dying."""
        if self.is_running():
            return
        now = time.monotonic()
        if self.process is not None:
            code = self.process.returncode
            self.end_group()
            self.process = None
            if now - self.started_at > MAX_PAUSE:
                self.pause = MIN_PAUSE
            self.start_at = now + self.pause
            print_line(f"aval: {self.name} ended ({_exit_reason(code)}); starting it again in {self.pause:g} s.")
            self.pause = min(MAX_PAUSE, self.pause * 2)
        elif now >= self.start_at:
            self.start()

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end_group(self) -> None:
        """Kill the rest of the child's group: a killed leader leaves workers that would go on serving its port."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
            if self.own_session:
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()


def _exit_reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


class Supervisor:
    """Main loop over the children; `tick` is called about ten times a second."""

    def __init__(self, children: Sequence[Child], tick: Callable[[], None] | None = None) -> None:
        self.children = children
        self.tick = tick or (lambda: None)
        self.signals = 0
        self.last_signal = 0.0

    def listen(self) -> None:
        """From now on Ctrl-C and SIGTERM cause an orderly stop; before, they interrupt the current call."""
        signal.signal(signal.SIGINT, self._count_signal)
        signal.signal(signal.SIGTERM, self._count_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal was closed; nohup ignores it
            signal.signal(signal.SIGHUP, self._count_signal)

    def _count_signal(self, *_: object) -> None:
        """Count a key press once: `make` and `timeout` forward a signal that the terminal sent us too."""
        now = time.monotonic()
        if now - self.last_signal > DEBOUNCE_SECONDS:
            self.signals += 1
        self.last_signal = now

    @property
    def stop_requested(self) -> bool:
        return self.signals > 0

    def run(self) -> None:
        while not self.stop_requested:
            for child in self.children:
                child.restart_if_dead()
            self.tick()
            time.sleep(0.1)

    def stop(self) -> None:
        """Send SIGTERM to all in order; kill those left after STOP_SECONDS or at the next Ctrl-C."""
        signals_before = self.signals + 1
        for child in self.children:
            child.ask_to_end()
        wait_until(lambda: self._has_ended(signals_before), STOP_SECONDS)
        for child in self.children:
            if child.is_running():
                print_line(f"aval: {child.name} did not end in time and is killed.")
            child.end_group()

    def _has_ended(self, signals_before: int) -> bool:
        return self.signals >= signals_before or not any(child.is_running() for child in self.children)
