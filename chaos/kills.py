"""Scenarios of dying and frozen processes: workers and Redis killed at random, workers stopped, frozen, doubled."""

import os
import random
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from chaos.checker import Counts, recover_and_check
from chaos.harness import ApiClient, ChaosStack
from config.run.processes import send, wait_until

ASKERS = 4
SLOW = 0.15
"""Seconds that a provider takes to answer, so that a kill meets calls under way."""


def ask_evenly(api: ApiClient, count: int, seconds: float, via: str = "S") -> "list[Future[None]]":
    """Start `count` requests, spread evenly over `seconds`, from ASKERS threads; returns at once."""
    pool = ThreadPoolExecutor(ASKERS)

    def ask(share: int) -> None:
        for _ in range(share):
            api.ask(via)
            time.sleep(seconds / (count / ASKERS))

    shares = [count // ASKERS + (each < count % ASKERS) for each in range(ASKERS)]
    asking = [pool.submit(ask, share) for share in shares]
    pool.shutdown(wait=False)
    return asking


def wait_for_all(asking: "list[Future[None]]") -> None:
    """Wait for the threads. Raises the exception of a thread that failed."""
    wait(asking)
    for each in asking:
        each.result()


def kills(stack: ChaosStack, rng: random.Random, *, messages: int, workers: int, redis: int) -> Counts:
    """Ask for codes while the worker and Redis are killed repeatedly (docs/adr/0001)."""
    api = stack.ready()
    stack.providers["one"].control.set("ok", slow=SLOW)
    asking = ask_evenly(api, messages, 2.8 * workers)
    for victim in rng.sample(["worker"] * workers + ["redis"] * redis, workers + redis):
        _wait_for_send(stack)
        time.sleep(rng.uniform(0, 0.4))  # to hit any step of a send
        if victim == "worker":
            stack.worker.restart()
        else:
            send(stack.redis.pids(), signal.SIGKILL)  # its watchdog starts it again
    wait_for_all(asking)
    counts = recover_and_check(api, stack)
    counts.expect(len(api.accepted) == messages, f"{messages - len(api.accepted)} requests were not accepted")
    counts.notes.append(f"{workers} workers and {redis} times Redis killed")
    counts.expect(counts.unknown <= workers * 16, "more UNKNOWN than threads died")
    return counts


def _wait_for_send(stack: ChaosStack) -> None:
    """Wait until a provider takes a message, at most five seconds: a worker needs two to start."""
    before = stack.taken()
    wait_until(lambda: stack.taken() > before, 5)


def sigterm(stack: ChaosStack, rng: random.Random, *, messages: int, slowest: float) -> Counts:
    """Stop a worker while providers, which take up to `slowest` seconds, have its calls: it waits for their answers
    and leaves nothing unclear."""
    api = stack.ready()
    for name in ("one", "two"):
        stack.providers[name].control.set("ok", slow=rng.uniform(slowest / 2, slowest))
    before = stack.taken()
    for _ in range(messages):
        api.ask()
    assert wait_until(lambda: stack.taken() - before >= min(messages, 10), 10), "the calls are under way"
    began = time.monotonic()
    os.kill(stack.worker.pid, signal.SIGTERM)
    assert stack.worker.process is not None
    ended_by_itself = wait_until(lambda: not stack.worker.is_running(), 30)
    took = time.monotonic() - began
    counts = recover_and_check(api, stack)
    counts.expect(ended_by_itself, "the worker did not end in 30 s")
    counts.expect(counts.unknown == 0, f"{counts.unknown} UNKNOWN, though every provider answered in time")
    counts.notes.append(f"ended in {took:.1f} s")
    return counts


def frozen_past_the_lease(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Freeze a worker amid calls until its leases lapse, start a second one, then wake the first."""
    api = stack.ready()
    second = stack.program("worker", "second-worker")
    stack.providers["one"].control.set("hold")
    before = stack.taken()
    for _ in range(messages):
        api.ask()
    wait_until(lambda: stack.taken() - before >= 3, 10)
    stack.worker.freeze()
    stack.providers["one"].control.set("ok")
    second.start()
    try:
        time.sleep(31 + rng.uniform(0, 2))
        stack.worker.thaw()
        return recover_and_check(api, stack)
    finally:
        second.kill()


def woken_after_expiry(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Freeze a worker between hand-over and call until the code has expired: it must not be sent any more."""
    api = stack.ready()
    stack.worker.freeze()
    for _ in range(messages):
        api.ask()
    tokens = [each.token for each in api.accepted]
    stack.sql("UPDATE messaging_message SET send_before = now() + '4 s' WHERE reference = ANY(%s::uuid[])", tokens)
    with stack.database(autocommit=False) as connection:
        connection.execute("LOCK TABLE messaging_messageevent IN EXCLUSIVE MODE")
        stack.worker.thaw()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%handed AS%%'"
        assert wait_until(lambda: stack.sql(waiting)[0][0] >= 1, 10), "it is at the hand-over"
        stack.worker.freeze()
        time.sleep(0.5)  # until the kernel has stopped all of its threads; then the hand-over completes
    time.sleep(4 + rng.uniform(0.5, 1))
    stack.worker.thaw()
    return recover_and_check(api, stack, excused={"EXPIRED"})


def two_beats(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Two independent beats send every sweep twice while a worker dies."""
    api = stack.ready()
    (stack.folder / "second").mkdir(exist_ok=True)
    second = stack.program("beat", "second-beat", DATA_DIR=str(stack.folder / "second"))
    second.start()
    try:
        asking = ask_evenly(api, messages, 8)
        time.sleep(rng.uniform(3, 5))
        stack.worker.restart()
        wait_for_all(asking)
        return recover_and_check(api, stack)
    finally:
        second.kill()
