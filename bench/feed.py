"""Benchmark of the feed of events: pages of a thousand over HTTP, and the same rows by a plain indexed SELECT."""

import argparse
import base64
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bench.harness import running_stack
from bench.report import Row, percentile, table
from testkit.stack import PartnerKeys

PAGE = 1000
PAGES = 40
"""Pages of a round, at places of chance."""
TARGET = 100
"""Milliseconds at the 95th percentile."""
SHARE = 2
"""One in so many events is of the partner that reads."""
RARE = "verification.locked"
"""One in two hundred events; a page looks at ten thousand."""

FILL = """
INSERT INTO clients_partnerevent (partner_id, xid, type, subject, at, data)
SELECT CASE WHEN n %% %(share)s = 0 THEN %(reader)s ELSE %(other)s END::bigint,
       (10 + n * (%(reached)s - 20) / %(count)s)::text::xid8,
       CASE WHEN n %% 200 = 0 THEN %(rare)s ELSE 'verification.sent' END, gen_random_uuid()::text,
       now() - (%(count)s - n) * interval '200 ms',
       jsonb_build_object('message_id', gen_random_uuid(), 'kind', 'verificacion', 'via', 'S', 'to', '9•• ••• 321')
FROM generate_series(1::bigint, %(count)s) AS n
"""
"""Events in the order of their places, below the transaction that the server has reached."""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'clients_partnerevent' AND indexname NOT LIKE '%pkey'
"""
COUNT_UP = "DO $$ BEGIN FOR each IN 1..{} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
TRANSACTIONS = 20_000
"""Transactions over which the events are spread."""
SELECT = """
SELECT id, type, subject, at, data FROM clients_partnerevent
WHERE partner_id = %s AND (xid, id) > (%s::text::xid8, %s) ORDER BY xid, id LIMIT 1000
"""
PLACES = "SELECT xid::text, id FROM clients_partnerevent WHERE partner_id = %s AND id >= %s ORDER BY id LIMIT 1"

Place = tuple[str, int]


def run(folder: Path, options: argparse.Namespace) -> None:
    count: int = options.sizes.events
    print(f"\nfeed: {PAGE} of {count:,} events over HTTP; floor: SELECT of the same rows, over a kept connection")
    with running_stack(folder, RATE_PER_PARTNER="1000000") as stack, stack.database() as database:
        reader, other = stack.new_partner("Lectora"), stack.new_partner("Otra")
        _fill(database, reader.id, other.id, count)
        with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {reader.token}"}, timeout=60) as http:
            _get(http, limit="1")  # begins the epoch
            (found,) = database.execute("SELECT epoch FROM clients_eventepoch").fetchall()
            _compare(http, database, reader, str(found[0]), count, options.rounds)


def _fill(database: "psycopg.Connection[Any]", reader: int, other: int, count: int) -> None:
    database.execute("SET statement_timeout = 0")
    database.execute("TRUNCATE clients_partnerevent")
    database.execute(COUNT_UP.format(TRANSACTIONS))
    (reached,) = database.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone() or (0,)
    indexes = database.execute(INDEXES).fetchall()
    for name, _ in indexes:
        database.execute(f'DROP INDEX "{name}"')
    given = {"reader": reader, "other": other, "count": count, "share": SHARE, "reached": reached, "rare": RARE}
    database.execute(FILL, given)
    for _, definition in indexes:
        database.execute(definition)
    database.execute("VACUUM ANALYZE clients_partnerevent")
    database.execute("CHECKPOINT")


def _compare(
    http: httpx.Client, database: "psycopg.Connection[Any]", reader: PartnerKeys, epoch: str, count: int, rounds: int
) -> None:
    chance = random.Random(1)
    first, last = database.execute("SELECT min(id), max(id) FROM clients_partnerevent").fetchone() or (0, 0)
    names = (f"page of {PAGE}", f"{PAGE} of a rare type", "SELECT")
    rows, slowest = [Row(name) for name in names], [0.0, 0.0]
    for nth in range(-1, rounds):
        places = [
            _place(database, reader.id, chance.randrange(first, max(first + 1, last - 2 * PAGE * SHARE)))
            for _ in range(PAGES)
        ]
        cursors = [_cursor(epoch, place) for place in places]
        timed = (
            [_milliseconds(lambda at=each: _full(http, after=at, limit=str(PAGE))) for each in cursors],  # type: ignore[misc]
            [_milliseconds(lambda at=each: _get(http, after=at, limit=str(PAGE), types=RARE)) for each in cursors],  # type: ignore[misc]
            [_milliseconds(lambda at=each: _selected(database, reader.id, at)) for each in places],  # type: ignore[misc]
        )
        if nth < 0:
            continue  # for the caches
        for row, found in zip(rows, timed, strict=True):
            row.values.append(percentile(found, 50))
        slowest = [max(known, percentile(found, 95)) for known, found in zip(slowest, timed, strict=False)]
    for row, most in zip(rows, slowest, strict=False):
        row.remark = f"p95 {most:.0f} ms"
    table("ms, median of a round", rows, 1, f"{PAGES} pages a round; target: p95 under {TARGET} ms")


def _place(database: "psycopg.Connection[Any]", partner: int, number: int) -> Place:
    xid, event = database.execute(PLACES, [partner, number]).fetchone() or ("0", 0)
    return str(xid), int(event)


def _cursor(epoch: str, place: Place) -> str:
    """As `clients.events.feed.Cursor`, which needs Django's settings."""
    return base64.urlsafe_b64encode(f"{epoch}.{place[0]}.{place[1]}".encode()).decode()


def _get(http: httpx.Client, **query: str) -> Any:
    answer = http.get("/partners/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return answer.content


def _full(http: httpx.Client, **query: str) -> None:
    assert _get(http, **query).count(b'"evt_') == PAGE


def _selected(database: "psycopg.Connection[Any]", partner: int, place: Place) -> None:
    assert len(database.execute(SELECT, [partner, *place]).fetchall()) == PAGE


def _milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000
