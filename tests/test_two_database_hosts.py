"""Two PostgreSQL hosts in DATABASE_URL: the primary is lost under traffic and its replica takes over."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from config.embedded import stack as embedded
from config.run.processes import wait_until
from testkit.replication import OWNER, RUN, Pair, pair
from testkit.stack import Asked, Stack, exclusive_folder
from testkit.traffic import Traffic

RECOVERY_SECONDS = 30
"""Limit from the loss of the primary to the next code that arrives."""


@contextmanager
def running_on(servers: Pair, folder: Path) -> Iterator[Stack]:
    """An installation on the pair; its Redis is embedded."""
    with ExitStack() as stopping:
        exclusive_folder(folder, stopping)
        own = stopping.enter_context(embedded.stack(folder))
        urls = {"database_url": servers.url(RUN), "owner_url": servers.url(OWNER)}
        stack = Stack(folder, replace(own, **urls), {"LOG_LEVEL": "INFO"}, stopping)
        stopping.callback(stack.stop)
        stack.start()
        yield stack


class Callers:
    """Clients who ask for a code, one after another; those whose request was accepted."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.accepted: list[Asked] = []
        self.statuses: set[int] = set()

    def ask(self) -> None:
        """Raises httpx.TransportError: the web server itself never goes away."""
        person, phone = self.stack.person(), self.stack.phone()
        answer = self.stack.http.post("/v1/api/client", json=person)
        self.statuses.add(answer.status_code)
        if answer.status_code != 201:
            return
        client = answer.json()["data"]["id"]
        answer = self.stack.ask(client, phone)
        self.statuses.add(answer.status_code)
        if answer.status_code == 200:
            self.accepted.append(Asked(client, phone))


@pytest.mark.timeout(300)
def test_a_replica_takes_over_and_no_accepted_code_is_lost(tmp_path):
    with pair(tmp_path / "pair") as servers, running_on(servers, tmp_path / "stack") as stack:
        calls = Callers(stack)
        with Traffic(calls.ask, pause=0.05) as traffic:
            assert wait_until(lambda: len(calls.accepted) >= 20, 60)
            lost_at = time.monotonic()
            servers.fail_over()
            known = len(calls.accepted)
            assert wait_until(lambda: len(calls.accepted) >= known + 20, RECOVERY_SECONDS + 30)
            newest = calls.accepted[-1]
            assert wait_until(lambda: stack.code(newest.phone) is not None, 20)
            took = time.monotonic() - lost_at
        assert traffic.faults == []
        assert took <= RECOVERY_SECONDS + 10, f"{took:.0f} s"
        assert calls.statuses <= {200, 201, 503}, "an outage is told in the contract's words"
        assert wait_until(lambda: unsettled(stack, calls.accepted) == 0, 60)
        arrived = stack.arrivals(calls.accepted)
        states = stack.states(calls.accepted)
        assert max(arrived.values()) == 1, "nobody gets a code twice"
        missing = {phone: states[phone] for phone, count in arrived.items() if not count}
        assert set(missing.values()) <= {"UNKNOWN"}, missing
        assert len(missing) <= 16, "no more than were being handed over"


def unsettled(stack: Stack, asked: list[Asked]) -> int:
    return sum(state in ("QUEUED", "SENDING") for state in stack.states(asked).values())
