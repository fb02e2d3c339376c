"""Benchmark of delivery latency: codes alone, and behind a waiting campaign.

The campaign is added to a table full of old messages with statistics from before it: for its first minute PostgreSQL
plans for an empty queue.

The time runs from before the request until the code can be read: in the sandbox outbox for an SMS, at the SMTP server
for a mail. The floor is the hand-written request of `bench.floor`, whose code is in the outbox when it answers.
"""

import argparse
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench import history
from bench.harness import bulk_worker, serving
from bench.partner import Partner
from bench.protocols import Client
from bench.report import percentile
from bench.sink import Sink, running_stack_with_sink
from bench.sizes import Sizes
from config.run.processes import wait_until
from testkit.stack import Stack

POLL_SECONDS = 0.002
"""Interval of the checks for a code: results are too long by half of it."""
PAUSE = 0.05
"""Seconds between codes: this measures one client, not load."""
CODE_TIMEOUT = 30.0
PERCENTS = (50, 95, 99)


def run(folder: Path, options: argparse.Namespace) -> None:
    sizes: Sizes = options.sizes
    print("\nlatency: ask until the code is there; floor: the answer of a hand-written ask; promise: 2 s, at p99 5 s")
    with ExitStack() as stopping:
        stack, sink = stopping.enter_context(running_stack_with_sink(folder))
        database = stopping.enter_context(stack.database())
        partner = Partner(stack, database)
        partner.fill_clients(sizes.queued)
        log = stack.folder / "logs" / "floor.log"
        floor, _ = stopping.enter_context(serving("bench.floor", log, stack.environment))
        clients = deque(history.register(database, 2 * 3 * (sizes.codes + 1)))
        history.tidy(database)
        stopping.enter_context(bulk_worker(stack))
        measurement = Measurement(stack, database, sink, floor, clients)
        measurement.measure_each(1)  # for the caches
        print_table("alone", measurement.measure_each(sizes.codes))
        sink.reset()
        partner.fill_sent_messages(sizes.messages)
        history.tidy(database)
        campaigns = Campaigns(partner, sink, sizes.queued)
        title = f"behind a campaign of {sizes.queued:,} over {sizes.messages:,} messages"
        print_table(title, measurement.measure_each(sizes.codes, campaigns.keep_one_running))
        print(f"(campaigns begun: {campaigns.launched}; {sink.count().mails:,} mails arrived meanwhile)")
        print(f"(statements that ran into their limit: {_timeouts(stack)})")


def _timeouts(stack: Stack) -> int:
    """Number of statement timeouts in PostgreSQL's log, which leaves out statements with personal data."""
    return sum(text.count("canceling statement due to statement timeout") for text in stack.logs().values())


class Campaigns:
    """Keeps one campaign with waiting messages under way."""

    def __init__(self, partner: Partner, sink: Sink, queued: int) -> None:
        self.partner, self.sink, self.queued = partner, sink, queued
        self.launched = 0
        self.current: int | None = None

    def keep_one_running(self) -> None:
        if self.current is None or self.partner.waiting(self.current) < self.queued // 10:
            self.current = self.partner.queue(self.queued)
            self.launched += 1
            left = self.sink.count().mails
            assert wait_until(lambda: self.sink.count().mails > left, CODE_TIMEOUT), "no campaign begins"


class Measurement:
    """Sequential requests for codes, timed until the code arrives."""

    def __init__(
        self, stack: Stack, database: "psycopg.Connection", sink: Sink, floor: int, clients: deque[Client]
    ) -> None:
        self.stack, self.database, self.sink, self.clients = stack, database, sink, clients
        self.floor_url = f"http://127.0.0.1:{floor}"

    def measure_each(self, count: int, before_each: Callable[[], None] = lambda: None) -> dict[str, list[float]]:
        """Seconds for `count` codes of each variant, in turn; the floor is the last."""
        variants = {"aval, SMS": self.sms, "aval, mail": self.mail, "floor": self.floor}
        found: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(count):
            for name, act in variants.items():
                before_each()
                found[name].append(act(self.clients.popleft()))
                time.sleep(PAUSE)
        return found

    def sms(self, client: Client) -> float:
        began = time.time()
        answer = self.stack.ask(client.id, client.phone)
        assert answer.status_code == 200, answer.text
        return self._wait_for(lambda: self._outbox_time(client)) - began

    def mail(self, client: Client) -> float:
        began = time.time()
        answer = self.stack.ask(client.id, via="C")
        assert answer.status_code == 200, answer.text
        address = f"{client.phone[1:]}@example.com"  # the address that bench.history registers
        return self._wait_for(lambda: self.sink.seen(address)) - began

    def floor(self, client: Client) -> float:
        call = self.stack.asking(client.id, client.phone)
        began = time.time()
        answer = self.stack.http.post(self.floor_url + call.url, content=call.body, headers=call.headers)
        assert answer.status_code == 200, answer.text
        return time.time() - began

    def _outbox_time(self, client: Client) -> float | None:
        found = self.database.execute('SELECT FROM messaging_sandboxmessage WHERE "to" = %s', [client.phone]).fetchone()
        return None if found is None else time.time()

    def _wait_for(self, arrived: Callable[[], float | None]) -> float:
        """Time of arrival in seconds since 1970."""
        end = time.monotonic() + CODE_TIMEOUT
        while (at := arrived()) is None:
            assert time.monotonic() < end, f"no code in {CODE_TIMEOUT} s"
            time.sleep(POLL_SECONDS)
        return at


def print_table(title: str, found: dict[str, list[float]]) -> None:
    floor = found["floor"]
    print(f"\n{title}, {len(floor)} codes each way")
    print(f"{'':12}" + "".join(f"{f'p{percent} ms':>10}" for percent in PERCENTS) + f"{'p50, p99 to the floor':>26}")
    for name, seconds in found.items():
        cells = "".join(f"{percentile(seconds, percent) * 1000:>10.1f}" for percent in PERCENTS)
        ratios = " / ".join(f"{percentile(seconds, each) / percentile(floor, each):.1f}" for each in (50, 99))
        print(f"{name:12}{cells}{ratios:>26}")
