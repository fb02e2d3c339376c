"""Rounds of load, in turn over several systems: cycles a second, and processor seconds of each system's processes."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import psycopg

from bench import history
from bench.load import Load
from bench.machine import Meter
from bench.protocols import Client, Protocol
from bench.report import Row, share
from testkit.stack import Stack

WARM_UP = 1.5
"""Seconds of warm-up before each round, until the pipeline is full."""
MAX_CYCLES_PER_SECOND = 3000
"""Clients are registered for this rate, which no system reaches."""

Used = dict[str, float]
"""Processor seconds by the name of a process."""


class Registered:
    """Clients that are registered by SQL: of a partner, or of nobody."""

    def __init__(self, database: "psycopg.Connection", partner: int | None = None) -> None:
        self.database, self.partner = database, partner
        self.left: deque[Client] = deque()

    def at_least(self, count: int) -> deque[Client]:
        if len(self.left) < count:
            self.left.extend(history.register(self.database, count, self.partner))
            history.tidy(self.database)
        return self.left


@dataclass
class System:
    """One of the compared systems and the results of its rounds."""

    name: str
    port: int
    protocol: Protocol
    meter: Meter
    clients: Callable[[int], deque[Client]]
    """At least so many clients who have not asked yet; called before each round."""
    settle: Callable[[], None] = lambda: None
    """Wait after a round until nothing is left to do, so that the next one begins with an empty queue."""
    rates: list[float] = field(default_factory=list)
    """Cycles a second, of each round."""
    processor: list[Used] = field(default_factory=list)
    """Processor seconds per 1,000 cycles, of each round."""

    @property
    def costs(self) -> list[float]:
        """Processor seconds of all processes per 1,000 cycles, of each round."""
        return [sum(used.values()) for used in self.processor]

    def clear(self) -> None:
        """Forget the results so far."""
        self.rates.clear()
        self.processor.clear()

    def row(self) -> Row:
        return Row(self.name, self.rates, f"{median(self.costs):.2f} ({share(self.processor)})")


def run_round(system: System, seconds: float) -> None:
    load = Load(system.port, system.clients(int(MAX_CYCLES_PER_SECOND * (WARM_UP + seconds))), system.protocol)
    load.run(WARM_UP)
    system.meter.start()
    began = time.monotonic()
    counted = load.run(seconds)
    took = time.monotonic() - began
    used = system.meter.stop()
    load.close()
    assert counted.cycles, f"{system.name} completed nothing: {counted.refused[:1]}"
    if counted.refused:
        print(f"{system.name}: {len(counted.refused)} refused, such as {counted.refused[0]}")
    system.rates.append(counted.cycles / took)
    system.processor.append({name: used[name] / counted.cycles * 1000 for name in used})
    system.settle()


def run_in_turn(systems: Sequence[System], rounds: int, seconds: float, *, alternate: bool = False) -> None:
    """Rounds of all systems in turn, after one that does not count: it fills caches, gives statistics to tables that
    were empty, and lets Node.js compile.

    With `alternate` every second round has the opposite order, so that neither of two neighbours is always the first.
    """
    for nth in range(-1, rounds):
        for system in reversed(systems) if alternate and nth % 2 == 0 else systems:
            run_round(system, seconds)
            if nth < 0:
                system.clear()


def settled(stack: Stack) -> Callable[[], None]:
    """Wait until the queue is empty."""

    def settle() -> None:
        while stack.sql("SELECT FROM messaging_message WHERE state IN ('QUEUED', 'SENDING') LIMIT 1"):
            time.sleep(0.05)

    return settle
