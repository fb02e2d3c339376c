"""Heartbeats: files that say when a process last did its work. `config.run health` reads them.

A process that is there may be frozen, or wait for ever. So the file has the time of its last round or task, not of its
start. Each process holds a lock on its file, which the kernel drops with the process: what a killed one left behind is
told from a live one without its id, and several processes of a program have a file each.

Plain Python: what checks the health runs every few seconds and must not load Django.
"""

import atexit
import fcntl
import json
import logging
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

log = logging.getLogger(__name__)

WRITE_SECONDS = 1.0
"""A file is written at most this often."""
_BYTES = 2048
"""Length of a file. It is always written whole, so that a reader never sees half of an old text."""


@dataclass(frozen=True)
class State:
    """What a process has said: for each kind of work the time it was last done, and since when its oldest task runs.

    Times are of the monotonic clock, which all processes of a machine share and which nobody sets.
    """

    pid: int
    done: dict[str, float]
    busy_since: float | None


class Heartbeat:
    """The file of this process. A folder that cannot be written is logged; it ends no process."""

    def __init__(self, folder: Path, program: str, kinds: Iterable[str]) -> None:
        now = time.monotonic()
        self._done = dict.fromkeys(kinds, now)
        self._running: dict[str, float] = {}
        self._lock = Lock()
        self._next_write = 0.0
        self._fd = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(folder)
            self.path = folder / f"{program}.{os.getpid()}.{secrets.token_hex(3)}"
            self._fd = _open_locked(self.path)
            self._write(now)
        except OSError as fault:
            log.warning("no heartbeat can be written", extra={"fault": repr(fault)[:200], "program": program})

    def did(self, kind: str) -> None:
        """Note that this kind of work has just been done. Kinds that were not named at the start are ignored."""
        now = time.monotonic()
        with self._lock:
            if kind in self._done:
                self._done[kind] = now
                if now >= self._next_write:
                    self._write(now)

    def began(self, task: str) -> None:
        with self._lock:
            self._running[task] = time.monotonic()

    def ended(self, task: str) -> None:
        with self._lock:
            self._running.pop(task, None)

    def _write(self, now: float) -> None:
        if self._fd < 0:
            return
        self._next_write = now + WRITE_SECONDS
        state = {"pid": os.getpid(), "done": self._done, "busy_since": min(self._running.values(), default=None)}
        try:
            os.pwrite(self._fd, json.dumps(state).encode().ljust(_BYTES), 0)
        except OSError as fault:  # a full disk: the file grows old, which the health says
            log.warning("no heartbeat can be written", extra={"fault": repr(fault)[:200]})

    def close(self) -> None:
        if self._fd >= 0:
            with suppress(OSError):
                self.path.unlink()
            os.close(self._fd)
            self._fd = -1


_mine: Heartbeat | None = None


def start(folder: Path, program: str, *kinds: str) -> None:
    """Begin the heartbeat of this process. Each of these kinds of work must then be done again and again."""
    global _mine  # noqa: PLW0603  one file for a process, whatever thread works
    _mine = Heartbeat(folder, program, kinds)
    atexit.register(_mine.close)


def did(kind: str) -> None:
    """Note work of this process; without `start` nothing happens (tests, commands)."""
    if _mine is not None:
        _mine.did(kind)


def began(task: str) -> None:
    if _mine is not None:
        _mine.began(task)


def ended(task: str) -> None:
    if _mine is not None:
        _mine.ended(task)


# --- reading ---


def live(folder: Path, program: str) -> list[State]:
    """States of all live processes of a program."""
    return [_read(path) for path in sorted(folder.glob(f"{program}.*")) if _is_held(path)]


def remove_abandoned(folder: Path) -> None:
    """Remove the files of processes that were killed."""
    for path in folder.iterdir():
        with suppress(OSError):  # another user's
            if not _is_held(path):
                path.unlink()


def _open_locked(path: Path) -> int:
    """A new file, locked. Made again where a reader took it for abandoned before it was locked."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(os.stat(path), os.fstat(fd)):
            return fd
        os.close(fd)


def _is_held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _read(path: Path) -> State:
    state = next(filter(None, _tries(path)), None)
    if state is None:
        raise ValueError(f"{path} is not a heartbeat.")
    return state


def _tries(path: Path) -> Iterator[State | None]:
    """The file's state; None while it is being written for the first time."""
    for _ in range(20):
        try:
            yield State(**json.loads(path.read_bytes()))
        except ValueError:
            time.sleep(0.02)
            yield None
