"""Scenarios of Redis and PostgreSQL: frozen, flushed, half open, killed, sessions terminated."""

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from bench.report import percentile
from chaos.alarms import BROKER
from chaos.checker import Counts, recover_and_check
from chaos.harness import ApiClient, ChaosStack
from chaos.kills import ask_evenly, wait_for_all
from config.run.processes import send

MAX_P99 = 2.0
"""Seconds that the 99th percentile of the API's answers may take while Redis does not answer."""


def redis_frozen(stack: ChaosStack, rng: random.Random, *, calls: int) -> Counts:
    """Redis is frozen until its alarm has come; the API still answers."""
    api = stack.ready()
    with stack.redis.frozen(), ThreadPoolExecutor(4) as pool:
        stack.alarms.fault_begins()
        for each in [pool.submit(api.ask) for _ in range(calls // 2)]:
            each.result()
        stack.alarms.wait_for(BROKER)
    return _all_succeeded(api, stack, calls)


def redis_half_open(stack: ChaosStack, rng: random.Random, *, messages: int, seconds: float) -> Counts:
    """Connections to Redis stay open and carry nothing, for all processes at once, until the alarm has come."""
    proxy = stack.redis_proxy
    with stack.rewired(stack.programs, {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}):
        api = stack.ready()
        asking = ask_evenly(api, messages, seconds)
        time.sleep(rng.uniform(0, 1))
        proxy.freeze()
        stack.alarms.fault_begins()
        wait_for_all(asking)
        stack.alarms.wait_for(BROKER)
        proxy.heal()
        return _all_succeeded(api, stack, 2 * messages)


def redis_forgets(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Three times FLUSHALL while codes are asked for and sent."""
    api = stack.ready()
    stack.providers["one"].control.set("ok", slow=0.1)
    asking = ask_evenly(api, messages, 4)
    for _ in range(3):
        time.sleep(rng.uniform(0.3, 1.2))
        with stack.keys() as keys:
            keys.flushall()
    wait_for_all(asking)
    return _all_succeeded(api, stack, 2 * messages)


def postgres_dies(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """`kill -9` of the whole server under load; it recovers from its write-ahead log."""
    api = stack.ready()
    stack.providers["one"].control.set("ok", slow=0.2)
    asking = ask_evenly(api, messages, 8)
    time.sleep(rng.uniform(1.5, 3))
    send(stack.postgres.pids(), signal.SIGKILL)
    wait_for_all(asking)
    return _only_503(api, stack)


def backends_terminated(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Five times `pg_terminate_backend` of every session, amid requests and sends."""
    api = stack.ready()
    stack.providers["one"].control.set("ok", slow=0.2)
    asking = ask_evenly(api, messages, 6)
    for _ in range(5):
        time.sleep(rng.uniform(0.5, 1.2))
        stack.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = 'aval' AND usename IN ('aval_run', 'aval_owner') AND pid <> pg_backend_pid()"
        )
    wait_for_all(asking)
    return _only_503(api, stack)


def postgres_half_open(stack: ChaosStack, rng: random.Random, *, messages: int, seconds: float) -> Counts:
    """Connections of web and worker to PostgreSQL stay open and carry nothing; then they are cut."""
    proxy = stack.postgres_proxy
    who = stack.servers.database_url.partition("@")[0]
    with stack.rewired([stack.web, stack.worker], {"DATABASE_URL": f"{who}@127.0.0.1:{proxy.port}/aval"}):
        api = stack.ready()
        stack.providers["one"].control.set("ok", slow=0.2)
        asking = ask_evenly(api, messages, seconds)
        time.sleep(rng.uniform(0.5, 1))
        connections = proxy.connections()
        proxy.freeze()
        time.sleep(seconds / 2)
        proxy.heal()
        wait_for_all(asking)
        counts = _only_503(api, stack)
        counts.expect(connections > 0, "no connection went through the proxy")
        slowest = max(each for _, each in api.answers)
        counts.notes.append(f"{connections} connections, the slowest call {slowest:.1f} s")
        return counts


def _all_succeeded(api: ApiClient, stack: ChaosStack, calls: int) -> Counts:
    counts = recover_and_check(api, stack)
    bad = [status for status, _ in api.answers if not 200 <= status < 300]
    slowest = percentile([each for _, each in api.answers], 99)
    counts.expect(len(api.answers) >= calls and not bad, f"{len(api.answers)} calls, failed: {bad}")
    counts.expect(slowest < MAX_P99, f"the 99th percentile is {slowest:.2f} s")
    counts.notes.append(f"{len(api.answers)} calls, p99 {slowest:.2f} s")
    return counts


def _only_503(api: ApiClient, stack: ChaosStack) -> Counts:
    counts = recover_and_check(api, stack)
    statuses = {status for status, _ in api.answers}
    counts.expect(statuses <= {200, 201, 503}, f"answers were {sorted(statuses)}")
    refused = sum(status == 503 for status, _ in api.answers)
    counts.notes.append(f"{refused} of {len(api.answers)} calls 503")
    return counts
