"""CPU of the processes of a real web server."""

import os
from pathlib import Path

from config.run.processes import wait_until
from testkit.stack import Stack, free_port


def cpus_of(stack: Stack, name: str, **settings: str) -> list[set[int]]:
    """CPUs of each process of a web server with as many as there are CPUs, once all have begun to serve."""
    count = len(os.sched_getaffinity(0))
    web = stack.program("web", name, PORT=str(free_port()), WEB_WORKERS=str(count), **settings)
    with web.running():
        assert wait_until(lambda: web.log.read_text().count('"gateways"') >= count, 60), web.log
        children = Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split()
        return [os.sched_getaffinity(int(pid)) for pid in children]


def test_each_process_has_a_cpu_of_its_own(stack: Stack) -> None:
    assert sorted(map(sorted, cpus_of(stack, "web-bound"))) == [[cpu] for cpu in sorted(os.sched_getaffinity(0))]


def test_the_operator_can_leave_it_to_the_system(stack: Stack) -> None:
    every = os.sched_getaffinity(0)
    assert cpus_of(stack, "web-free", WEB_CPU_AFFINITY="off") == [every] * len(every)


def test_another_word_is_refused(stack: Stack) -> None:
    web = stack.program("web", "web-wrong", PORT=str(free_port()), WEB_CPU_AFFINITY="on")
    web.start()
    assert web.process is not None
    assert web.process.wait(30) != 0
    assert "WEB_CPU_AFFINITY must be one of auto, off, not 'on'." in web.log.read_text()
