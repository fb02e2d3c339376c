"""File locks and processes that survive `kill -9` of any participant.

A pid file is wrong after a crash or a reboot. A file lock is not: the kernel drops it with the last process that has
the file open, inheriting children included.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

POLL = 0.02
"""Polling interval where the kernel offers no wait with a deadline."""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds or the seconds are over; returns whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True


class FileLock:
    """Shared or exclusive lock on a file, dropped by the kernel when its holders end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def _take(self, how: int) -> bool:
        try:
            fcntl.flock(self.fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def try_exclusive(self) -> bool:
        return self._take(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        return self._take(fcntl.LOCK_SH)

    def wait_exclusive(self, seconds: float) -> bool:
        return wait_until(self.try_exclusive, seconds)

    def release(self) -> None:
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def held_by_another(self) -> bool:
        """Whether another process holds it exclusively. Only for a lock that this process does not hold."""
        if not self.try_shared():
            return True
        self.release()
        return False

    def write(self, text: str) -> None:
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text.encode(), 0)

    def read(self) -> str:
        return os.pread(self.fd, 4096, 0).decode(errors="replace")

    def is_in_place(self) -> bool:
        """False once the folder was deleted: others would then lock another file of the same name."""
        with suppress(OSError):
            return os.stat(self.path).st_ino == os.fstat(self.fd).st_ino
        return False

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def holders(path: Path) -> list[int]:
    """Ids of other processes that have this file open."""
    if not Path("/proc/self/fd").is_dir():  # macOS, where lsof comes with the system
        listing = subprocess.run(["lsof", "-t", "--", path], capture_output=True, text=True).stdout  # noqa: PLW1510  exit 1: none
        return [int(pid) for pid in listing.split() if int(pid) != os.getpid()]
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with suppress(OSError):  # another user's, or gone in the meantime
            if any(os.readlink(each) == str(path) for each in (process / "fd").iterdir()):
                found.append(int(process.name))
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def works_in(pid: int, folder: Path) -> bool:
    """Whether a living process has this working directory. It tells PostgreSQL's processes from unrelated ones with a
    reused id."""
    if not Path("/proc/self").is_dir():
        name = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True).stdout  # noqa: PLW1510  exit 1: none
        return "postgres" in name
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def ask_for_death_signal(number: signal.Signals) -> None:
    """Have the kernel send this signal to us when our parent dies. Linux only; elsewhere nothing happens."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number))


def dying_with_us(number: signal.Signals) -> Callable[[], None]:
    """`preexec_fn` for children that must not outlive this process. Start them from the main thread: for the kernel the
    parent is the thread that started them."""
    parent = os.getpid()

    def in_the_child() -> None:
        ask_for_death_signal(number)
        if os.getppid() != parent:  # it died between fork and prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return in_the_child
