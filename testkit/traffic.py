"""Callers beside a test: threads that do the same again and again while something is changed."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from config.run.processes import wait_until

END_SECONDS = 120.0
"""Limit for what is under way when the block ends."""


class Traffic:
    """`callers` threads that call `act` until the block ends. `faults`: what it raised; the caller goes on."""

    def __init__(self, act: Callable[[], None], *, callers: int = 1, pause: float = 0.0) -> None:
        """`pause`: seconds between two calls of a caller."""
        self.faults: list[Exception] = []
        self.done = 0
        self._act = act
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(END_SECONDS)

    def goes_on(self, seconds: float = 60.0) -> None:
        """Wait until each caller is likely to have done it twice more."""
        known = self.done
        assert wait_until(lambda: self.done >= known + 2 * len(self._threads), seconds), self.faults[:3]

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._act()
            except Exception as fault:  # noqa: BLE001  kept for the test's own thread
                self.faults.append(fault)
            else:
                self.done += 1
            self._over.wait(self._pause)
