"""Ask, deliver, verify: cycles a second over HTTP beside a hand-written floor, on empty tables and on full ones."""

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg

from bench import history
from bench.load import CONNECTIONS, Client, Load
from bench.machine import Meter, group
from config.environment import BASE_DIR
from config.processes import dying_with_us, wait_until
from tests.stack import MASK, Stack, free_port, running

WARM_UP = 1.5
"""Seconds before each round is counted: the pipeline fills."""
FASTEST = 3000
"""Cycles a second that clients are registered for; nobody comes near."""


@dataclass
class System:
    """One of the two that are compared, and what its rounds gave."""

    name: str
    port: int
    prefix: int
    """Length of the text before the code."""
    meter: Meter
    rates: list[float] = field(default_factory=list)
    processor: list[dict[str, float]] = field(default_factory=list)

    def code_at(self, text: str) -> str:
        return text[self.prefix : self.prefix + len(MASK)]


class Floor(NamedTuple):
    """Where the floor is served, and by which process group."""

    port: int
    pid: int


def run(folder: Path, options: argparse.Namespace) -> None:
    print(f"\nverify_cycle: ask + deliver + verify, {CONNECTIONS} connections; floor: one statement a step, no worker")
    with ExitStack() as stopping:
        stack = stopping.enter_context(running(folder, LOG_LEVEL="INFO"))
        database = stopping.enter_context(stack.database())
        stack.worker.freeze()  # the count delivers by itself
        counts = json.loads(stack.command("bench.statements"))
        stack.worker.thaw()
        print("statements, BEGIN and COMMIT included: " + ", ".join(f"{step} {n}" for step, n in counts.items()))
        history.prepare(database)
        clients: deque[Client] = deque()
        floor = stopping.enter_context(serving_the_floor(stack))
        for rows in sorted({0, options.history}):
            if rows:
                history.fill(database, rows)
            systems = both(stack, floor)
            for _ in range(options.rounds):
                for system in systems:
                    one_round(system, stack, database, clients, options.seconds)
            table(rows, *systems)


def one_round(
    system: System, stack: Stack, database: psycopg.Connection, clients: deque[Client], seconds: float
) -> None:
    wanted = int(FASTEST * (WARM_UP + seconds))
    if len(clients) < wanted:
        clients.extend(history.register(database, wanted))
        history.tidy(database)
    load = Load(system.port, clients, database, system.code_at)
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
    while stack.sql("SELECT FROM messaging_message WHERE state IN ('QUEUED', 'SENDING') LIMIT 1"):
        time.sleep(0.05)  # what was asked for and not answered: the other one's round begins without it


def both(stack: Stack, floor: Floor) -> tuple[System, System]:
    """With fresh counters. Process ids are looked up each time: PostgreSQL's come and go."""
    asked = stack.asked()
    stack.code_soon(asked.phone)
    text = stack.sql("SELECT text FROM messaging_message WHERE recipient = %s", asked.phone)[0][0]
    ours = {
        "web": lambda: group(stack.web.pid),
        "worker": lambda: group(stack.worker.pid),
        "PostgreSQL": stack.postgres.pids,
        "Valkey": stack.redis.pids,
    }
    of_floor = {"web": lambda: group(floor.pid), "PostgreSQL": stack.postgres.pids}
    return (
        System("aval", stack.port, text.index(MASK), Meter(ours)),
        System("floor", floor.port, 0, Meter(of_floor)),
    )


@contextmanager
def serving_the_floor(stack: Stack) -> Iterator[Floor]:
    """The floor on a port of its own, with the stack's database and the web server's own command line."""
    port = free_port()
    with (stack.folder / "logs" / "floor.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.floor"],
            cwd=BASE_DIR,
            env={**stack.environment, "PORT": str(port)},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509
        )
    try:
        assert wait_until(lambda: is_open(port), 20), f"the floor does not answer: see {log.name}"
        yield Floor(port, server.pid)
    finally:
        server.terminate()
        server.wait(30)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def table(rows: int, ours: System, floor: System) -> None:
    print(f"\n{rows:,} old codes" if rows else "\nempty tables")
    print(f"{'':7}{'cycles/s':>24}{'ratio to floor':>24}   CPU s per 1,000 cycles")
    ratios = [a / b for a, b in zip(ours.rates, floor.rates, strict=True)]
    for system, ratio in ((ours, ratios), (floor, [1.0])):
        used = {name: median(each[name] for each in system.processor) for name in system.processor[0]}
        share = ", ".join(f"{name} {seconds:.2f}" for name, seconds in used.items())
        print(f"{system.name:7}{spread(system.rates, 0):>24}{spread(ratio, 2):>24}   {share}")
    print(f"{'':7}(least / median / most of {len(ratios)} rounds in turn)")


def spread(values: list[float], digits: int) -> str:
    return " / ".join(f"{each:.{digits}f}" for each in (min(values), median(values), max(values)))
