"""Description of the machine, and processor time and memory of processes."""

import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from config.embedded.servers import PostgreSQL

_TICKS = os.sysconf("SC_CLK_TCK")


def line() -> str:
    """Cores, memory and versions; nothing that names the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    binary = PostgreSQL(Path(), Path()).bin / "postgres"
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}, PostgreSQL {version}"
    )


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor seconds of these processes and of their ended children, such as PostgreSQL's sessions."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):  # it just ended: its time is counted with its parent
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(each) for each in fields[11:15])
    return ticks / _TICKS


def group(leader: int) -> list[int]:
    """The processes of a process group."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == leader:
                    found.append(int(path.name))
    return found


def memory(pids: Iterable[int]) -> tuple[int, int]:
    """Bytes of these processes: resident (shared pages count in each), and proportional (shared pages are divided)."""
    resident = proportional = 0
    for pid in pids:
        with suppress(OSError):  # it just ended
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    resident += int(line.split()[1]) * 1024
                elif line.startswith("Pss:"):
                    proportional += int(line.split()[1]) * 1024
    return resident, proportional


class Meter:
    """Processor seconds by name between `start` and `stop`."""

    def __init__(self, pids_of: Mapping[str, Callable[[], Iterable[int]]]) -> None:
        self.pids_of = pids_of
        self.before: dict[str, float] = {}

    def start(self) -> None:
        self.before = self._read()

    def stop(self) -> dict[str, float]:
        return {name: seconds - self.before[name] for name, seconds in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: processor_seconds(pids()) for name, pids in self.pids_of.items()}


class Peak:
    """Memory growth of processes from now on, by the kernel's high-water marks."""

    def __init__(self, pids: Iterable[int]) -> None:
        self.before = {}
        for pid in pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets the mark to the resident size
            self.before[pid] = _resident(pid)

    def growth(self) -> int:
        """Growth in bytes of the process that grew most."""
        return max(_resident(pid, "VmHWM") - before for pid, before in self.before.items())

    def highest(self) -> int:
        """Largest size in bytes of any of the processes."""
        return max(_resident(pid, "VmHWM") for pid in self.before)


def _resident(pid: int, which: str = "VmRSS") -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no {which}")
