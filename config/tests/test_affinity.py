"""CPU of each web process: as many on one as on another, or the system's choice."""

import os
import subprocess
import sys

import pytest

from config.webserver.affinity import ANY, cpu_of_each, stay_on

BOUND = "from config.webserver.affinity import stay_on; import os, threading; print(stay_on({cpu})); " + (
    "thread = threading.Thread(target=lambda: print(sorted(os.sched_getaffinity(0)))); thread.start(); thread.join()"
)


@pytest.fixture
def allowed(monkeypatch):
    return lambda cpus: monkeypatch.setattr(os, "sched_getaffinity", lambda _: cpus, raising=False)


@pytest.mark.parametrize(
    ("cpus", "processes", "expected"),
    [
        ({0, 1}, 2, [0, 1]),
        ({4, 7}, 2, [4, 7]),  # a container that may use these two
        ({0, 1}, 4, [0, 1, 0, 1]),
        ({3}, 2, [3, 3]),
        ({0, 1}, 3, [ANY] * 3),
        ({0, 1, 2, 3}, 2, [ANY] * 2),  # other programs of the same kind would choose the same two
        ({0, 1}, 1, [ANY]),
    ],
)
def test_processes_stay_where_every_cpu_has_equally_many(allowed, cpus, processes, expected):
    allowed(cpus)
    assert cpu_of_each(processes) == expected


def test_a_system_without_affinity_chooses_itself(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu_of_each(2) == [ANY, ANY]


def test_threads_stay_with_their_process():
    cpu = max(os.sched_getaffinity(0))
    run = subprocess.run([sys.executable, "-c", BOUND.format(cpu=cpu)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["True", f"[{cpu}]"]


def test_a_cpu_that_does_not_exist_binds_nobody():
    before = os.sched_getaffinity(0)
    assert not stay_on(1023)
    assert os.sched_getaffinity(0) == before
