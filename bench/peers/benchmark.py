"""Benchmark of a cycle beside other systems, in turn: Aval with a partner's bearer, the floor, and each peer.

Each has the same load (clients, connections, what they wait for) and a database of the same server. What differs is in
the peers' favour: their tables are empty at the beginning of each round while ours grow, their codes are in the answer
while ours travel by queue and worker, and they log nothing. What they do not have at all, such as the ladder of waits,
an audit or a retry, ours pays for. While a peer is measured Aval keeps running without load, which costs PostgreSQL
some 5 ms a second.
"""

import argparse
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from bench.comparison import compare, markdown
from bench.harness import running_stack
from bench.load import CONNECTIONS
from bench.peers import systems
from bench.peers.install import NotInstalled
from bench.report import table
from bench.rounds import System, run_in_turn
from bench.verify_cycle import ours_and_floor

PEERS = {"better-auth": systems.better_auth, "django-phone-verify": systems.phone_verify}


def run(folder: Path, options: argparse.Namespace) -> None:
    print(f"\npeers: ask + deliver + verify, {CONNECTIONS} connections, in turn")
    with ExitStack() as stopping:
        stack = stopping.enter_context(running_stack(folder))
        database = stopping.enter_context(stack.database())
        ours, _, floor = stopping.enter_context(ours_and_floor(stack, database))
        others: list[System] = [floor]
        for name, serving_peer in PEERS.items():
            try:
                others.append(stopping.enter_context(serving_peer(stack, folder.with_name("bench-peers"))))
            except NotInstalled as fault:
                print(f"{name} is not measured: {fault}")
        run_in_turn((ours, *others), options.rounds, options.seconds)
    table("cycles/s", [*(each.row() for each in (ours, *others[1:])), floor.row()], remarks="CPU s per 1,000 cycles")
    compared = [compare(ours, each) for each in (ours, *others)]
    for each in compared[1:]:
        print(each.line())
    if options.markdown:
        print("\n" + markdown(compared, options.rounds, f"{machine.line()}, {datetime.now(UTC):%Y-%m-%d}"))
