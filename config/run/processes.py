"""Locks and processes of the embedded servers: what survives `kill -9` is told by the kernel, not by a pid file.

A pid file lies after a crash and after a reboot. A lock on a file does not: the kernel drops it with the last
process that has the file open, children that inherited it included.
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
"""Seconds between two looks at something that the kernel gives us no way to wait for with a deadline."""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look until the condition holds, or the seconds are over; answers whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True


class FileLock:
    """A lock on a file of its own, shared or exclusive, that no crash can leave behind."""

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
        """Whether somebody has it exclusively; for a lock that we do not hold ourselves."""
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
        """False once the folder was deleted under us: others would then lock another file of the same name."""
        with suppress(OSError):
            return os.stat(self.path).st_ino == os.fstat(self.fd).st_ino
        return False

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def holders(path: Path) -> list[int]:
    """The processes that have this file open, ourselves excepted."""
    if not Path("/proc/self/fd").is_dir():  # macOS, where lsof comes with the system
        listing = subprocess.run(["lsof", "-t", "--", path], capture_output=True, text=True).stdout  # noqa: PLW1510
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
    """Whether a living process has this working directory: how PostgreSQL's own processes are told from others
    that were given an old process's number."""
    if not Path("/proc/self").is_dir():
        name = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True).stdout  # noqa: PLW1510
        return "postgres" in name
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def ask_for_death_signal(number: signal.Signals) -> None:
    """Have the kernel send us this signal when our parent dies, however it dies. Linux only; elsewhere nothing."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number))


def dying_with_us(number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` for children that must not outlive this process. Start them from the main thread: the kernel
    takes the end of the starting thread for the end of the parent."""
    parent = os.getpid()

    def in_the_child() -> None:
        ask_for_death_signal(number)
        if os.getppid() != parent:  # it died between fork and prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return in_the_child
