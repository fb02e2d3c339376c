"""Processes that die and sleep: workers and Redis killed at random, workers stopped, frozen, doubled."""

import os
import random
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from chaos.checker import Counts, aftermath
from chaos.standing import Field, Front
from config.run.processes import send, wait_until

ASKERS = 4
SLOW = 0.15
"""Seconds a provider takes for an answer, so that a kill finds calls under way."""


def spread(front: Front, count: int, seconds: float, via: str = "S") -> "list[Future[None]]":
    """So many requests, evenly over so many seconds, from as many threads as there are ASKERS; returns at once."""
    pool = ThreadPoolExecutor(ASKERS)

    def ask(share: int) -> None:
        for _ in range(share):
            front.ask(via)
            time.sleep(seconds / (count / ASKERS))

    shares = [count // ASKERS + (each < count % ASKERS) for each in range(ASKERS)]
    asking = [pool.submit(ask, share) for share in shares]
    pool.shutdown(wait=False)
    return asking


def ended(asking: "list[Future[None]]") -> None:
    """Raises what a thread raised."""
    wait(asking)
    for each in asking:
        each.result()


def kills(stack: Field, dice: random.Random, *, messages: int, workers: int, redis: int) -> Counts:
    """Messages asked for while the worker and Redis are killed again and again (docs/adr/0001)."""
    front = stack.ready()
    stack.companies["one"].orders.give("ok", slow=SLOW)
    asking = spread(front, messages, 2.8 * workers)
    for victim in dice.sample(["worker"] * workers + ["redis"] * redis, workers + redis):
        _at_work(stack)
        time.sleep(dice.uniform(0, 0.4))  # and may be anywhere in it
        if victim == "worker":
            stack.worker.restart()
        else:
            send(stack.redis.pids(), signal.SIGKILL)  # its keeper starts it again
    ended(asking)
    counts = aftermath(front, stack)
    counts.expect(len(front.accepted) == messages, f"{messages - len(front.accepted)} requests were not accepted")
    counts.expect(counts.unknown <= workers * 16, "more UNKNOWN than threads died")
    return counts


def _at_work(stack: Field) -> None:
    """Until a provider takes something, five seconds at most: a worker that was just started needs two."""
    before = stack.taken()
    wait_until(lambda: stack.taken() > before, 5)


def sigterm(stack: Field, dice: random.Random, *, messages: int, slowest: float) -> Counts:
    """A worker told to end while providers, which take up to `slowest` seconds, have its calls: it waits for their
    answers, and leaves nothing unclear."""
    front = stack.ready()
    for name in ("one", "two"):
        stack.companies[name].orders.give("ok", slow=dice.uniform(slowest / 2, slowest))
    before = stack.taken()
    for _ in range(messages):
        front.ask()
    assert wait_until(lambda: stack.taken() - before >= min(messages, 10), 10), "the calls are under way"
    began = time.monotonic()
    os.kill(stack.worker.pid, signal.SIGTERM)
    assert stack.worker.process is not None
    ended_by_itself = wait_until(lambda: not stack.worker.is_running(), 30)
    took = time.monotonic() - began
    counts = aftermath(front, stack)
    counts.expect(ended_by_itself, "the worker did not end in 30 s")
    counts.expect(counts.unknown == 0, f"{counts.unknown} UNKNOWN, though every provider answered in time")
    counts.notes.append(f"ended in {took:.1f} s")
    return counts


def frozen_past_the_lease(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """A worker sleeps with calls in its hands until its leases are over, a second one goes on, and the first wakes."""
    front = stack.ready()
    second = stack.program("worker", "second-worker")
    stack.companies["one"].orders.give("hold")
    before = stack.taken()
    for _ in range(messages):
        front.ask()
    wait_until(lambda: stack.taken() - before >= 3, 10)
    stack.worker.freeze()
    stack.companies["one"].orders.give("ok")
    second.start()
    try:
        time.sleep(31 + dice.uniform(0, 2))
        stack.worker.thaw()
        return aftermath(front, stack)
    finally:
        second.kill()


def woken_after_its_time(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """A worker sleeps between the hand-over and the call until the code is dead: it must not leave any more."""
    front = stack.ready()
    stack.worker.freeze()
    for _ in range(messages):
        front.ask()
    tokens = [each.token for each in front.accepted]
    stack.sql("UPDATE messaging_message SET send_before = now() + '4 s' WHERE reference = ANY(%s::uuid[])", tokens)
    with stack.database(autocommit=False) as connection:
        connection.execute("LOCK TABLE messaging_messageevent IN EXCLUSIVE MODE")
        stack.worker.thaw()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%handed AS%%'"
        assert wait_until(lambda: stack.sql(waiting)[0][0] >= 1, 10), "it is at the hand-over"
        stack.worker.freeze()
        time.sleep(0.5)  # until the kernel has stopped the last of its threads; then the hand-over goes through
    time.sleep(4 + dice.uniform(0.5, 1))
    stack.worker.thaw()
    return aftermath(front, stack, excused={"EXPIRED"})


def two_beats(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """Sweeps sent twice as often, by two that know nothing of each other, while a worker dies."""
    front = stack.ready()
    (stack.folder / "second").mkdir(exist_ok=True)
    second = stack.program("beat", "second-beat", DATA_DIR=str(stack.folder / "second"))
    second.start()
    try:
        asking = spread(front, messages, 8)
        time.sleep(dice.uniform(3, 5))
        stack.worker.restart()
        ended(asking)
        return aftermath(front, stack)
    finally:
        second.kill()
