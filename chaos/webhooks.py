"""Scenarios of the dispatcher of webhooks: killed amid deliveries, and stopped until its alarm has come.

What partners are promised (docs/guia/9-webhooks.md): each event arrives, perhaps again with the same id, in no order;
the feed has them in the order of their commits.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chaos.alarms import DISPATCHER
from chaos.checker import Counts, recover_and_check
from chaos.harness import ApiClient, ChaosStack
from config.run.processes import wait_until
from testkit.stack import PartnerKeys
from webhooks.tests.receiver import Receiver, receiving

LEASE = 45.0
"""Seconds for which what a dead dispatcher was trying keeps its endpoint's four slots: nothing else is tried there."""
ARRIVE_SECONDS = LEASE + 25.0
"""Limit from the dispatcher's return: the lease of what was being tried, and the tries."""
SLOW = 0.05
"""Seconds that a receiver takes, so that a kill meets tries under way."""


@dataclass
class Hook:
    """A partner with an endpoint, and what became of its events."""

    keys: PartnerKeys
    receiver: Receiver
    written: list[str]


def dispatcher_killed(stack: ChaosStack, rng: random.Random, *, events: int, kills: int) -> Counts:
    """`kill -9` of the only dispatcher amid tries, several times; each time it is started again."""
    api = stack.ready()
    with _hooks(stack) as hooks, stack.program("webhooks").running() as dispatcher:
        for _ in range(kills):
            before = _arrived(hooks)
            _write(stack, hooks, events // kills)
            tries = wait_until(lambda before=before: _arrived(hooks) > before, LEASE + 30)  # type: ignore[misc]
            assert tries, "it tries"
            time.sleep(rng.uniform(0, 0.5))
            dispatcher.restart()
        stack.alarms.fault_ends()
        return _count(api, stack, hooks, _until_arrived(hooks))


def dispatcher_frozen(stack: ChaosStack, rng: random.Random, *, events: int) -> Counts:
    """The only dispatcher is stopped amid tries until its alarm has come, and goes on."""
    api = stack.ready()
    with _hooks(stack) as hooks, stack.program("webhooks").running() as dispatcher:
        _write(stack, hooks, events // 2)
        assert wait_until(lambda: _arrived(hooks) > 0, 30), "it tries"
        time.sleep(rng.uniform(0, 0.5))
        dispatcher.freeze()
        stack.alarms.fault_begins()
        _write(stack, hooks, events // 2)
        stack.alarms.wait_for(DISPATCHER)
        dispatcher.thaw()
        stack.alarms.fault_ends()
        return _count(api, stack, hooks, _until_arrived(hooks))


@contextmanager
def _hooks(stack: ChaosStack) -> Iterator[list[Hook]]:
    """Two partners with an endpoint each; it is removed afterwards."""
    with receiving() as one, receiving() as two:
        hooks = []
        for receiver in (one, two):
            receiver.answer = _slow
            keys = stack.new_partner("Webhooks")
            answer = stack.http.post(
                "/partners/v1/webhooks", json={"url": receiver.url}, headers={"Authorization": f"Bearer {keys.token}"}
            )
            assert answer.status_code == 201, answer.text
            hooks.append(Hook(keys, receiver, []))
        try:
            yield hooks
        finally:
            for hook in hooks:
                stack.sql(
                    "DELETE FROM webhooks_delivery WHERE endpoint_id IN (SELECT id FROM webhooks_endpoint"
                    " WHERE partner_id = %s)",
                    hook.keys.id,
                )
                stack.sql("DELETE FROM webhooks_endpoint WHERE partner_id = %s", hook.keys.id)


def _slow(received: object) -> int:
    time.sleep(SLOW)
    return 204


def _write(stack: ChaosStack, hooks: list[Hook], count: int) -> None:
    """Write events of both partners, in transactions of ten."""
    for hook in hooks:
        for first in range(0, count, 10):
            rows = stack.sql(
                "INSERT INTO clients_partnerevent (partner_id, type, subject, at, data)"
                " SELECT %s, 'key.expiring', n::text, now(), '{\"days\": 7}' FROM generate_series(1, %s) AS n"
                " RETURNING id",
                hook.keys.id,
                min(10, count - first),
            )
            hook.written += [f"evt_{row[0]}" for row in rows]


def _arrived(hooks: list[Hook]) -> int:
    return sum(len(hook.receiver.received) for hook in hooks)


def _until_arrived(hooks: list[Hook]) -> float:
    """Wait until every event has arrived, and return the seconds that it took."""
    began = time.monotonic()
    wait_until(lambda: all(set(hook.written) <= set(hook.receiver.ids) for hook in hooks), ARRIVE_SECONDS)
    return time.monotonic() - began


def _count(api: ApiClient, stack: ChaosStack, hooks: list[Hook], recovery: float) -> Counts:
    """Counts of the events of both partners; of the feed, that it has them in their order."""
    counts = recover_and_check(api, stack)
    counts.recovery = recovery
    repeated = 0
    for hook in hooks:
        arrived = Counter(hook.receiver.ids)
        missing = [each for each in hook.written if each not in arrived]
        for each in missing:
            counts.broken("lost", f"{each} of partner {hook.keys.id} did not arrive")
        counts.expect(set(arrived) <= set(hook.written), "an event of somebody else arrived")
        bodies = {(each.webhook_id, each.body) for each in hook.receiver.received}
        counts.expect(len(bodies) == len(arrived), "an event was repeated with another body")
        counts.expect(_feed(stack, hook) == hook.written, "the feed has other events, or another order")
        counts.accepted += len(hook.written)
        counts.once += sum(number == 1 for number in arrived.values())
        repeated += sum(number > 1 for number in arrived.values())
    counts.notes.append(f"{repeated} events arrived again, with the same id")
    return counts


def _feed(stack: ChaosStack, hook: Hook) -> list[str]:
    answer = stack.http.get(
        "/partners/v1/events", params={"limit": 1000}, headers={"Authorization": f"Bearer {hook.keys.token}"}
    )
    return [each["id"] for each in json.loads(answer.text)["events"]]
