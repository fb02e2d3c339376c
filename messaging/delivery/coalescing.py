"""Coalescing of calls: while a function runs, further calls of it are answered by one more run."""

from collections.abc import Callable
from threading import Lock


class Coalesced:
    """A function that runs in one thread of the process at a time.

    A call while it runs returns at once, and the thread that runs it then runs it once more: what that caller knew of
    is seen by a run that began after its call. Raises what the last run that failed raised, to the caller whose thread
    ran it, after the runs that were asked for meanwhile.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._lock = Lock()
        self._is_running = self._is_asked = False

    def __call__(self) -> None:
        with self._lock:
            self._is_asked = True
            if self._is_running:
                return
            self._is_running = True
        fault: Exception | None = None
        try:
            while self._begin():
                try:
                    self._function()
                except Exception as exc:  # noqa: BLE001  raised below
                    fault = exc
        except BaseException:  # of a process that ends
            self._is_running = False
            raise
        if fault is not None:
            raise fault

    def _begin(self) -> bool:
        """Take what was asked for; False: nothing was, and nothing runs from now on."""
        with self._lock:
            self._is_running, self._is_asked = self._is_asked, False
            return self._is_running
