"""Redis and PostgreSQL: frozen, forgetful, half open, killed, cut."""

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from bench.report import percentile
from chaos.checker import Counts, aftermath
from chaos.kills import ended, spread
from chaos.standing import Field, Front
from config.run.processes import send

PROMISED = 2.0
"""Seconds: the 99th percentile of the API while Redis does not answer."""


def redis_frozen(stack: Field, dice: random.Random, *, calls: int) -> Counts:
    """Redis hears and does not answer; the API does."""
    front = stack.ready()
    with stack.redis.frozen(), ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(front.ask) for _ in range(calls // 2)]:
            each.result()
    return _answers_were_well(front, stack, calls)


def redis_half_open(stack: Field, dice: random.Random, *, messages: int, seconds: float) -> Counts:
    """The lines to Redis are up, and nothing comes through, for everybody at once."""
    line = stack.redis_line
    with stack.rewired(stack.programs, {"REDIS_URL": f"redis://127.0.0.1:{line.port}/0"}):
        front = stack.ready()
        asking = spread(front, messages, seconds)
        time.sleep(dice.uniform(0, 1))
        line.freeze()
        ended(asking)
        line.heal()
        return _answers_were_well(front, stack, 2 * messages)


def redis_forgets(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """FLUSHALL, three times, while codes are asked for and sent."""
    front = stack.ready()
    stack.companies["one"].orders.give("ok", slow=0.1)
    asking = spread(front, messages, 4)
    for _ in range(3):
        time.sleep(dice.uniform(0.3, 1.2))
        with stack.keys() as keys:
            keys.flushall()
    ended(asking)
    return _answers_were_well(front, stack, 2 * messages)


def postgres_dies(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """kill -9 of the whole server in the middle of everything; it replays its log and comes back."""
    front = stack.ready()
    stack.companies["one"].orders.give("ok", slow=0.2)
    asking = spread(front, messages, 8)
    time.sleep(dice.uniform(1.5, 3))
    send(stack.postgres.pids(), signal.SIGKILL)
    ended(asking)
    return _only_503(front, stack)


def backends_terminated(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """Every session ended by the administrator, five times, in mid-request and in mid-send."""
    front = stack.ready()
    stack.companies["one"].orders.give("ok", slow=0.2)
    asking = spread(front, messages, 6)
    for _ in range(5):
        time.sleep(dice.uniform(0.5, 1.2))
        stack.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = 'aval' AND usename IN ('aval_run', 'aval_owner') AND pid <> pg_backend_pid()"
        )
    ended(asking)
    return _only_503(front, stack)


def postgres_half_open(stack: Field, dice: random.Random, *, messages: int, seconds: float) -> Counts:
    """The lines of web and worker to PostgreSQL are up, and nothing comes through; then they are cut."""
    line = stack.postgres_line
    who = stack.servers.database_url.partition("@")[0]
    with stack.rewired([stack.web, stack.worker], {"DATABASE_URL": f"{who}@127.0.0.1:{line.port}/aval"}):
        front = stack.ready()
        stack.companies["one"].orders.give("ok", slow=0.2)
        asking = spread(front, messages, seconds)
        time.sleep(dice.uniform(0.5, 1))
        lines = line.connections()
        line.freeze()
        time.sleep(seconds / 2)
        line.heal()
        ended(asking)
        counts = _only_503(front, stack)
        counts.expect(lines > 0, "nobody spoke over the line")
        slowest = max(each for _, each in front.answers)
        counts.notes.append(f"{lines} lines, the slowest call {slowest:.1f} s")
        return counts


def _answers_were_well(front: Front, stack: Field, calls: int) -> Counts:
    counts = aftermath(front, stack)
    bad = [status for status, _ in front.answers if not 200 <= status < 300]
    slowest = percentile([each for _, each in front.answers], 99)
    counts.expect(len(front.answers) >= calls and not bad, f"{len(front.answers)} calls, not well: {bad}")
    counts.expect(slowest < PROMISED, f"the 99th percentile is {slowest:.2f} s")
    counts.notes.append(f"{len(front.answers)} calls, p99 {slowest:.2f} s")
    return counts


def _only_503(front: Front, stack: Field) -> Counts:
    counts = aftermath(front, stack)
    statuses = {status for status, _ in front.answers}
    counts.expect(statuses <= {200, 201, 503}, f"answers were {sorted(statuses)}")
    refused = sum(status == 503 for status, _ in front.answers)
    counts.notes.append(f"{refused} of {len(front.answers)} calls 503")
    return counts
