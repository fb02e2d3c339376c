"""Providers that misbehave: silent, refusing, busy, broken, and with receipts that come when they like."""

import random
import time

from chaos.checker import Counts, aftermath
from chaos.kills import ended, spread
from chaos.standing import Field
from config.run.processes import wait_until

LEAVES_WITHIN = 15.0
"""Seconds for fifty codes due at once while the preferred provider says nothing."""
EVERY_MOOD = ("ok", "broken", "accepted", "away", "ok", "cut_before", "throttled", "cut_after")


def one_of_two_is_silent(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """The preferred provider takes calls and never answers; the other one is well."""
    front = stack.ready()
    stack.companies["one"].orders.give("silent")
    stack.worker.freeze()
    for _ in range(messages):
        front.ask()
    began = time.time()
    stack.worker.thaw()
    ours = {each.to for each in front.accepted}
    logs = stack.companies["one"].book, stack.companies["two"].book
    wait_until(lambda: ours <= {each.to for log in logs for each in log.arrivals()}, 2 * LEAVES_WITHIN)
    last = max(each.at for log in logs for each in log.arrivals()) - began
    time.sleep(11)  # the silent one's calls reach their own deadline: its silence lasts as long
    counts = aftermath(front, stack)
    counts.expect(last < LEAVES_WITHIN, f"the last one left after {last:.1f} s")
    counts.expect(0 < counts.unknown <= 10, f"{counts.unknown} UNKNOWN: one provider gets ten calls at once")
    counts.notes.append(f"the last one left after {last:.1f} s")
    return counts


def half_open(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """The line to the preferred provider connects and takes, and brings nothing there; after a while it is cut."""
    front = stack.ready()
    stack.companies["one"].line.freeze()
    ended(spread(front, messages, 3))
    time.sleep(dice.uniform(8, 12))
    counts = aftermath(front, stack)
    counts.expect(0 < counts.unknown <= 10, f"{counts.unknown} UNKNOWN: one provider gets ten calls at once")
    return counts


def failover(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """The preferred provider refuses connections: set aside, and back in the row when it is well again."""
    front = stack.ready()
    one, two = stack.companies["one"], stack.companies["two"]
    one.line.refuse()
    ended(spread(front, messages, 3))
    aside = "SELECT count(*) FROM messaging_providerstate WHERE name = %s AND set_aside_at IS NOT NULL"
    set_aside = wait_until(lambda: stack.sql(aside, one.gateway) == [(1,)], 10)
    ours = {each.to for each in front.accepted}
    by_two = wait_until(lambda: ours <= {each.to for each in two.book.arrivals()}, 10)
    one.line.listen()
    stack.sql("UPDATE messaging_providerstate SET until = now()")  # its half minute, passed
    back = wait_until(lambda: front.ask() is not None and stack.sql(aside, one.gateway) == [(0,)], 10)
    before = len(one.book)
    front.ask()
    again = wait_until(lambda: len(one.book) > before, 5)
    counts = aftermath(front, stack)
    counts.expect(set_aside, "it was not set aside")
    counts.expect(by_two, "not all went by the second")
    counts.expect(back and again, "it did not come back")
    counts.expect(counts.unknown == 0, f"{counts.unknown} UNKNOWN, though every refusal was clear")
    return counts


def throttled(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """Both providers are too busy for some seconds and say for how long: nobody loses a try."""
    front = stack.ready()
    for name in ("one", "two"):
        stack.companies[name].orders.give("throttled", retry_after=2)
    asking = spread(front, messages, 2)
    time.sleep(dice.uniform(3, 5))
    ended(asking)
    for name in ("one", "two"):
        stack.companies[name].orders.give("ok")
    counts = aftermath(front, stack)
    tokens = [each.token for each in front.accepted]
    tries = stack.sql("SELECT DISTINCT attempts FROM messaging_message WHERE reference = ANY(%s::uuid[])", tokens)
    counts.expect(tries == [(1,)], f"attempts are {tries}, not 1 each")
    counts.expect(counts.unknown == 0, f"{counts.unknown} UNKNOWN, though every refusal was clear")
    return counts


def every_mood(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """The preferred provider in another mood at each request, the other one slow; judged anew after every ten, until
    something was unclear."""
    front = stack.ready()
    moods = dice.sample(EVERY_MOOD, len(EVERY_MOOD))
    stack.companies["one"].orders.give(*moods, slow=0.1)
    stack.companies["two"].orders.give("ok", slow=1.0)
    unclear = "SELECT count(*) FROM messaging_message WHERE state = 'UNKNOWN' AND created_at >= to_timestamp(%s)"
    for ten in range(10):
        if ten >= messages // 10 and stack.sql(unclear, front.since) != [(0,)]:
            break
        ended(spread(front, 10, 0.5))
        stack.sql("DELETE FROM messaging_providerstate")
    counts = aftermath(front, stack)
    counts.expect(counts.unknown > 0, "no call was unclear: the moods were not met")
    return counts


def receipts(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """Before the answer, twice, out of order; by Twilio and by Meta: every row ends DELIVERED."""
    front = stack.ready()
    for order in dice.sample(["early", "twice", "unordered"], 3):
        for name, via in (("one", "S"), ("meta", "W")):
            stack.companies[name].orders.give("ok", receipts=order)
            ended(spread(front, messages // 6, 0.5, via))
        tokens = [each.token for each in front.accepted]
        wait_until(lambda tokens=tokens: _delivered(stack, tokens) == len(tokens), 10)  # type: ignore[misc]
    counts = aftermath(front, stack)
    counts.expect(counts.delivered == counts.accepted, f"only {counts.delivered} are DELIVERED")
    return counts


def mail(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """Codes by mail to a server that says 421, 451 or 550, hangs up with the mail in its hands, or says nothing."""
    front = stack.ready()
    moods = ["ok", "421", "451", "550", "ok", "cut", "silent", "silent_after"]
    stack.companies["mail"].orders.give(*dice.sample(moods, len(moods)))
    ended(spread(front, messages, 4, "C"))
    time.sleep(12)  # those that met silence give up; those refused for now come again
    counts = aftermath(front, stack, excused={"FAILED"})
    counts.expect(counts.unknown > 0, "no mail was unclear: the moods were not met")
    counts.expect(counts.excused > 0, "nobody was told 550")
    return counts


def _delivered(stack: Field, tokens: list[str]) -> int:
    of_these = "SELECT count(*) FROM messaging_message WHERE reference = ANY(%s::uuid[]) AND state = 'DELIVERED'"
    return int(stack.sql(of_these, tokens)[0][0])
