"""Log handler that makes and writes lines together, in a thread of its own.

A thread that writes lets go of the interpreter, and the others that answer requests contend for it: two lines a request
cost more by that than by being made (docs/adr/0114). To make many in a row costs less than to make each amid a request
(docs/adr/0120).
"""

import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

DELAY_SECONDS = 0.1
"""Longest time that a line below WARNING waits. A warning writes all before it, and itself, at once."""
MOST_LINES = 10_000
"""Lines that may wait. Above, whoever logs waits for the reader of standard error, as with Python's own handler."""
WRITE_BYTES = 4096
"""Longest write of several lines: a pipe keeps one of this size whole (PIPE_BUF), whoever else writes to it."""
_OWN_FIELDS = len(logging.makeLogRecord({}).__dict__)
"""Number of a record's attributes before those that a caller gives by `extra`."""
_UNCHANGING = frozenset((str, int, float, bool, type(None), UUID, datetime))
"""Types of values that nobody can change. A subclass may be another thing, such as a text that is translated late."""


class LogWriter(logging.StreamHandler[Any]):
    """Handler for standard error. A process that is killed loses its last DELAY_SECONDS; one that ends loses none."""

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream)
        self._lines: deque[str | logging.LogRecord] = deque()
        self._writing = threading.RLock()
        self._has_lines = threading.Event()
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._begin_anew)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(record if _may_wait(record) else self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or len(self._lines) > MOST_LINES:
                self.flush()
            elif not self._has_lines.is_set():
                self._wake()
        except Exception:  # noqa: BLE001  as in Python's own handlers: a log line fails no request
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits. Raises what the stream raises."""
        with self._writing:
            while self._lines:
                self.stream.write(self._next_write())
                self.stream.flush()

    def _next_write(self) -> str:
        """The first line, and as many after it as fit into one write."""
        found: list[str] = []
        size = 0
        with suppress(IndexError):  # a signal's handler may write the rest meanwhile
            while self._lines:
                line = self._text(self._lines.popleft())
                size += len(line.encode(errors="replace"))
                if found and size > WRITE_BYTES:
                    self._lines.appendleft(line)
                    break
                found.append(line)
        return "".join(found)

    def _text(self, line: str | logging.LogRecord) -> str:
        if isinstance(line, str):
            return line
        try:
            return self.format(line) + self.terminator
        except Exception:  # noqa: BLE001  as in `emit`
            self.handleError(line)
            return ""

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
        self._has_lines.set()

    def _run(self) -> None:
        while True:
            self._has_lines.wait()
            time.sleep(DELAY_SECONDS)
            self._has_lines.clear()  # before the lines are taken: one that comes now wakes the thread again
            try:
                self.flush()
            except Exception as fault:  # noqa: BLE001  the next lines may find a reader again
                self.handleError(logging.makeLogRecord({"msg": "lines could not be written", "args": (repr(fault),)}))

    def _begin_anew(self) -> None:
        """In a process that was forked: its parent writes what waits, and the thread is the parent's."""
        self._lines.clear()
        self._writing = threading.RLock()
        self._has_lines = threading.Event()
        self._thread = None


def _may_wait(record: logging.LogRecord) -> bool:
    """Whether the line of this record can be made later, in another thread.

    Arguments and other values may change until then, and the text of a fault is masked by the values of the request
    that logs.
    """
    if record.args or record.exc_info or record.levelno >= logging.WARNING or hasattr(record, "fault"):
        return False
    values = islice(record.__dict__.values(), _OWN_FIELDS, None)
    return type(record.msg) is str and all(type(value) in _UNCHANGING for value in values)
