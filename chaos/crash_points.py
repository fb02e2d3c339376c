"""A worker killed (kill -9) at exactly one step of a send, again and again.

There is no hook in the product: a lock in the database holds a worker at a statement, a provider holds its answer, a
line keeps a request to itself. A statement that waits when its worker dies is ended with it (it never came), or goes
on without it (it came, and nobody is there to act on it): both happen.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from chaos.checker import Counts, aftermath
from chaos.standing import Field, Front
from config.run.processes import wait_until

CLAIM, HAND_OVER, RECORD = "%%SET state = ''SENDING'', claim_id%%", "%%handed AS%%", "%%SET state = ''SENT''%%"
"""How the three statements are recognised among PostgreSQL's sessions; LIKE patterns, quotes doubled."""
REACHED = 8
"""Seconds in which a worker comes to the step it is to die at, the two of its start included."""
TRIES = 5
COUNT = "SELECT count(*) FROM messaging_message WHERE"

Arming = Callable[[Field, list[str]], AbstractContextManager[None]]


@dataclass(frozen=True)
class Point:
    """`arm` holds the worker at the step, entered while it is frozen; it dies inside, and the hold ends after it."""

    arm: Arming
    statement: str = ""  # that waits when the worker dies
    goes_on: bool = False  # without its worker


@contextmanager
def _table(stack: Field, table: str) -> Iterator[None]:
    with stack.database(autocommit=False) as connection:
        connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield


def before_the_claim(stack: Field, tokens: list[str]) -> AbstractContextManager[None]:
    return _table(stack, "messaging_message")


def before_the_hand_over(stack: Field, tokens: list[str]) -> AbstractContextManager[None]:
    return _table(stack, "messaging_messageevent")


@contextmanager
def body_on_its_way(stack: Field, tokens: list[str]) -> Iterator[None]:
    """Connected, written, and nothing of it has reached the provider; it never will."""
    line = stack.companies["one"].line
    line.freeze()
    try:
        yield
    finally:
        line.cut()
        line.thaw()


@contextmanager
def answer_held(stack: Field, tokens: list[str]) -> Iterator[None]:
    """The provider has taken it and has not said so."""
    stack.companies["one"].orders.give("hold")
    try:
        yield
    finally:
        stack.companies["one"].orders.give("ok")


@contextmanager
def answered(stack: Field, tokens: list[str]) -> Iterator[None]:
    """The provider has said so, and the record waits for the row."""
    with stack.database(autocommit=False) as connection:
        with answer_held(stack, tokens):
            stack.worker.thaw()
            _taken(stack, tokens)
            connection.execute("SELECT FROM messaging_message WHERE reference = ANY(%s::uuid[]) FOR UPDATE", [tokens])
        yield


def recorded(stack: Field, tokens: list[str]) -> AbstractContextManager[None]:
    return nullcontext()


POINTS = {
    "before the claim": Point(before_the_claim, CLAIM),
    "claimed, nobody listens": Point(before_the_claim, CLAIM, goes_on=True),
    "before the hand-over": Point(before_the_hand_over, HAND_OVER),
    "handed over, nobody calls": Point(before_the_hand_over, HAND_OVER, goes_on=True),
    "body on its way": Point(body_on_its_way),
    "taken, not answered": Point(answer_held),
    "answered, not recorded": Point(answered, RECORD),
    "recorded, nobody listens": Point(answered, RECORD, goes_on=True),
    "after the record": Point(recorded),
}
SURE = frozenset({"before the claim", "before the hand-over", "recorded, nobody listens", "after the record"})
"""Where a death leaves nothing unclear: everything arrives."""


def crash_point(stack: Field, dice: random.Random, *, name: str, rounds: int, messages: int = 2) -> Counts:
    """A worker dies at this point so many times, a few messages a time."""
    front = stack.ready()
    lives_since = front.since
    for _ in range(rounds):
        lives_since = _die_at(stack, front, POINTS[name], dice, messages, lives_since)
    counts = aftermath(front, stack)
    counts.expect(counts.accepted >= rounds * messages, "not every request was accepted")
    counts.expect(name not in SURE or counts.unknown == 0, f"{counts.unknown} UNKNOWN where nothing is unclear")
    return counts


def _die_at(stack: Field, front: Front, point: Point, dice: random.Random, messages: int, lives_since: float) -> float:
    """Returns when the next worker was started, in seconds since 1970.

    What the last death left is sent first: a worker that always dies early would let codes expire, rightly. What a
    dead worker had handed over is not waited for.

    Whoever waits for the table waits with the sweep that would ring again for a ring that was lost: then the hold
    ends without a death, and it is tried anew."""
    left = f"{COUNT} state = 'QUEUED' OR state = 'SENDING' AND coalesce(handed_over_at, now()) > to_timestamp(%s)"
    for _ in range(TRIES):
        wait_until(lambda: stack.sql(left, lives_since) == [(0,)], 20)
        stack.worker.freeze()
        asked = [front.ask() for _ in range(messages)]
        tokens = [each.token for each in asked if each]
        with point.arm(stack, tokens):
            stack.worker.thaw()
            if not _reached(stack, point, tokens):
                continue
            time.sleep(dice.uniform(0, 0.05))
            stack.worker.kill()
            if point.statement and not point.goes_on:
                _end(stack, point.statement)
        stack.sql("DELETE FROM messaging_providerstate")
        stack.worker.start()
        return time.time()
    raise AssertionError(f"no worker came to the step in {TRIES} tries")


def _reached(stack: Field, point: Point, tokens: list[str]) -> bool:
    if point.statement == RECORD:  # of each that was handed over: a death before an answer leaves it unclear, rightly
        handed_over = f"{COUNT} reference = ANY(%s::uuid[]) AND handed_over_at IS NOT NULL"
        return wait_until(lambda: _waiting(stack, RECORD) >= max(1, stack.sql(handed_over, tokens)[0][0]), REACHED)
    if point.statement:
        return wait_until(lambda: _waiting(stack, point.statement) > 0, REACHED)
    if point.arm is answer_held:
        return _taken(stack, tokens)
    state = "state IN ('SENT', 'DELIVERED')" if point.arm is recorded else "handed_over_at IS NOT NULL"
    there = f"{COUNT} reference = ANY(%s::uuid[]) AND {state}"
    return wait_until(lambda: bool(stack.sql(there, tokens)[0][0]), REACHED)


def _taken(stack: Field, tokens: list[str]) -> bool:
    """Until the provider has one of them."""
    rows = stack.sql("SELECT id::text FROM messaging_message WHERE reference = ANY(%s::uuid[])", tokens)
    ours = {row[0] for row in rows}
    book = stack.companies["one"].book
    return wait_until(lambda: any(each.message in ours for each in book.arrivals()), REACHED)


def _waiting(stack: Field, statement: str) -> int:
    found = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '{statement}'"
    return int(stack.sql(found)[0][0])


def _end(stack: Field, statement: str) -> None:
    """PostgreSQL would go on with a statement that waits, though its client is gone."""
    found = f"FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '{statement}'"
    assert wait_until(lambda: stack.sql(f"SELECT count(pg_terminate_backend(pid)) {found}") == [(0,)], 5)
