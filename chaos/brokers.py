"""RabbitMQ as the broker: killed, restarted, frozen, and two of each process on one host."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chaos.checker import Counts, aftermath
from chaos.kills import ended, spread
from chaos.rabbitmq import RabbitMQ, rabbitmq
from chaos.standing import Field, Front
from config.run.processes import wait_until

PROMISED = 10.0
"""Seconds from the broker's return, or from the request where that was later, until a code has left."""
AWAY = 6.0
"""Seconds that the broker is away at least: longer than a circuit breaker's pause."""


def broker_killed(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """kill -9, and the same node again some seconds later."""

    def fault(node: RabbitMQ) -> None:
        node.kill()
        time.sleep(AWAY + dice.uniform(0, 2))
        node.start()

    return _broken(stack, dice, fault, messages=messages)


def broker_restarted(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """Told to end and started again, twice: every connection is closed by the broker."""

    def fault(node: RabbitMQ) -> None:
        node.restart()
        time.sleep(dice.uniform(1, 2))
        node.restart()

    return _broken(stack, dice, fault, messages=messages)


def broker_frozen(stack: Field, dice: random.Random, *, messages: int, seconds: float) -> Counts:
    """It hears and does not answer, for longer than workers wait for a heartbeat; then it goes on."""

    def fault(node: RabbitMQ) -> None:
        with node.frozen():
            time.sleep(seconds + dice.uniform(0, 2))

    return _broken(stack, dice, fault, messages=messages)


def two_of_each(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """Two workers, two periodic processes and two beats on one host; then the broker is killed under them."""
    (stack.folder / "second").mkdir(exist_ok=True)
    with rabbitmq(stack.folder / "rabbitmq") as node:
        own = {"DATA_DIR": str(stack.folder / "second"), "BROKER_URL": node.url}
        seconds = [stack.program(name, f"second-{name}", **own) for name in ("worker", "periodic", "beat")]
        try:
            with _on(stack, node) as front:
                for each in seconds:
                    each.start()
                asking = spread(front, messages, 16)
                time.sleep(dice.uniform(3, 4))
                node.kill()
                node.start()
                back = time.time()
                ended(asking)
                ran = [each.is_running() for each in seconds]
                counts = counted(front, stack, back)
                counts.expect(all(ran), "a second process ended")
                for program in (*seconds, *stack.programs):
                    counts.expect(
                        "RESOURCE_LOCKED" not in program.log.read_text(), f"{program.log.name}: RESOURCE_LOCKED"
                    )
                return counts
        finally:
            for each in seconds:
                each.kill()


def _broken(stack: Field, dice: random.Random, fault: Callable[[RabbitMQ], None], *, messages: int) -> Counts:
    """Codes are asked for before, during and after a fault of the broker."""
    with rabbitmq(stack.folder / "rabbitmq") as node, _on(stack, node) as front:
        stack.companies["one"].orders.give("ok", slow=0.1)
        asking = spread(front, messages, 20)
        time.sleep(dice.uniform(2, 3))
        fault(node)
        back = time.time()
        ended(asking)
        return counted(front, stack, back)


@contextmanager
def _on(stack: Field, node: RabbitMQ) -> Iterator[Front]:
    with stack.rewired(stack.programs, {"BROKER_URL": node.url}):
        yield stack.ready()


def counted(front: Front, stack: Field, back: float) -> Counts:
    """The invariants, how long codes waited, how the API answered meanwhile, and that sweeps run again."""
    ended_early = [each.name for each in stack.programs if not each.is_running()]  # the aftermath starts them again
    counts = aftermath(front, stack)
    counts.expect(not ended_early, f"ended: {', '.join(ended_early)}")
    waited = max(_waited(front, stack, back), default=0.0)
    counts.expect(waited <= PROMISED, f"a code left {waited:.1f} s after the broker's return, or its request")
    bad = [status for status, _ in front.answers if not 200 <= status < 300]
    counts.expect(not bad, f"answers were {sorted(set(bad))}")
    counts.expect(_sweeps_run(front, stack), "no sweep ran within 10 s")
    slowest = max(seconds for _, seconds in front.answers)
    counts.notes.append(f"the last code {waited:.1f} s after the return, the slowest call {slowest:.1f} s")
    return counts


def _waited(front: Front, stack: Field, back: float) -> list[float]:
    """Seconds from when each code could leave until a provider had it."""
    asked = {
        str(row[0]): float(row[1])
        for row in stack.sql(
            "SELECT id, extract(epoch FROM created_at)::float8 FROM messaging_message"
            " WHERE created_at >= to_timestamp(%s)",
            front.since,
        )
    }
    arrivals = [each for log in stack.logs_of_all for each in log.arrivals() if each.message in asked]
    return [each.at - max(asked[each.message], back) for each in arrivals]


def _sweeps_run(front: Front, stack: Field) -> bool:
    """A code whose time is up is closed by a sweep alone."""
    token = front.accepted[0].token
    stack.sql(
        "UPDATE tokens_verificationtoken SET expires_at = now() - '1 s'::interval"
        " WHERE id = %s AND outcome = 'PENDIENTE'",
        token,
    )
    left = "SELECT count(*) FROM tokens_verificationtoken WHERE id = %s AND outcome = 'PENDIENTE'"
    return wait_until(lambda: stack.sql(left, token) == [(0,)], PROMISED)
