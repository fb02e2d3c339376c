"""Supervisor: children are restarted when they die, killed as a group, and waited for within limits."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from config.run import supervisor
from config.run.supervisor import Child, Supervisor
from config.tests.conftest import processes_of, soon


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(supervisor, "MIN_PAUSE", 0.01)


def shell(script: str, data: Path) -> Child:
    """A child whose command line names the data folder."""
    return Child("test", ["sh", "-c", f": {data}; {script}"])


def test_a_child_that_keeps_dying_is_started_ever_more_slowly(data, capfd):
    child = shell("exit 3", data)
    child.start()
    soon(lambda: child.restart_if_dead() or child.pause >= 0.16)
    child.end_group()
    assert capfd.readouterr().out.splitlines() == [
        f"aval: test ended (exit code 3); starting it again in {pause} s." for pause in ("0.01", "0.02", "0.04", "0.08")
    ]


def test_what_a_killed_child_started_is_killed_before_it_is_started_again(data):
    child = shell(f"sleep 60 & echo $! > {data}/pid; wait", data)
    child.start()
    soon(lambda: (data / "pid").read_text().strip())
    grandchild = int((data / "pid").read_text())
    os.kill(child.process.pid, signal.SIGKILL)
    soon(lambda: not child.is_running())
    child.restart_if_dead()

    def is_gone() -> bool:
        """A zombie counts: it waits for a parent that is none of ours."""
        try:
            os.kill(grandchild, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{grandchild}/stat").read_text().split()[2] == "Z"

    soon(is_gone)


def test_a_stop_asks_first_and_the_next_ctrl_c_hurries(data):
    polite = Child("polite", ["sleep", "60"])
    stubborn = shell(f"trap '' TERM; touch {data}/ready; while :; do sleep 1; done", data)
    running = Supervisor([polite, stubborn])
    for child in running.children:
        child.start()
    soon((data / "ready").exists)
    running.signals = 1
    hurry = threading.Timer(0.2, running._count_signal)
    hurry.start()
    began = time.monotonic()
    running.stop()
    hurry.join()
    assert time.monotonic() - began < 5
    assert [child.process.returncode for child in running.children] == [-signal.SIGTERM, -signal.SIGKILL]
    assert processes_of(data) == {}
