"""Scenarios of outages that last until their alarm has come: a process dead or frozen, a server away."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from bench.report import percentile
from chaos.alarms import CODES, DATABASE, SWEEP
from chaos.checker import SAMPLE, Counts, recover_and_check
from chaos.harness import Accepted, ChaosStack
from chaos.kills import ask_evenly, wait_for_all
from config.run.processes import wait_until
from testkit.processes import Program

LIFE = 150.0
"""Seconds for which a code lives."""
CLEAR = 30.0
"""Seconds before the end of its life in which a code may leave or not: Redis starts, processes connect, it is swept."""


def worker_dead(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """The only worker is killed and nobody starts it again."""
    return _without(stack, rng, Program.kill, stack.worker, CODES, messages)


def periodic_frozen(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """The process of the sweeps is stopped: codes leave all the same."""
    counts = _without(stack, rng, Program.freeze, stack.periodic, SWEEP, messages)
    counts.expect(counts.once == counts.accepted, "not every code left")
    return counts


def beat_dead(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """The process that asks for sweeps is killed: codes leave all the same."""
    counts = _without(stack, rng, Program.kill, stack.beat, SWEEP, messages)
    counts.expect(counts.once == counts.accepted, "not every code left")
    return counts


def metrics_dead(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """The process that judges the alarms is dead, and then the worker dies: periodic judges them."""
    api = stack.ready()
    stack.metrics.kill()
    asking = ask_evenly(api, messages, 20)
    stack.worker.kill()
    stack.alarms.fault_begins()
    wait_for_all(asking)
    stack.alarms.wait_for(CODES)
    return recover_and_check(api, stack)


def _without(
    stack: ChaosStack, rng: random.Random, fault: Callable[[Program], None], program: Program, alarm: str, messages: int
) -> Counts:
    api = stack.ready()
    asking = ask_evenly(api, messages, 20)
    time.sleep(rng.uniform(1, 2))
    fault(program)
    stack.alarms.fault_begins()
    wait_for_all(asking)
    stack.alarms.wait_for(alarm)
    return recover_and_check(api, stack)


def postgres_away(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """PostgreSQL is down."""
    return _without_database(stack, rng, stack.postgres.down, messages)


def postgres_frozen(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """PostgreSQL is stopped and keeps its connections: no error ever comes from it."""
    return _without_database(stack, rng, stack.postgres.frozen, messages)


def _without_database(
    stack: ChaosStack, rng: random.Random, outage: Callable[[], AbstractContextManager[None]], messages: int
) -> Counts:
    api = stack.ready()
    asking = ask_evenly(api, messages, 20)
    time.sleep(rng.uniform(2, 3))
    with outage():
        stack.alarms.fault_begins()
        stack.alarms.wait_for(DATABASE)
    wait_for_all(asking)
    counts = recover_and_check(api, stack)
    statuses = {status for status, _ in api.answers}
    counts.expect(statuses <= {200, 201, 503}, f"answers were {sorted(statuses)}")
    refused = sum(status == 503 for status, _ in api.answers)
    slowest = max(seconds for _, seconds in api.answers)
    counts.expect(refused > 0 or slowest > 10, "no call was refused or held: the database was not away")
    counts.notes.append(f"{refused} of {len(api.answers)} calls 503, the slowest call {slowest:.1f} s")
    return counts


def redis_away(stack: ChaosStack, rng: random.Random, *, messages: int, seconds: float) -> Counts:
    """Redis, the broker, is away for longer than a code lives: what is asked for is accepted and waits."""
    api = stack.ready()
    asked_at: dict[str, float] = {}
    with stack.redis.down():
        stack.alarms.fault_begins()
        for _ in range(messages):
            began = time.time()
            made = api.ask()
            if made is not None:
                asked_at[made.token] = began
            time.sleep(max(0.0, seconds / messages - (time.time() - began)))
        back = time.time()
    stack.alarms.fault_ends()
    counts = recover_and_check(api, stack, excused={"EXPIRED"})
    ended: dict[str, str] = dict(
        stack.sql(
            "SELECT reference::text, state FROM messaging_message WHERE reference = ANY(%s::uuid[])", list(asked_at)
        )
    )
    for token, at in asked_at.items():
        waited = back - at
        counts.expect(
            ended[token] != "EXPIRED" or waited > LIFE - CLEAR, f"{token} expired; Redis was back after {waited:.0f} s"
        )
    bad = [status for status, _ in api.answers if not 200 <= status < 300]
    counts.expect(not bad, f"answers were {sorted(set(bad))}")
    took = [each for _, each in api.answers]
    counts.expect(counts.excused > 0, "no code expired: Redis was not away for long enough")
    counts.notes.append(
        f"away {back - stack.alarms.began:.0f} s, {counts.excused} codes expired,"
        f" calls p50 {percentile(took, 50):.2f} s, slowest {max(took):.2f} s"
    )
    return counts


def undisturbed(stack: ChaosStack, rng: random.Random, *, messages: int, seconds: float) -> Counts:
    """No fault: clients ask for codes and verify them, and no alarm's condition holds at any time."""
    api = stack.ready()
    refused = []
    held: set[str] = set()
    for left in range(messages, 0, -1):
        began = time.time()
        made = api.ask()
        if made is None or (left > SAMPLE and not _verified(stack, made)):  # the check verifies the last ones
            refused.append(made)
        held |= {name for (name,) in stack.sql("SELECT name FROM metrics_alarmstate WHERE true_since IS NOT NULL")}
        time.sleep(max(0.0, seconds / messages - (time.time() - began)))
    counts = recover_and_check(api, stack)
    ((judged,),) = stack.sql("SELECT count(*) FROM metrics_alarmstate")
    counts.expect(judged > 0, "no alarm was judged")
    counts.expect(not held, f"conditions held of {sorted(held)}")
    counts.expect(not refused, f"{len(refused)} codes did not arrive or were not accepted")
    return counts


def _verified(stack: ChaosStack, made: Accepted) -> bool:
    if not wait_until(lambda: stack.code(made.to) is not None, 10):
        return False
    return stack.verify(made.client, str(stack.code(made.to))).status_code == 200
