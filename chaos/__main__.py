"""`make chaos`: run fault scenarios one after another and print the counts of the invariants for each.

python -m chaos [--seed N] [--seeds N] [--rounds N] [--only NAME]... [--folder PATH]

Exit code 1 when an invariant is broken; each violation is printed below its scenario. The same seed repeats a run as
far as processes allow.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import machine
from chaos import behaviours, brokers, code_leaks, crash_points, failover, kills, servers, smsc, strangers
from chaos.checker import Counts, NotInstalled
from chaos.harness import ChaosStack, running_stack
from config.variables import BASE_DIR

Scenario = Callable[[ChaosStack, random.Random], Counts]

SCENARIOS: dict[str, Scenario] = {
    "sigterm": partial(kills.sigterm, messages=16, slowest=9),
    "sleeping-worker": partial(kills.frozen_past_the_lease, messages=30),
    "woken-too-late": partial(kills.woken_after_expiry, messages=10),
    "two-beats": partial(kills.two_beats, messages=100),
    "redis-frozen": partial(servers.redis_frozen, calls=200),
    "redis-half-open": partial(servers.redis_half_open, messages=100, seconds=20),
    "redis-forgets": partial(servers.redis_forgets, messages=100),
    "postgres-dies": partial(servers.postgres_dies, messages=100),
    "backends-terminated": partial(servers.backends_terminated, messages=100),
    "postgres-half-open": partial(servers.postgres_half_open, messages=60, seconds=12),
    "redis-failover": partial(failover.redis_failover, messages=80),
    "rabbitmq-killed": partial(brokers.broker_killed, messages=80),
    "rabbitmq-restarted": partial(brokers.broker_restarted, messages=80),
    "rabbitmq-frozen": partial(brokers.broker_frozen, messages=80, seconds=25),
    "rabbitmq-two-of-each": partial(brokers.two_of_each, messages=80),
    "silent-provider": partial(behaviours.one_of_two_is_silent, messages=50),
    "provider-half-open": partial(behaviours.half_open, messages=30),
    "failover": partial(behaviours.failover, messages=50),
    "throttled": partial(behaviours.throttled, messages=50),
    "every-mood": partial(behaviours.every_behaviour, messages=100),
    "receipts": partial(behaviours.receipts, messages=60),
    "mail": partial(behaviours.mail, messages=40),
    "slow-bodies": partial(strangers.slow_bodies, held=40, seconds=25),
    "bodies-end": partial(strangers.bodies_end, held=40),
    "idle-connections": partial(strangers.idle_connections, connections=1500, seconds=20),
    "json-bombs": partial(strangers.json_bombs, concurrent=8),
    "login-drain": partial(strangers.login_drain, posters=10, seconds=20),
    "reader-stops": partial(strangers.reader_stops, rows=280_000),
    "smsc": partial(smsc.connection_faults, messages=100, faults=20),
}
KILLS, POINTS, SECRETS = "kills", "crash-points", "secrets"
NAMES = (KILLS, POINTS, *SCENARIOS, SECRETS)
"""In the order they run. The search for codes is last, when logs and tables hold most."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Fault scenarios.")
    parser.add_argument("--seed", type=int, default=20260212, help="of the random numbers")
    parser.add_argument("--seeds", type=int, default=10, help="runs of kills, each with the next seed")
    parser.add_argument("--rounds", type=int, default=20, help="deaths at each crash point")
    names = (*NAMES, *crash_points.POINTS)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument(
        "--folder", type=Path, default=BASE_DIR / "var", help="its servers live in chaos/ there, emptied first"
    )
    options = parser.parse_args()
    print(machine.line())
    with running_stack(options.folder.resolve() / "chaos") as stack:
        all_counts = list(_run_all(stack, options))
    broken = sum(not counts.holds for counts in all_counts)
    skipped = [counts.skipped for counts in all_counts if counts.skipped]
    if skipped:
        print(f"{len(skipped)} NOT TRIED: {', '.join(sorted(set(skipped)))}")
    if broken:
        print(
            f"{broken} broken; the logs are in {stack.folder / 'logs'}, the providers' in {stack.folder / 'journals'}"
        )
    sys.exit(bool(broken))


def _run_all(stack: ChaosStack, options: argparse.Namespace) -> Iterator[Counts]:
    for name in options.only or NAMES:
        if name == KILLS:
            for seed in range(options.seed, options.seed + options.seeds):
                act = partial(kills.kills, messages=300, workers=12, redis=4)
                yield _run_and_print(name, seed, act, stack)
        elif name == POINTS or name in crash_points.POINTS:
            for point in crash_points.POINTS if name == POINTS else [name]:
                act = partial(crash_points.crash_point, name=point, rounds=options.rounds)
                yield _run_and_print(point, options.seed, act, stack)
        elif name == SECRETS:
            yield _run_and_print(name, options.seed, partial(code_leaks.search_for_leaks, codes=200), stack)
        else:
            yield _run_and_print(name, options.seed, SCENARIOS[name], stack)


def _run_and_print(name: str, seed: int, act: Scenario, stack: ChaosStack) -> Counts:
    """Run one scenario and print its result. A scenario that could not be set up counts as broken."""
    began = time.monotonic()
    try:
        counts = act(stack, random.Random(seed))
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
