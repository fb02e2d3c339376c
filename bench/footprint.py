"""Benchmark `sizes`: what an installation takes, for an operator to size by (docs/sizing.md).

Connections to PostgreSQL, memory and processor time of each program, at rest and under the load of `cycle`; and the
bytes that a verification adds to each table and index, after VACUUM, over two stretches of the load: where both agree,
the tables grow in proportion.
"""

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg

from bench import history
from bench.harness import place_of_code, postgres_but, running_stack
from bench.load import CONNECTIONS, Load
from bench.machine import Meter, group, memory
from bench.partner import Partner
from bench.protocols import Client, InformaPeru
from bench.rounds import Registered
from config.run.programs import MOST_CONNECTIONS
from testkit.processes import Program
from testkit.stack import Stack, free_port

OTHERS = ("bulk", "webhooks", "metrics")
"""Programs that a stack does not start by itself."""
REST_SECONDS = 15.0
STRETCH = 4
"""A stretch of load is so many times as long as the rounds of `cycle`."""
MOST_CYCLES_PER_SECOND = 500
"""Clients are registered for this rate."""
SAMPLE_SECONDS = 0.1
MILLIONS = (1, 10, 100)

CONNECTED = """
SELECT application_name, count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name LIKE 'aval-%' GROUP BY 1
"""
SIZES = """
SELECT owner.relname, each.relname, pg_relation_size(each.oid)
FROM pg_class AS each
LEFT JOIN pg_index ON pg_index.indexrelid = each.oid
JOIN pg_class AS owner ON owner.oid = coalesce(pg_index.indrelid, each.oid)
WHERE each.relnamespace = 'public'::regnamespace AND each.relkind IN ('r', 'i')
  AND owner.relname <> 'messaging_sandboxmessage'
"""
"""Bytes of each table and index, without the sandbox's outbox, which production has not."""
UPDATES = "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE n_tup_upd > 0"

Sizes = dict[tuple[str, str], int]
"""Bytes by table, and by table or index of it."""


def run(folder: Path, options: argparse.Namespace) -> None:
    seconds = STRETCH * options.rounds * options.seconds
    print(f"\nsizes: at rest, and under the load of cycle: {CONNECTIONS} connections, two stretches of {seconds:.0f} s")
    with ExitStack() as stopping:
        stack = stopping.enter_context(running_stack(folder, METRICS_PORT=str(free_port())))
        database = stopping.enter_context(stack.database())
        programs = stopping.enter_context(_all_programs(stack))
        clients, protocol = _clients(stack, database, seconds)
        rest = _use(stack, database, programs, lambda: time.sleep(REST_SECONDS))
        print_use("at rest", rest, per=rest.seconds, unit="% of a core", factor=100)
        stretches = []
        for _ in range(2):
            load = Load(stack.port, clients, protocol)  # here: an idle connection is closed
            stretches.append(_stretch(stack, database, programs, load, seconds))
    for nth, stretch in enumerate(stretches):
        title = f"stretch {nth + 1}: {stretch.cycles:,} verifications, {stretch.cycles / seconds:.0f} a second"
        print_use(title, stretch.use, per=stretch.cycles, unit="CPU s per 1,000", factor=1_000)
    print_growth(stretches)


@dataclass
class Use:
    """What the programs used in some time."""

    seconds: float
    processor: Mapping[str, float]
    """Seconds of each."""
    memory: Mapping[str, tuple[int, int]]
    """Resident and proportional bytes of each at the end."""
    connections: Mapping[str, int]
    """Most of each."""
    connections_together: int
    """Most of all at one moment."""


@dataclass
class Stretch:
    cycles: int
    use: Use
    growth: Sizes
    updates: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Updated rows of each table, and those of them without new index entries (HOT)."""


@contextmanager
def _all_programs(stack: Stack) -> Iterator[list[Program]]:
    with ExitStack() as stopping:
        others = [stopping.enter_context(stack.program(name).running()) for name in OTHERS]
        yield [*stack.programs, *others]


def _clients(stack: Stack, database: "psycopg.Connection[Any]", seconds: float) -> tuple[deque[Client], InformaPeru]:
    """Clients of a partner who have not asked yet, and how they ask."""
    partner = Partner(stack, database)
    place = place_of_code(stack)
    registered = Registered(database, partner.id)
    clients = registered.at_least(int(2 * MOST_CYCLES_PER_SECOND * seconds))
    return clients, InformaPeru(database, lambda text: text[place], partner.token)


def _stretch(
    stack: Stack, database: "psycopg.Connection[Any]", programs: list[Program], load: Load, seconds: float
) -> Stretch:
    before, updated = _sizes(database), _updates(database)
    counts = []
    use = _use(stack, database, programs, lambda: counts.append(load.run(seconds)))
    load.close()
    assert not counts[0].refused, counts[0].refused[0]
    time.sleep(SAMPLE_SECONDS)
    history.tidy(database)
    growth = {key: size - before.get(key, 0) for key, size in _sizes(database).items()}
    changes = {
        table: (all_ - updated.get(table, (0, 0))[0], hot - updated.get(table, (0, 0))[1])
        for table, (all_, hot) in _updates(database).items()
    }
    return Stretch(counts[0].cycles, use, growth, changes)


def _use(stack: Stack, database: "psycopg.Connection[Any]", programs: list[Program], act: Callable[[], object]) -> Use:
    ours = database.info.backend_pid
    found: dict[str, Callable[[], Iterable[int]]] = {each.name: partial(group, each.pid) for each in programs}
    found |= {"PostgreSQL": postgres_but(stack, ours), "Valkey": stack.redis.pids}
    meter, together = Meter(found), 0
    most: dict[str, int] = {}
    stop = Event()

    def sample() -> None:
        nonlocal together
        with stack.database() as own:
            while not stop.wait(SAMPLE_SECONDS):
                rows = dict(own.execute(CONNECTED).fetchall())
                together = max(together, sum(rows.values()))
                most.update({name: max(count, most.get(name, 0)) for name, count in rows.items()})

    sampler = Thread(target=sample)
    sampler.start()
    try:
        began = time.monotonic()
        meter.start()
        act()
        used, seconds = meter.stop(), time.monotonic() - began
    finally:
        stop.set()
        sampler.join()
    connections = {name.removeprefix("aval-"): count for name, count in most.items()}
    return Use(seconds, used, {name: memory(pids()) for name, pids in found.items()}, connections, together)


def _sizes(database: "psycopg.Connection[Any]") -> Sizes:
    return {(table, name): size for table, name, size in database.execute(SIZES).fetchall()}


def _updates(database: "psycopg.Connection[Any]") -> dict[str, tuple[int, int]]:
    database.execute("SELECT pg_stat_clear_snapshot()")
    return {table: (every, hot) for table, every, hot in database.execute(UPDATES).fetchall()}


def print_use(title: str, use: Use, *, per: float, unit: str, factor: float) -> None:
    print(f"\n{title}\n{'':12}{'connections':>12}{'at most':>9}{'RSS MB':>9}{'PSS MB':>9}{unit:>18}")
    for name, seconds in use.processor.items():
        rss, pss = (each / 2**20 for each in use.memory[name])
        bound = MOST_CONNECTIONS[name]() if name in MOST_CONNECTIONS else ""
        connections = use.connections.get(name, 0) if name in MOST_CONNECTIONS else ""
        print(f"{name:12}{connections:>12}{bound:>9}{rss:9.0f}{pss:9.0f}{factor * seconds / per:18.2f}")
    whole = sum(use.processor.values())
    print(f"{'all':12}{use.connections_together:>12}{'':27}{factor * whole / per:18.2f}")


def print_growth(stretches: list[Stretch]) -> None:
    """Bytes a verification by table and index, those of the last stretch first."""
    print(f"\n{'bytes a verification':46}" + "".join(f"{f'stretch {nth + 1}':>12}" for nth in range(len(stretches))))
    each = [{key: size / stretch.cycles for key, size in stretch.growth.items()} for stretch in stretches]
    by_table = [_by_table(found) for found in each]
    for table in sorted(by_table[-1], key=lambda name: -by_table[-1][name]):
        if by_table[-1][table] < 1:
            continue
        print(f"{table:46}" + "".join(f"{found.get(table, 0):12.0f}" for found in by_table))
        keys = sorted((key for key in each[-1] if key[0] == table), key=lambda key: -each[-1][key])
        for key in (key for key in keys if each[-1][key] >= 1):
            name = "(the table itself)" if key[0] == key[1] else key[1]
            print(f"    {name:42}" + "".join(f"{found.get(key, 0):12.0f}" for found in each))
    sums = [sum(found.values()) for found in by_table]
    print(f"{'all':46}" + "".join(f"{found:12.0f}" for found in sums))
    for millions in MILLIONS:
        label = f"GB for {millions} million"
        print(f"{label:46}" + "".join(f"{found * millions / 1000:12.1f}" for found in sums))
    for table, (updates, hot) in sorted(stretches[-1].updates.items()):
        if updates > stretches[-1].cycles / 2:
            print(f"{table}: {updates:,} updates, {100 * hot / updates:.0f} % HOT")


def _by_table(found: Mapping[tuple[str, str], float]) -> dict[str, float]:
    tables: dict[str, float] = {}
    for (table, _), size in found.items():
        tables[table] = tables.get(table, 0) + size
    return tables
