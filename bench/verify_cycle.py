"""Benchmark of a cycle (ask, deliver, verify) over HTTP beside a hand-written floor, on empty and on full tables.

Aval runs twice over each installation: with a partner's bearer, as in production, and without one, as an open contract
2 allows. The two installations are measured in turn, round by round: a shared machine is not as fast now as a minute
ago. The one that is not measured keeps running without load.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from bench import history
from bench.harness import meter, place_of_code, postgres_but, running_stack, serving
from bench.load import CONNECTIONS
from bench.machine import Meter, group
from bench.partner import Partner
from bench.protocols import InformaPeru
from bench.report import spread, table
from bench.rounds import Registered, System, run_round, settled
from testkit.stack import MASK, Stack

Systems = tuple[System, System, System]
"""Aval with a partner's bearer, Aval without, and the floor."""


def run(folder: Path, options: argparse.Namespace) -> None:
    print(f"\nverify_cycle: ask + deliver + verify, {CONNECTIONS} connections; floor: two statements, no worker")
    with ExitStack() as stopping:
        measured = [
            (rows, stopping.enter_context(_installation(place, rows)))
            for rows, place in {0: folder, options.history: folder.with_name(f"{folder.name}-history")}.items()
        ]
        for nth in range(-1, options.rounds):
            in_turn = [each for systems in zip(*(systems for _, systems in measured), strict=True) for each in systems]
            for system in in_turn if nth % 2 else reversed(in_turn):
                run_round(system, options.seconds)
                if nth < 0:  # for caches, and for statistics of tables that were empty
                    system.clear()
    for rows, systems in measured:
        print(f"\n{rows:,} old codes" if rows else "\nempty tables")
        table("cycles/s", [system.row() for system in systems], remarks="CPU s per 1,000 cycles")
    (_, empty), *others = measured
    for rows, full in others:
        print(f"\n{rows:,} old codes against empty tables, cycles/s of the same round")
        for line in against(full, empty):
            print(line)


def against(systems: Sequence[System], others: Sequence[System]) -> Iterator[str]:
    """For each system a line with the ratios of its cycles/s to those of the other of the same round."""
    for system, other in zip(systems, others, strict=True):
        ratios = [ours / theirs for ours, theirs in zip(system.rates, other.rates, strict=True)]
        yield f"{system.name:16}{spread(ratios, 2):>24}"


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
