"""CPU of each web process. Python runs one thread of a process at a time: on several CPUs its threads only hand their
data from the cache of one to that of another (docs/adr/0117-a-web-process-stays-on-one-cpu.md).
"""

import os

ANY = -1
"""In the place of a CPU: the process may run on each that it is allowed to."""


def cpu_of_each(processes: int) -> list[int]:
    """CPU for each of the web processes.

    They stay where they are put only if every CPU that we may use gets equally many. Otherwise one CPU could have all
    the work, ours and that of other programs that chose it in the same way, while others are idle.
    """
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if not cpus or processes % len(cpus):
        return [ANY] * processes
    return [cpus[number % len(cpus)] for number in range(processes)]


def stay_on(cpu: int) -> bool:
    """Bind this thread, and those that it starts, to the CPU. False: the system does not allow that."""
    if cpu == ANY:
        return True
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError:  # a sandbox that forbids it, or a CPU that was taken away since
        return False
    return True
