"""Ask, deliver, verify: cycles a second over HTTP beside a hand-written floor, on empty tables and on full ones."""

import argparse
import json
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench import history
from bench.harness import meter, serving, standing
from bench.load import CONNECTIONS, Client, Load
from bench.machine import Meter, group
from bench.report import Row, share, table
from testkit.stack import MASK, Stack

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


def run(folder: Path, options: argparse.Namespace) -> None:
    print(f"\nverify_cycle: ask + deliver + verify, {CONNECTIONS} connections; floor: one statement a step, no worker")
    with ExitStack() as stopping:
        stack = stopping.enter_context(standing(folder))
        database = stopping.enter_context(stack.database())
        stack.worker.freeze()  # the count delivers by itself
        counts = json.loads(stack.command("bench.statements", DATABASE_URL=stack.servers.owner_url))
        stack.worker.thaw()
        print("statements, BEGIN and COMMIT included: " + ", ".join(f"{step} {n}" for step, n in counts.items()))
        history.prepare(database)
        clients: deque[Client] = deque()
        floor = stopping.enter_context(serving("bench.floor", stack.folder / "logs" / "floor.log", stack.environment))
        for rows in sorted({0, options.history}):
            if rows:
                history.fill(database, rows)
            systems = both(stack, floor)
            for _ in range(options.rounds):
                for system in systems:
                    one_round(system, stack, database, clients, options.seconds)
            print_table(rows, *systems)


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


def both(stack: Stack, floor: tuple[int, int]) -> tuple[System, System]:
    """With fresh counters. The floor: its port and process group."""
    asked = stack.asked()
    stack.code_soon(asked.phone)
    text = stack.sql("SELECT text FROM messaging_message WHERE recipient = %s", asked.phone)[0][0]
    port, leader = floor
    of_floor = Meter({"web": lambda: group(leader), "PostgreSQL": stack.postgres.pids})
    return System("aval", stack.port, text.index(MASK), meter(stack)), System("floor", port, 0, of_floor)


def print_table(rows: int, *systems: System) -> None:
    print(f"\n{rows:,} old codes" if rows else "\nempty tables")
    compared = [Row(system.name, system.rates, share(system.processor)) for system in systems]
    table("cycles/s", compared, remarks="CPU s per 1,000 cycles")
