"""Benchmark of a cycle (ask, deliver, verify) over HTTP beside a hand-written floor, on empty and on full tables.

Aval runs twice over each installation: with a partner's bearer, as in production, and without one, as an open contract
2 allows. The two installations are measured in turn, round by round: a shared machine is not as fast now as a minute
ago. The one that is not measured keeps running without load.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import psycopg

from bench import history
from bench.harness import meter, place_of_code, postgres_but, running_stack, serving
from bench.load import CONNECTIONS
from bench.machine import Meter, group
from bench.partner import Partner
from bench.protocols import InformaPeru
from bench.report import ratios, spread, table
from bench.rounds import Registered, System, run_in_turn, settled
from testkit.stack import MASK, Stack

Systems = tuple[System, System, System]
"""Aval with a partner's bearer, Aval without, and the floor."""


def run(folder: Path, options: argparse.Namespace) -> None:
    print(f"\nverify_cycle: ask + deliver + verify, {CONNECTIONS} connections; floor: two statements, no worker")
    with ExitStack() as stopping:
        measured = {0: stopping.enter_context(_installation(folder, 0))}
        if options.history:
            place = folder.with_name(f"{folder.name}-history")
            measured[options.history] = stopping.enter_context(_installation(place, options.history))
        pairs = zip(*measured.values(), strict=True)  # the same system over each installation
        run_in_turn(list(chain.from_iterable(pairs)), options.rounds, options.seconds, alternate=True)
    for rows, systems in measured.items():
        print(f"\n{rows:,} old codes" if rows else "\nempty tables")
        table("cycles/s", [system.row() for system in systems], remarks="CPU s per 1,000 cycles")
        if rows:
            print(f"\n{rows:,} old codes against empty tables, cycles/s of the same round")
            for line in against(systems, measured[0]):
                print(line)


def against(systems: Sequence[System], others: Sequence[System]) -> Iterator[str]:
    """For each system a line with the ratios of its cycles/s to those of the other of the same round."""
    for system, other in zip(systems, others, strict=True):
        yield f"{system.name:16}{spread(ratios(system.rates, other.rates), 2):>24}"


@contextmanager
def _installation(folder: Path, rows: int) -> Iterator[Systems]:
    """The systems over an installation of their own with so many old codes."""
    with running_stack(folder) as stack, stack.database() as database:
        if not rows:
            print_statements(stack)
        with ours_and_floor(stack, database) as systems:
            if rows:
                history.fill(database, rows)
            yield systems


def print_statements(stack: Stack) -> None:
    stack.worker.freeze()  # the count delivers codes itself
    counts = json.loads(stack.command("bench.statements", DATABASE_URL=stack.servers.owner_url))
    stack.worker.thaw()
    print("statements, BEGIN and COMMIT included: " + ", ".join(f"{step} {n}" for step, n in counts.items()))


@contextmanager
def ours_and_floor(stack: Stack, database: psycopg.Connection) -> Iterator[Systems]:
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
