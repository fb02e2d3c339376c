"""Benchmark of a cycle (ask, deliver, verify) over HTTP beside a hand-written floor, on empty and on full tables.

Aval runs twice, over one installation: with a partner's bearer, as in production, and without one, as an open contract
2 allows.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench import history
from bench.harness import meter, place_of_code, postgres_but, running_stack, serving
from bench.load import CONNECTIONS
from bench.machine import Meter, group
from bench.partner import Partner
from bench.protocols import InformaPeru
from bench.report import table
from bench.rounds import Registered, System, run_round, settled
from testkit.stack import MASK, Stack


def run(folder: Path, options: argparse.Namespace) -> None:
    print(f"\nverify_cycle: ask + deliver + verify, {CONNECTIONS} connections; floor: two statements, no worker")
    with running_stack(folder) as stack, stack.database() as database:
        print_statements(stack)
        with ours_and_floor(stack, database) as systems:
            for rows in sorted({0, options.history}):
                if rows:
                    history.fill(database, rows)
                for system in systems:
                    system.clear()
                for _ in range(options.rounds):
                    for system in systems:
                        run_round(system, options.seconds)
                print(f"\n{rows:,} old codes" if rows else "\nempty tables")
                table("cycles/s", [system.row() for system in systems], remarks="CPU s per 1,000 cycles")


def print_statements(stack: Stack) -> None:
    stack.worker.freeze()  # the count delivers codes itself
    counts = json.loads(stack.command("bench.statements", DATABASE_URL=stack.servers.owner_url))
    stack.worker.thaw()
    print("statements, BEGIN and COMMIT included: " + ", ".join(f"{step} {n}" for step, n in counts.items()))


@contextmanager
def ours_and_floor(stack: Stack, database: psycopg.Connection) -> Iterator[tuple[System, System, System]]:
    """Aval with a partner's bearer and without, and the floor."""
    partner = Partner(stack, database)
    place = place_of_code(stack)
    with_bearer = InformaPeru(database, lambda text: text[place], partner.token)
    without = InformaPeru(database, lambda text: text[place])
    bare = InformaPeru(database, lambda text: text[: len(MASK)])
    reader = database.info.backend_pid  # of the codes: it belongs to the load generator
    theirs, of_nobody = Registered(database, partner.id), Registered(database)
    with serving("bench.floor", stack.folder / "logs" / "floor.log", stack.environment) as (port, leader):
        floor_meter = Meter({"web": lambda: group(leader), "PostgreSQL": postgres_but(stack, reader)})
        yield (
            System("aval", stack.port, with_bearer, meter(stack, reader), theirs.at_least, settled(stack)),
            System("aval, open", stack.port, without, meter(stack, reader), of_nobody.at_least, settled(stack)),
            System("floor", port, bare, floor_meter, of_nobody.at_least),
        )
