"""`make chaos`: run fault scenarios one after another and print the counts of the invariants for each.

python -m chaos [--seed N] [--seeds N] [--rounds N] [--only NAME]... [--folder PATH] [--report PATH]

Exit code 1 when an invariant is broken, or when a fault raised another alarm than its own; each violation is printed
below its scenario. The same seed repeats a run as far as processes allow. `CHAOS_REPORT` or `--report` names a file for
the fault table.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import machine
from chaos import behaviours, brokers, code_leaks, crash_points, failover, kills, outages, servers, smsc, strangers
from chaos import webhooks as dispatcher
from chaos.alarms import BROKER, CODES, CONVERSION, DATABASE, DISPATCHER, PROVIDER, REDIS, SWEEP, Expected, judge
from chaos.checker import Counts, NotInstalled
from chaos.harness import ChaosStack, running_stack
from chaos.report import table
from config.variables import BASE_DIR

Act = Callable[[ChaosStack, random.Random], Counts]


@dataclass(frozen=True)
class Scenario:
    """What is done, and the alarms that it raises: none, for a fault that heals before somebody should be called."""

    act: Act
    expected: Expected


def raising(alarm: str, act: Act) -> Scenario:
    """A scenario that must raise this alarm."""
    return Scenario(act, Expected(alarm))


def maybe(alarms: Iterable[str], act: Act) -> Scenario:
    """A scenario whose random faults may last long enough for these alarms."""
    return Scenario(act, Expected(may=frozenset(alarms)))


def silent(act: Act) -> Scenario:
    """A scenario that must raise no alarm."""
    return Scenario(act, Expected())


SCENARIOS: dict[str, Scenario] = {
    "undisturbed": silent(partial(outages.undisturbed, messages=150, seconds=75)),
    "sigterm": maybe([PROVIDER], partial(kills.sigterm, messages=16, slowest=9)),
    "sleeping-worker": maybe([PROVIDER], partial(kills.frozen_past_the_lease, messages=30)),
    "woken-too-late": silent(partial(kills.woken_after_expiry, messages=10)),
    "two-beats": silent(partial(kills.two_beats, messages=100)),
    "worker-dead": raising(CODES, partial(outages.worker_dead, messages=60)),
    "periodic-frozen": raising(SWEEP, partial(outages.periodic_frozen, messages=60)),
    "beat-dead": raising(SWEEP, partial(outages.beat_dead, messages=60)),
    "metrics-and-worker-dead": raising(CODES, partial(outages.metrics_dead, messages=60)),
    "webhooks-killed": silent(partial(dispatcher.dispatcher_killed, events=400, kills=2)),
    "webhooks-frozen": raising(DISPATCHER, partial(dispatcher.dispatcher_frozen, events=200)),
    "redis-frozen": raising(BROKER, partial(servers.redis_frozen, calls=200)),
    "redis-half-open": raising(BROKER, partial(servers.redis_half_open, messages=100, seconds=20)),
    "redis-forgets": silent(partial(servers.redis_forgets, messages=100)),
    "redis-away-three-minutes": raising(BROKER, partial(outages.redis_away, messages=90, seconds=175)),
    "postgres-dies": silent(partial(servers.postgres_dies, messages=100)),
    "postgres-away": raising(DATABASE, partial(outages.postgres_away, messages=80)),
    "postgres-frozen": raising(DATABASE, partial(outages.postgres_frozen, messages=80)),
    "backends-terminated": silent(partial(servers.backends_terminated, messages=100)),
    "postgres-half-open": silent(partial(servers.postgres_half_open, messages=60, seconds=12)),
    "redis-failover": silent(partial(failover.redis_failover, messages=80)),
    "rabbitmq-killed": maybe([BROKER], partial(brokers.broker_killed, messages=80)),
    "rabbitmq-restarted": maybe([BROKER], partial(brokers.broker_restarted, messages=80)),
    "rabbitmq-frozen": raising(BROKER, partial(brokers.broker_frozen, messages=80, seconds=25)),
    "rabbitmq-two-of-each": maybe([BROKER], partial(brokers.two_of_each, messages=80)),
    "rabbitmq-without-redis": raising(REDIS, partial(brokers.redis_away, messages=80)),
    "silent-provider": raising(PROVIDER, partial(behaviours.one_of_two_is_silent, messages=50)),
    "provider-half-open": raising(PROVIDER, partial(behaviours.half_open, messages=30)),
    "failover": raising(PROVIDER, partial(behaviours.failover, messages=50)),
    "throttled": silent(partial(behaviours.throttled, messages=50)),
    "every-mood": maybe([PROVIDER], partial(behaviours.every_behaviour, messages=100)),
    "receipts": silent(partial(behaviours.receipts, messages=60)),
    "mail": maybe([PROVIDER], partial(behaviours.mail, messages=40)),
    "slow-bodies": silent(partial(strangers.slow_bodies, held=40, seconds=25)),
    "bodies-end": silent(partial(strangers.bodies_end, held=40)),
    "idle-connections": silent(partial(strangers.idle_connections, connections=1500, seconds=20)),
    "json-bombs": silent(partial(strangers.json_bombs, concurrent=8)),
    "login-drain": silent(partial(strangers.login_drain, posters=10, seconds=20)),
    "reader-stops": silent(partial(strangers.reader_stops, rows=280_000)),
    "smsc": maybe([PROVIDER], partial(smsc.connection_faults, messages=100, faults=20)),
}
KILLS, POINTS, SECRETS = "kills", "crash-points", "secrets"
NAMES = (KILLS, POINTS, *SCENARIOS, SECRETS)
"""In the order they run. The search for codes is last, when logs and tables hold most."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Fault scenarios.")
    parser.add_argument("--seed", type=int, default=20260212, help="of the random numbers")
    parser.add_argument("--seeds", type=int, default=4, help="runs of kills, each with the next seed")
    parser.add_argument("--rounds", type=int, default=8, help="deaths at each crash point")
    names = (*NAMES, *crash_points.POINTS)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument(
        "--folder", type=Path, default=BASE_DIR / "var", help="its servers live in chaos/ there, emptied first"
    )
    parser.add_argument("--report", type=Path, default=os.environ.get("CHAOS_REPORT"), help="file for the fault table")
    options = parser.parse_args()
    print(machine.line())
    with running_stack(options.folder.resolve() / "chaos") as stack:
        runs = []
        for name, counts in _run_all(stack, options):
            runs.append((name, counts))
            if options.report:  # after each, so that a run that is stopped has its table, too
                Path(options.report).write_text(table(runs, machine.line()))
    print(f"\n{table(runs, machine.line())}")
    all_counts = [counts for _, counts in runs]
    broken = sum(not counts.holds for counts in all_counts)
    skipped = [counts.skipped for counts in all_counts if counts.skipped]
    if skipped:
        print(f"{len(skipped)} NOT TRIED: {', '.join(sorted(set(skipped)))}")
    if broken:
        print(
            f"{broken} broken; the logs are in {stack.folder / 'logs'}, the providers' in {stack.folder / 'journals'}"
        )
    sys.exit(bool(broken))


def _run_all(stack: ChaosStack, options: argparse.Namespace) -> Iterator[tuple[str, Counts]]:
    for name in options.only or NAMES:
        if name == KILLS:
            for seed in range(options.seed, options.seed + options.seeds):
                act = partial(kills.kills, messages=300, workers=12, redis=4)
                yield name, _run_and_print(name, seed, maybe([CODES], act), stack)
        elif name == POINTS or name in crash_points.POINTS:
            for point in crash_points.POINTS if name == POINTS else [name]:
                act = partial(crash_points.crash_point, name=point, rounds=options.rounds)
                yield point, _run_and_print(point, options.seed, maybe([PROVIDER], act), stack)
        elif name == SECRETS:
            act = partial(code_leaks.search_for_leaks, codes=200)
            scenario = maybe([CONVERSION], act)  # the codes of the scenarios before were not verified
            yield name, _run_and_print(name, options.seed, scenario, stack)
        else:
            yield name, _run_and_print(name, options.seed, SCENARIOS[name], stack)


def _run_and_print(name: str, seed: int, scenario: Scenario, stack: ChaosStack) -> Counts:
    """Run one scenario and print its result. A scenario that could not be set up counts as broken."""
    began = time.monotonic()
    try:
        counts = scenario.act(stack, random.Random(seed))
        counts.alarms, faults = judge(stack.alarms, scenario.expected, stack.sql, stack.use_providers_again)
        counts.wrong += faults
    except NotInstalled as missing:
        counts = Counts(skipped=str(missing))
    except AssertionError as fault:
        counts = Counts(wrong=[f"could not be brought about: {fault}"])
    counts.seconds = time.monotonic() - began
    print(f"{name:26} seed {seed}  {counts.line()}", flush=True)
    for text in counts.wrong:
        print(f"    {text}", flush=True)
    return counts


if __name__ == "__main__":
    main()
