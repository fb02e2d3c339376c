"""Scenarios that kill a worker (`kill -9`) at exactly one step of a send, repeatedly.

The product has no hook for it: a lock in the database stops a worker at a statement, a provider holds its answer, a
proxy holds a request. A statement that waits when its worker dies is terminated with it, or completes without it:
both happen in production.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from chaos.checker import Counts, recover_and_check
from chaos.harness import ApiClient, ChaosStack
from config.run.processes import wait_until

CLAIM, HAND_OVER, RECORD = "%%SET state = ''SENDING'', claim_id%%", "%%handed AS%%", "%%SET state = ''SENT''%%"
"""LIKE patterns of the three statements in `pg_stat_activity`; quotes are doubled."""
REACH_SECONDS = 8
"""Seconds within which a worker reaches the step, the two of its start included."""
ATTEMPTS = 5
LAPSE = "UPDATE messaging_message SET lease_until = now() WHERE state = 'SENDING' AND handed_over_at IS NOT NULL"
"""Ends the leases of dead workers at once. The 30 seconds are waited for by the scenarios of `kills`."""
COUNT_MESSAGES = "SELECT count(*) FROM messaging_message WHERE"

Arm = Callable[[ChaosStack, list[str]], AbstractContextManager[None]]


@dataclass(frozen=True)
class Point:
    """One step of a send.

    `arm` is a context manager, entered while the worker is frozen, that stops it at the step; the worker is killed
    inside.
    """

    arm: Arm
    statement: str = ""  # the one that waits when the worker dies
    completes: bool = False  # whether the statement completes without its worker


@contextmanager
def _table(stack: ChaosStack, table: str) -> Iterator[None]:
    with stack.database(autocommit=False) as connection:
        connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield


def before_the_claim(stack: ChaosStack, tokens: list[str]) -> AbstractContextManager[None]:
    return _table(stack, "messaging_message")


def before_the_hand_over(stack: ChaosStack, tokens: list[str]) -> AbstractContextManager[None]:
    return _table(stack, "messaging_messageevent")


@contextmanager
def body_on_its_way(stack: ChaosStack, tokens: list[str]) -> Iterator[None]:
    """The request is written to the connection and never reaches the provider."""
    proxy = stack.providers["one"].proxy
    proxy.freeze()
    try:
        yield
    finally:
        proxy.cut()
        proxy.thaw()


@contextmanager
def answer_held(stack: ChaosStack, tokens: list[str]) -> Iterator[None]:
    """The provider has taken the message and has not answered."""
    stack.providers["one"].control.set("hold")
    try:
        yield
    finally:
        stack.providers["one"].control.set("ok")


@contextmanager
def answered(stack: ChaosStack, tokens: list[str]) -> Iterator[None]:
    """The provider has answered, and the record waits for the lock of the row."""
    with stack.database(autocommit=False) as connection:
        with answer_held(stack, tokens):
            stack.worker.thaw()
            _wait_until_taken(stack, tokens)
            connection.execute("SELECT FROM messaging_message WHERE reference = ANY(%s::uuid[]) FOR UPDATE", [tokens])
        yield


def recorded(stack: ChaosStack, tokens: list[str]) -> AbstractContextManager[None]:
    return nullcontext()


POINTS = {
    "before the claim": Point(before_the_claim, CLAIM),
    "claimed, nobody listens": Point(before_the_claim, CLAIM, completes=True),
    "before the hand-over": Point(before_the_hand_over, HAND_OVER),
    "handed over, nobody calls": Point(before_the_hand_over, HAND_OVER, completes=True),
    "body on its way": Point(body_on_its_way),
    "taken, not answered": Point(answer_held),
    "answered, not recorded": Point(answered, RECORD),
    "recorded, nobody listens": Point(answered, RECORD, completes=True),
    "after the record": Point(recorded),
}
UNAMBIGUOUS = frozenset({"before the claim", "before the hand-over", "recorded, nobody listens", "after the record"})
"""Points at which a death leaves no outcome unclear: everything arrives."""


def crash_point(stack: ChaosStack, rng: random.Random, *, name: str, rounds: int, messages: int = 2) -> Counts:
    """Kill a worker at this point `rounds` times, with a few messages each time."""
    api = stack.ready()
    worker_started_at = api.since
    for _ in range(rounds):
        worker_started_at = _kill_at(stack, api, POINTS[name], rng, messages, worker_started_at)
    stack.sql(LAPSE)
    counts = recover_and_check(api, stack)
    counts.expect(counts.accepted >= rounds * messages, "not every request was accepted")
    counts.expect(name not in UNAMBIGUOUS or counts.unknown == 0, f"{counts.unknown} UNKNOWN where nothing is unclear")
    return counts


def _kill_at(
    stack: ChaosStack, api: ApiClient, point: Point, rng: random.Random, messages: int, worker_started_at: float
) -> float:
    """Kill the worker at a point and return when the next one was started, in seconds since 1970.

    The messages left by the last death are sent first, or a worker that always dies early would let codes expire.
    Messages that a dead worker had handed over are not waited for.

    The table lock also blocks the sweep that repeats a lost wake-up. Then no worker reaches the step, the lock ends
    without a death, and the round is tried again.
    """
    left = (
        f"{COUNT_MESSAGES} state = 'QUEUED' OR state = 'SENDING' AND coalesce(handed_over_at, now()) > to_timestamp(%s)"
    )
    for _ in range(ATTEMPTS):
        wait_until(lambda: stack.sql(left, worker_started_at) == [(0,)], 20)
        stack.worker.freeze()
        asked = [api.ask() for _ in range(messages)]
        tokens = [each.token for each in asked if each]
        with point.arm(stack, tokens):
            stack.worker.thaw()
            if not _reached(stack, point, tokens):
                continue
            time.sleep(rng.uniform(0, 0.05))
            stack.worker.kill()
            if point.statement and not point.completes:
                _terminate_waiting(stack, point.statement)
        stack.sql("DELETE FROM messaging_providerstate")
        stack.worker.start()
        return time.time()
    raise AssertionError(f"no worker came to the step in {ATTEMPTS} tries")


def _reached(stack: ChaosStack, point: Point, tokens: list[str]) -> bool:
    if point.statement == RECORD:  # for each hand-over: a death before an answer leaves it unclear
        handed_over = f"{COUNT_MESSAGES} reference = ANY(%s::uuid[]) AND handed_over_at IS NOT NULL"
        return wait_until(
            lambda: _count_waiting(stack, RECORD) >= max(1, stack.sql(handed_over, tokens)[0][0]), REACH_SECONDS
        )
    if point.statement:
        return wait_until(lambda: _count_waiting(stack, point.statement) > 0, REACH_SECONDS)
    if point.arm is answer_held:
        return _wait_until_taken(stack, tokens)
    state = "state IN ('SENT', 'DELIVERED')" if point.arm is recorded else "handed_over_at IS NOT NULL"
    there = f"{COUNT_MESSAGES} reference = ANY(%s::uuid[]) AND {state}"
    return wait_until(lambda: bool(stack.sql(there, tokens)[0][0]), REACH_SECONDS)


def _wait_until_taken(stack: ChaosStack, tokens: list[str]) -> bool:
    """Wait until the provider has one of them."""
    rows = stack.sql("SELECT id::text FROM messaging_message WHERE reference = ANY(%s::uuid[])", tokens)
    ours = {row[0] for row in rows}
    journal = stack.providers["one"].journal
    return wait_until(lambda: any(each.message in ours for each in journal.arrivals()), REACH_SECONDS)


def _count_waiting(stack: ChaosStack, statement: str) -> int:
    found = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '{statement}'"
    return int(stack.sql(found)[0][0])


def _terminate_waiting(stack: ChaosStack, statement: str) -> None:
    """Terminate the waiting sessions: PostgreSQL would complete their statement though its client is gone."""
    found = f"FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '{statement}'"
    assert wait_until(lambda: stack.sql(f"SELECT count(pg_terminate_backend(pid)) {found}") == [(0,)], 5)
