"""Benchmark of `alta`: 10,000 new clients in one request, beside a COPY of the same rows into the same indexes."""

import argparse
import http.client
import json
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import psycopg

from bench.harness import meter, running_stack
from bench.partner import Partner
from bench.report import Row, spread, table
from bench.sizes import Sizes
from testkit.stack import Stack

LIVE = "clients_authorizedclient"
BARE = "bench_copied"
MAKE_BARE = f"""
CREATE TABLE {BARE} (LIKE {LIVE} INCLUDING ALL);
INSERT INTO {BARE} SELECT * FROM {LIVE};
SELECT setval(pg_get_serial_sequence('{BARE}', 'id'), (SELECT max(id) FROM {LIVE}));
"""
"""The same columns, indexes and rows; LIKE leaves out the foreign key."""
COPY = """
COPY {} (partner_id, email, name, document_type, document_number, phone, external_code, profile, request_id,
    created_at) FROM STDIN
"""
NEW = "nuevo-"
"""Prefix of the addresses that a round adds and that are removed after it."""
PER_ROUND = 5
"""Requests in each round: one takes a fraction of a second."""
WARM_UP = 24
"""Small requests before the first round, so that every web thread has its database connection."""


class Variant(NamedTuple):
    """One of the three ways to insert the same rows."""

    row: Row
    target: str
    run: Callable[[], None]


def run(folder: Path, options: argparse.Namespace) -> None:
    sizes: Sizes = options.sizes
    print(f"\nalta: {sizes.new_rows:,} new rows in one request, {sizes.clients:,} live; floor: COPY, commit included")
    with running_stack(folder) as stack, stack.database() as database:
        partner = Partner(stack, database)
        partner.fill_clients(sizes.clients)
        database.execute(MAKE_BARE)
        Rounds(stack, database, partner, sizes.new_rows).run(options.rounds * PER_ROUND)


class Rounds:
    """Rounds that insert the same rows by each variant in turn and delete them."""

    def __init__(self, stack: Stack, database: "psycopg.Connection", partner: Partner, count: int) -> None:
        self.stack, self.database, self.count = stack, database, count
        rows = [_row(n) for n in range(count)]
        self.body = partner.body("alta", clientes=rows)
        self.first = partner.body("alta", clientes=rows[:1])
        ends = ("1", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S+00}\n")
        self.lines = "".join("\t".join((str(partner.id), *row.values(), *ends)) for row in rows).encode()
        self.ours = Variant(Row("aval"), LIVE, lambda: self.send(self.body))
        self.variants = [
            self.ours,
            Variant(Row("COPY, foreign key"), LIVE, lambda: self.copy(LIVE)),
            Variant(Row("COPY"), BARE, lambda: self.copy(BARE)),
        ]
        self.answer = b""
        self.view_times: list[float] = []
        self.cpu_times: dict[str, list[dict[str, float]]] = {variant.row.name: [] for variant in self.variants}

    def run(self, rounds: int) -> None:
        for _ in range(WARM_UP):
            self.send(self.first)
        for nth in range(-1, rounds):
            first = nth % len(self.variants)
            for variant in self.variants[first:] + self.variants[:first]:
                self.clean(variant.target)
                milliseconds = self.timed(variant)
                if nth >= 0:  # the first round is for the caches
                    variant.row.values.append(milliseconds)
        for variant in self.variants:
            variant.row.remark = _average(self.cpu_times[variant.row.name][1:])
        table("ms", [variant.row for variant in self.variants], remarks="CPU ms a request")
        print(f"of these inside the view, by the log of requests: {spread(self.view_times[1:], 0)} ms", end="; ")
        print(f"request {len(self.body) / 1e6:.1f} MB, answer {len(self.answer) / 1e6:.1f} MB; target: ratio 4")

    def timed(self, variant: Variant) -> float:
        """Milliseconds until the rows are committed and the request is answered."""
        processor = meter(self.stack)
        processor.start()
        began = time.perf_counter()
        variant.run()
        took = time.perf_counter() - began
        used = {name: seconds * 1000 for name, seconds in processor.stop().items()}
        self.cpu_times[variant.row.name].append(used)
        if variant is self.ours:
            self.view_times.append(
                self.stack.sql("SELECT duration_ms FROM external_api_apirequest ORDER BY id DESC")[0][0]
            )
            assert json.loads(self.answer)["resultados"]["cuenta_exitos"] == self.count
        found = self.database.execute(f"SELECT count(*) FROM {variant.target} WHERE email LIKE '{NEW}%'").fetchone()
        assert found == (self.count,), found
        return took * 1000

    def send(self, body: bytes) -> None:
        """Send the request and read the whole answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=60)) as connection:
            connection.request("POST", "/api/v1", body, {"Content-Type": "application/json"})
            self.answer = connection.getresponse().read()

    def copy(self, target: str) -> None:
        with self.database.cursor() as cursor, cursor.copy(COPY.format(target)) as copy:
            copy.write(self.lines)

    def clean(self, target: str) -> None:
        self.database.execute(f"DELETE FROM {target} WHERE email LIKE '{NEW}%'")
        self.database.execute(f"VACUUM ANALYZE {target}")


def _average(used: list[dict[str, float]]) -> str:
    """Average use of each process: the kernel counts in steps of 10 ms, and a median would be one of them."""
    return ", ".join(f"{name} {fmean(each[name] for each in used):.0f}" for name in used[0])


def _row(n: int) -> dict[str, str]:
    """Row in the order of COPY's columns; addresses are unsorted, as a partner's are."""
    return {
        "correo": f"{NEW}{md5(str(n).encode()).hexdigest()[:8]}{n}@dominio.com",
        "nombre": "María Quispe",
        "tipo_documento": "DNI",
        "numero_documento": str(20_000_000 + n),
        "celular": str(900_000_000 + n),
        "codigo_externo": f"B-{n}",
        "perfil": "VIP",
    }
