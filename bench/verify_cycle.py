"""Benchmark of a cycle (ask, deliver, verify) over HTTP beside a hand-written floor, on empty and on full tables."""

import argparse
import json
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench import history
from bench.harness import meter, running_stack, serving
from bench.load import CONNECTIONS, Client, Load
from bench.machine import Meter, group
from bench.report import Row, share, table
from testkit.stack import MASK, Stack

WARM_UP = 1.5
"""Seconds of warm-up before each round, until the pipeline is full."""
MAX_CYCLES_PER_SECOND = 3000
"""Clients are registered for this rate, which no system reaches."""


@dataclass
class System:
    """One of the two compared systems and the results of its rounds."""

    name: str
    port: int
    prefix: int
    """Length of the text before the code."""
    meter: Meter
    rates: list[float] = field(default_factory=list)
    processor: list[dict[str, float]] = field(default_factory=list)

    def code_at(self, text: str) -> str:
        return text[self.prefix : self.prefix + len(MASK)]


def run(folder: Path, options: argparse.Namespace) -> None:
    print(f"\nverify_cycle: ask + deliver + verify, {CONNECTIONS} connections; floor: one statement a step, no worker")
    with ExitStack() as stopping:
        stack = stopping.enter_context(running_stack(folder))
        database = stopping.enter_context(stack.database())
        stack.worker.freeze()  # the count delivers codes itself
        counts = json.loads(stack.command("bench.statements", DATABASE_URL=stack.servers.owner_url))
        stack.worker.thaw()
        print("statements, BEGIN and COMMIT included: " + ", ".join(f"{step} {n}" for step, n in counts.items()))
        history.prepare(database)
        clients: deque[Client] = deque()
        floor = stopping.enter_context(serving("bench.floor", stack.folder / "logs" / "floor.log", stack.environment))
        for rows in sorted({0, options.history}):
            if rows:
                history.fill(database, rows)
            systems = make_systems(stack, floor)
            for _ in range(options.rounds):
                for system in systems:
                    run_round(system, stack, database, clients, options.seconds)
            print_table(rows, *systems)


def run_round(
    system: System, stack: Stack, database: psycopg.Connection, clients: deque[Client], seconds: float
) -> None:
    wanted = int(MAX_CYCLES_PER_SECOND * (WARM_UP + seconds))
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
        time.sleep(0.05)  # so that the other system's round begins with an empty queue


def make_systems(stack: Stack, floor: tuple[int, int]) -> tuple[System, System]:
    """Both systems with fresh counters. `floor` is its port and process group."""
    asked = stack.asked()
    stack.code_soon(asked.phone)
    text = stack.sql("SELECT text FROM messaging_message WHERE recipient = %s", asked.phone)[0][0]
    port, leader = floor
    floor_meter = Meter({"web": lambda: group(leader), "PostgreSQL": stack.postgres.pids})
    return System("aval", stack.port, text.index(MASK), meter(stack)), System("floor", port, 0, floor_meter)


def print_table(rows: int, *systems: System) -> None:
    print(f"\n{rows:,} old codes" if rows else "\nempty tables")
    compared = [Row(system.name, system.rates, share(system.processor)) for system in systems]
    table("cycles/s", compared, remarks="CPU s per 1,000 cycles")
