"""Threads of a web process: those that answer requests, and one that is kept for probes, whatever hangs."""

import threading
import time
from collections import deque
from typing import Any

from waitress.task import ThreadedTaskDispatcher

from external_api.probe_paths import PROBES

PATIENCE = 0.2
"""Seconds after which the kept thread takes a request that all others were too busy for: the overload guard
(`external_api.middleware.OverloadGuard`) answers 503 to it, if they hang. Under mere load none waits so long."""
CHECK_SECONDS = 0.1
"""Interval in which the kept thread looks for such requests."""
KEPT = 0
"""Number of the kept thread."""


class Dispatcher(ThreadedTaskDispatcher):
    """waitress's dispatcher, whose thread KEPT takes urgent requests, and others only after PATIENCE.

    Were it to take every request, and the overload guard to stop it, then under load almost each request would cost a
    wait and a wake-up more.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._urgent: deque[Any] = deque()
        self._is_kept_busy = False
        self._has_urgent = threading.Condition(self.lock)
        self.set_thread_count(threads + 1)

    def add_task(self, task: Any) -> None:
        if _is_urgent(task):
            self._add_urgent(task)
            return
        task.queued_at = time.monotonic()
        super().add_task(task)

    def _add_urgent(self, task: Any) -> None:
        with self.lock:
            if self._is_kept_busy or self._urgent:  # with what is slow, perhaps: whichever thread is free takes this
                task.queued_at = 0.0  # before all that are no probes
                self.queue.insert(sum(not each.queued_at for each in self.queue), task)
                self.queue_cv.notify()
            else:
                self._urgent.append(task)
                self._has_urgent.notify()

    def handler_thread(self, thread_no: int) -> None:
        if thread_no != KEPT:
            super().handler_thread(thread_no)
            return
        while (task := self._next_of_kept()) is not None:
            try:
                task.service()
            except BaseException:  # as waitress does: the thread must live
                self.logger.exception("Exception when servicing %r", task)

    def _next_of_kept(self) -> Any:
        """Wait for a task of the kept thread; None: it is told to end."""
        with self.lock:
            self._is_kept_busy = False
            while not self.stop_count:
                if self._urgent or (self.queue and time.monotonic() - self.queue[0].queued_at >= PATIENCE):
                    self._is_kept_busy = True
                    return (self._urgent or self.queue).popleft()
                self.active_count -= 1
                self._has_urgent.wait(CHECK_SECONDS)
                self.active_count += 1
            self.active_count -= 1
            self.stop_count -= 1
            self.threads.discard(KEPT)
            self.thread_exit_cv.notify()
            return None

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        with self.lock:
            self.queue.extend(self._urgent)
            self._urgent.clear()
        return bool(super().shutdown(cancel_pending, timeout))


def _is_urgent(channel: Any) -> bool:
    """Whether the connection's next request is a probe."""
    request = next(iter(channel.requests), None)
    return getattr(request, "path", "") in PROBES
