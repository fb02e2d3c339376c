"""`make chaos`: a whole Aval, a fault at a time, a line for each with the counts of the invariants.

python -m chaos [--seed N] [--seeds N] [--rounds N] [--only NAME]... [--folder PATH]

Ends with 1 when an invariant is broken; what was broken stands below its line. The same seed does the same things,
as far as processes can be made to.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import machine
from chaos import brokers, crash_points, failover, hiding, kills, moods, servers, smsc, strangers
from chaos.checker import Counts, NotInstalled
from chaos.standing import Field, field_of_fire
from config.run.environment import BASE_DIR

Scenario = Callable[[Field, random.Random], Counts]

SCENARIOS: dict[str, Scenario] = {
    "sigterm": partial(kills.sigterm, messages=16, slowest=9),
    "sleeping-worker": partial(kills.frozen_past_the_lease, messages=30),
    "woken-too-late": partial(kills.woken_after_its_time, messages=10),
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
    "silent-provider": partial(moods.one_of_two_is_silent, messages=50),
    "provider-half-open": partial(moods.half_open, messages=30),
    "failover": partial(moods.failover, messages=50),
    "throttled": partial(moods.throttled, messages=50),
    "every-mood": partial(moods.every_mood, messages=100),
    "receipts": partial(moods.receipts, messages=60),
    "mail": partial(moods.mail, messages=40),
    "slow-bodies": partial(strangers.slow_bodies, held=40, seconds=25),
    "bodies-end": partial(strangers.bodies_end, held=40),
    "idle-connections": partial(strangers.idle_connections, connections=1500, seconds=20),
    "json-bombs": partial(strangers.json_bombs, at_once=8),
    "login-drain": partial(strangers.login_drain, posters=10, seconds=20),
    "reader-stops": partial(strangers.reader_stops, rows=280_000),
    "smsc": partial(smsc.deaths_of_a_line, messages=100, faults=20),
}
KILLS, POINTS, SECRETS = "kills", "crash-points", "secrets"
NAMES = (KILLS, POINTS, *SCENARIOS, SECRETS)
"""In the order they run; the search for codes comes last, when there is most to find."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="What breaks it, and what that costs.")
    parser.add_argument("--seed", type=int, default=20260212, help="of the dice")
    parser.add_argument("--seeds", type=int, default=10, help="runs of kills, each with the next seed")
    parser.add_argument("--rounds", type=int, default=20, help="deaths at each crash point")
    names = (*NAMES, *crash_points.POINTS)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument(
        "--folder", type=Path, default=BASE_DIR / "var", help="its servers live in chaos/ there, emptied first"
    )
    options = parser.parse_args()
    print(machine.line())
    with field_of_fire(options.folder.resolve() / "chaos") as stack:
        all_counts = list(_all(stack, options))
    broken = sum(not counts.holds for counts in all_counts)
    skipped = [counts.skipped for counts in all_counts if counts.skipped]
    if skipped:
        print(f"{len(skipped)} NOT TRIED: {', '.join(sorted(set(skipped)))}")
    if broken:
        print(f"{broken} broken; the logs are in {stack.folder / 'logs'}, the providers' in {stack.folder / 'books'}")
    sys.exit(bool(broken))


def _all(stack: Field, options: argparse.Namespace) -> Iterator[Counts]:
    for name in options.only or NAMES:
        if name == KILLS:
            for seed in range(options.seed, options.seed + options.seeds):
                act = partial(kills.kills, messages=300, workers=12, redis=4)
                yield _told(name, seed, act, stack)
        elif name == POINTS or name in crash_points.POINTS:
            for point in crash_points.POINTS if name == POINTS else [name]:
                act = partial(crash_points.crash_point, name=point, rounds=options.rounds)
                yield _told(point, options.seed, act, stack)
        elif name == SECRETS:
            yield _told(name, options.seed, partial(hiding.nothing_tells, codes=200), stack)
        else:
            yield _told(name, options.seed, SCENARIOS[name], stack)


def _told(name: str, seed: int, act: Scenario, stack: Field) -> Counts:
    """Runs one and prints its line; a scenario that cannot be brought about is broken, too."""
    began = time.monotonic()
    try:
        counts = act(stack, random.Random(seed))
    except NotInstalled as missing:
        counts = Counts(skipped=str(missing))
    except AssertionError as fault:
        counts = Counts(wrong=[f"could not be brought about: {fault}"])
    counts.seconds = time.monotonic() - began
    print(f"{name:26} seed {seed}  {counts.line()}", flush=True)
    for words in counts.wrong:
        print(f"    {words}", flush=True)
    return counts


if __name__ == "__main__":
    main()
