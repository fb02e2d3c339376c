"""Scenarios of RabbitMQ as the broker: killed, restarted, frozen, and two of each process on one host."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chaos.alarms import BROKER, REDIS
from chaos.checker import Counts, recover_and_check
from chaos.harness import ApiClient, ChaosStack
from chaos.kills import ask_evenly, wait_for_all
from chaos.rabbitmq import RabbitMQ, rabbitmq
from config.run.processes import wait_until

MAX_DELAY = 10.0
"""Seconds from the broker's return, or from the request where that was later, within which a code is sent."""
MIN_OUTAGE = 6.0
"""Minimal seconds that the broker is away: longer than a circuit breaker's pause."""


def broker_killed(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """`kill -9`, and a start of the same node some seconds later."""

    def fault(node: RabbitMQ) -> None:
        node.kill()
        time.sleep(MIN_OUTAGE + rng.uniform(0, 2))
        node.start()

    return _run_with_fault(stack, rng, fault, messages=messages)


def broker_restarted(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Two orderly restarts: the broker closes every connection."""

    def fault(node: RabbitMQ) -> None:
        node.restart()
        time.sleep(rng.uniform(1, 2))
        node.restart()

    return _run_with_fault(stack, rng, fault, messages=messages)


def broker_frozen(stack: ChaosStack, rng: random.Random, *, messages: int, seconds: float) -> Counts:
    """The broker is stopped for longer than workers wait for a heartbeat and until its alarm has come."""

    def fault(node: RabbitMQ) -> None:
        with node.frozen():
            time.sleep(seconds + rng.uniform(0, 2))
            stack.alarms.wait_for(BROKER)

    return _run_with_fault(stack, rng, fault, messages=messages)


def two_of_each(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Two workers, two periodic processes and two beats on one host while the broker is killed."""
    (stack.folder / "second").mkdir(exist_ok=True)
    with rabbitmq(stack.folder / "rabbitmq") as node:
        own = {"DATA_DIR": str(stack.folder / "second"), "BROKER_URL": node.url}
        seconds = [stack.program(name, f"second-{name}", **own) for name in ("worker", "periodic", "beat")]
        try:
            with _running_on(stack, node) as api:
                for each in seconds:
                    each.start()
                asking = ask_evenly(api, messages, 16)
                time.sleep(rng.uniform(3, 4))
                node.kill()
                node.start()
                returned_at = time.time()
                wait_for_all(asking)
                ran = [each.is_running() for each in seconds]
                counts = check_outage(api, stack, returned_at)
                counts.expect(all(ran), "a second process ended")
                for program in (*seconds, *stack.programs):
                    counts.expect(
                        "RESOURCE_LOCKED" not in program.log.read_text(), f"{program.log.name}: RESOURCE_LOCKED"
                    )
                return counts
        finally:
            for each in seconds:
                each.kill()


def redis_away(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Redis, which is not the broker, is away until its alarm has come: codes leave all the same."""
    with rabbitmq(stack.folder / "rabbitmq") as node, _running_on(stack, node) as api:
        with stack.redis.down():
            stack.alarms.fault_begins()
            wait_for_all(ask_evenly(api, messages, 20))
            ours = {each.to for each in api.accepted}
            logs = stack.arrival_logs
            left = wait_until(lambda: ours <= {each.to for log in logs for each in log.arrivals()}, MAX_DELAY)
            stack.alarms.wait_for(REDIS)
        counts = recover_and_check(api, stack)
        counts.expect(left, "not every code left without Redis")
        bad = [status for status, _ in api.answers if not 200 <= status < 300]
        counts.expect(not bad, f"answers were {sorted(set(bad))}")
        counts.notes.append(f"the slowest call {max(seconds for _, seconds in api.answers):.1f} s")
        return counts


def _run_with_fault(
    stack: ChaosStack, rng: random.Random, fault: Callable[[RabbitMQ], None], *, messages: int
) -> Counts:
    """Ask for codes before, during and after a fault of the broker."""
    with rabbitmq(stack.folder / "rabbitmq") as node, _running_on(stack, node) as api:
        stack.providers["one"].control.set("ok", slow=0.1)
        asking = ask_evenly(api, messages, 20)
        time.sleep(rng.uniform(2, 3))
        stack.alarms.fault_begins()
        fault(node)
        stack.alarms.fault_ends()
        returned_at = time.time()
        wait_for_all(asking)
        return check_outage(api, stack, returned_at)


@contextmanager
def _running_on(stack: ChaosStack, node: RabbitMQ) -> Iterator[ApiClient]:
    with stack.rewired(stack.programs, {"BROKER_URL": node.url}):
        yield stack.ready()


def check_outage(api: ApiClient, stack: ChaosStack, returned_at: float) -> Counts:
    """Check the invariants, the waits of codes, the answers of the API meanwhile, and that sweeps run again."""
    stopped = [each.name for each in stack.programs if not each.is_running()]  # the aftermath starts them again
    counts = recover_and_check(api, stack)
    counts.expect(not stopped, f"ended: {', '.join(stopped)}")
    waited = max(_waits(api, stack, returned_at), default=0.0)
    counts.expect(waited <= MAX_DELAY, f"a code left {waited:.1f} s after the broker's return, or its request")
    bad = [status for status, _ in api.answers if not 200 <= status < 300]
    counts.expect(not bad, f"answers were {sorted(set(bad))}")
    counts.expect(_sweeps_run(api, stack), "no sweep ran within 10 s")
    slowest = max(seconds for _, seconds in api.answers)
    counts.notes.append(f"the last code {waited:.1f} s after the return, the slowest call {slowest:.1f} s")
    return counts


def _waits(api: ApiClient, stack: ChaosStack, returned_at: float) -> list[float]:
    """Seconds from when each code could leave until a provider had it."""
    asked = {
        str(row[0]): float(row[1])
        for row in stack.sql(
            "SELECT id, extract(epoch FROM created_at)::float8 FROM messaging_message"
            " WHERE created_at >= to_timestamp(%s)",
            api.since,
        )
    }
    arrivals = [each for log in stack.arrival_logs for each in log.arrivals() if each.message in asked]
    return [each.at - max(asked[each.message], returned_at) for each in arrivals]


def _sweeps_run(api: ApiClient, stack: ChaosStack) -> bool:
    """Expire a code and wait until a sweep, the only thing that closes it, has run."""
    token = api.accepted[0].token
    stack.sql(
        "UPDATE tokens_verificationtoken SET expires_at = now() - '1 s'::interval"
        " WHERE id = %s AND outcome = 'PENDIENTE'",
        token,
    )
    left = "SELECT count(*) FROM tokens_verificationtoken WHERE id = %s AND outcome = 'PENDIENTE'"
    return wait_until(lambda: stack.sql(left, token) == [(0,)], MAX_DELAY)
