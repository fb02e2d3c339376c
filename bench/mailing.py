"""Benchmark of campaign mails: the bulk worker beside one smtplib connection with the same, prepared mails."""

import argparse
import smtplib
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.harness import bulk_worker, meter
from bench.partner import Partner
from bench.report import Row, share, table
from bench.sink import Sink, running_stack_with_sink
from bench.sizes import Sizes
from config.run.processes import wait_until

CAMPAIGN_SECONDS = 600.0
"""Limit for a campaign."""


def run(folder: Path, options: argparse.Namespace) -> None:
    sizes: Sizes = options.sizes
    print(f"\nemail: a campaign of {sizes.mails:,} to a local SMTP server; floor: one smtplib connection, ready mails")
    with ExitStack() as stopping:
        stack, sink = stopping.enter_context(running_stack_with_sink(folder))
        database = stopping.enter_context(stack.database())
        bulk = stopping.enter_context(bulk_worker(stack))
        partner = Partner(stack, database)
        partner.fill_clients(sizes.mails)
        used = meter(stack, bulk=bulk.pid, sink=sink.pid)
        ours, floor = Row("aval"), Row("smtplib")
        processor: list[dict[str, float]] = []
        for nth in range(-1, options.rounds):
            used.start()
            rate = campaign(partner, sink, sizes.mails)
            seconds = used.stop()
            ready = ready_mails(sink.example(), recipients(database))
            raw = raw_connection(sink, ready)
            if nth >= 0:  # the first round is for the caches
                ours.values.append(rate)
                floor.values.append(raw)
                processor.append({name: seconds[name] / sizes.mails * 1000 for name in ("bulk", "PostgreSQL", "sink")})
        ours.remark = share(processor)
        table("mails/s", [ours, floor], remarks="CPU s per 1,000 mails")
        print(f"a mail of {len(ready[0][1]):,} bytes; the bulk worker has its default of two threads")


def campaign(partner: Partner, sink: Sink, count: int) -> float:
    """Mails a second between the first and the last arrival."""
    sink.reset()
    launched = partner.launch(count)
    assert wait_until(lambda: sink.count().mails >= count, CAMPAIGN_SECONDS), sink.count()
    assert wait_until(lambda: partner.waiting(launched) == 0, CAMPAIGN_SECONDS), "all are settled"
    arrived = sink.count()
    assert arrived.mails == count, arrived
    return arrived.per_second


def recipients(database: "psycopg.Connection") -> list[str]:
    return [str(email) for (email,) in database.execute("SELECT email FROM clients_authorizedclient ORDER BY id")]


def ready_mails(example: bytes, addresses: list[str]) -> list[tuple[str, bytes]]:
    """The campaign's mail, addressed to each recipient."""
    written = next(address for address in addresses if address.encode() in example).encode()
    return [(address, example.replace(written, address.encode())) for address in addresses]


def raw_connection(sink: Sink, mails: list[tuple[str, bytes]]) -> float:
    """Mails a second between the first and the last arrival."""
    sink.reset()
    with smtplib.SMTP("127.0.0.1", sink.port, local_hostname="bench") as connection:
        for address, mail in mails:
            connection.sendmail("no-responder@localhost", [address], mail, mail_options=["BODY=8BITMIME"])
    count = sink.count()
    assert count.mails == len(mails), count
    return count.per_second
