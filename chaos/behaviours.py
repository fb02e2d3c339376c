"""Scenarios of faulty providers: silent, refusing, throttling, broken, and with receipts at the wrong time."""

import random
import time

from chaos.alarms import PROVIDER
from chaos.checker import Counts, recover_and_check
from chaos.harness import ChaosStack
from chaos.kills import ask_evenly, wait_for_all
from config.run.processes import wait_until

MAX_SECONDS = 15.0
"""Limit for fifty codes due at once while the preferred provider does not answer."""
BEHAVIOURS = ("ok", "broken", "accepted", "away", "ok", "cut_before", "throttled", "cut_after")


def one_of_two_is_silent(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """The preferred provider accepts calls and never answers; the other one works."""
    api = stack.ready()
    stack.providers["one"].control.set("silent")
    stack.worker.freeze()
    for _ in range(messages):
        api.ask()
    began = time.time()
    stack.alarms.fault_begins()
    stack.worker.thaw()
    ours = {each.to for each in api.accepted}
    logs = stack.providers["one"].journal, stack.providers["two"].journal
    wait_until(lambda: ours <= {each.to for log in logs for each in log.arrivals()}, 2 * MAX_SECONDS)
    last = max(each.at for log in logs for each in log.arrivals()) - began
    time.sleep(11)  # until the calls to the silent provider reach their own deadline
    counts = recover_and_check(api, stack)
    counts.expect(last < MAX_SECONDS, f"the last one left after {last:.1f} s")
    counts.expect(0 < counts.unknown <= 10, f"{counts.unknown} UNKNOWN: one provider gets ten calls at once")
    counts.notes.append(f"the last one left after {last:.1f} s")
    return counts


def half_open(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Connections to the preferred provider open but carry nothing; after a while they are cut."""
    api = stack.ready()
    stack.providers["one"].proxy.freeze()
    wait_for_all(ask_evenly(api, messages, 3))
    time.sleep(rng.uniform(8, 12))
    counts = recover_and_check(api, stack)
    counts.expect(0 < counts.unknown <= 10, f"{counts.unknown} UNKNOWN: one provider gets ten calls at once")
    return counts


def failover(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """The preferred provider refuses connections: its circuit breaker opens, and closes once it works again."""
    api = stack.ready()
    one, two = stack.providers["one"], stack.providers["two"]
    one.proxy.refuse()
    stack.alarms.fault_begins()
    wait_for_all(ask_evenly(api, messages, 3))
    is_open = "SELECT count(*) FROM messaging_providerstate WHERE name = %s AND set_aside_at IS NOT NULL"
    opened = wait_until(lambda: stack.sql(is_open, one.gateway) == [(1,)], 10)
    stack.alarms.wait_for(PROVIDER)
    ours = {each.to for each in api.accepted}
    by_two = wait_until(lambda: ours <= {each.to for each in two.journal.arrivals()}, 10)
    one.proxy.listen()
    stack.sql("UPDATE messaging_providerstate SET until = now()")  # as if its 30 seconds were over
    closed = wait_until(lambda: api.ask() is not None and stack.sql(is_open, one.gateway) == [(0,)], 10)
    before = len(one.journal)
    api.ask()
    again = wait_until(lambda: len(one.journal) > before, 5)
    counts = recover_and_check(api, stack)
    counts.expect(opened, "it was not set aside")
    counts.expect(by_two, "not all went by the second")
    counts.expect(closed and again, "it did not come back")
    counts.expect(counts.unknown == 0, f"{counts.unknown} UNKNOWN, though every refusal was clear")
    return counts


def throttled(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Both providers throttle for some seconds and say for how long: no message loses an attempt."""
    api = stack.ready()
    for name in ("one", "two"):
        stack.providers[name].control.set("throttled", retry_after=2)
    asking = ask_evenly(api, messages, 2)
    time.sleep(rng.uniform(3, 5))
    wait_for_all(asking)
    for name in ("one", "two"):
        stack.providers[name].control.set("ok")
    counts = recover_and_check(api, stack)
    tokens = [each.token for each in api.accepted]
    tries = stack.sql("SELECT DISTINCT attempts FROM messaging_message WHERE reference = ANY(%s::uuid[])", tokens)
    counts.expect(tries == [(1,)], f"attempts are {tries}, not 1 each")
    counts.expect(counts.unknown == 0, f"{counts.unknown} UNKNOWN, though every refusal was clear")
    return counts


def every_behaviour(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """The preferred provider changes its behaviour at each request, the other one is slow. Breakers are reset after
    every ten requests, until an outcome was unclear."""
    api = stack.ready()
    behaviours = rng.sample(BEHAVIOURS, len(BEHAVIOURS))
    stack.providers["one"].control.set(*behaviours, slow=0.1)
    stack.providers["two"].control.set("ok", slow=1.0)
    unclear = "SELECT count(*) FROM messaging_message WHERE state = 'UNKNOWN' AND created_at >= to_timestamp(%s)"
    for batch in range(10):
        if batch >= messages // 10 and stack.sql(unclear, api.since) != [(0,)]:
            break
        wait_for_all(ask_evenly(api, 10, 0.5))
        stack.sql("DELETE FROM messaging_providerstate")
    counts = recover_and_check(api, stack)
    counts.expect(counts.unknown > 0, "no call was unclear: the behaviours were not met")
    return counts


def receipts(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Receipts before the answer, twice or out of order, from Twilio and Meta: every row ends DELIVERED."""
    api = stack.ready()
    for order in rng.sample(["early", "twice", "unordered"], 3):
        for name, via in (("one", "S"), ("meta", "W")):
            stack.providers[name].control.set("ok", receipts=order)
            wait_for_all(ask_evenly(api, messages // 6, 0.5, via))
        tokens = [each.token for each in api.accepted]
        wait_until(lambda tokens=tokens: _delivered(stack, tokens) == len(tokens), 10)  # type: ignore[misc]
    counts = recover_and_check(api, stack)
    counts.expect(counts.delivered == counts.accepted, f"only {counts.delivered} are DELIVERED")
    return counts


def mail(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """Codes by mail to a server that replies 421, 451 or 550, disconnects after DATA, or does not answer."""
    api = stack.ready()
    behaviours = ["ok", "421", "451", "550", "ok", "cut", "silent", "silent_after"]
    stack.providers["mail"].control.set(*rng.sample(behaviours, len(behaviours)))
    wait_for_all(ask_evenly(api, messages, 4, "C"))
    time.sleep(12)  # unanswered mails time out; temporarily refused ones are retried
    counts = recover_and_check(api, stack, excused={"FAILED"})
    counts.expect(counts.unknown > 0, "no mail was unclear: the behaviours were not met")
    counts.expect(counts.excused > 0, "no message was refused with 550")
    return counts


def _delivered(stack: ChaosStack, tokens: list[str]) -> int:
    of_these = "SELECT count(*) FROM messaging_message WHERE reference = ANY(%s::uuid[]) AND state = 'DELIVERED'"
    return int(stack.sql(of_these, tokens)[0][0])
