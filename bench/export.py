"""Benchmark of exports: a million messages as JSON beside `psql`, and the memory of the web processes."""

import argparse
import http.client
import json
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from bench.harness import running_stack
from bench.machine import Peak, group
from bench.partner import Partner
from bench.report import Row, spread, table
from bench.sizes import Sizes
from config.embedded.servers import PostgreSQL, bare_environment
from testkit.stack import Stack

STAMP = "to_char({} AT TIME ZONE 'America/Lima', 'YYYY-MM-DD HH24:MI:SS.US')"
SENT = f"""
SELECT json_build_object(
    'direccion_correo', recipient, 'timestamp_envio', {STAMP.format("coalesce(sent_at, handed_over_at)")},
    'respuesta_mensaje', CASE WHEN state IN ('SENT', 'DELIVERED') THEN 'ok' ELSE 'error' END,
    'asunto', subject, 'tipo_mensaje', kind)
FROM messaging_message
WHERE partner_id = {{}} AND kind IN ('boletin', 'alerta') AND state IN ('SENT', 'DELIVERED', 'UNDELIVERED', 'FAILED')
ORDER BY coalesce(sent_at, handed_over_at), id
"""
CLIENTS = f"""
SELECT json_build_object(
    'celular', phone, 'codigo_cliente', external_code, 'correo', email, 'id_solicitud', request_id, 'nombre', name,
    'numero_documento', document_number, 'perfil', profile, 'timestamp_creado', {STAMP.format("created_at")},
    'tipo_documento', document_type, 'suscrito', subscribed_at IS NOT NULL AND unsubscribed_at IS NULL)
FROM clients_authorizedclient WHERE partner_id = {{}} AND deauthorized_at IS NULL ORDER BY id
"""
ROW_MARKER = b'"timestamp_'
"""Occurs once in every row of both lists, and nowhere in the envelope."""
MIB = 2**20


class Query(NamedTuple):
    """One of the two queries of contract 1, and hand-written SQL for the same rows."""

    action: str
    sql: str
    rows: int


def run(folder: Path, options: argparse.Namespace) -> None:
    sizes: Sizes = options.sizes
    print("\nexport: one JSON answer into a file; floor: psql, COPY of the same JSON rows into a file")
    with running_stack(folder) as stack, stack.database() as database:
        partner = Partner(stack, database)
        partner.fill_clients(sizes.clients)
        partner.fill_sent_messages(sizes.messages)
        for each in (
            Query("clientes_autorizados", CLIENTS, sizes.clients),
            Query("mensajes_enviados", SENT, sizes.messages),
        ):
            compare(stack, partner, each, options.rounds)


def compare(stack: Stack, partner: Partner, what: Query, rounds: int) -> None:
    """Compare the query with psql, after one round for the caches."""
    body, sql = partner.body(what.action), what.sql.format(partner.id)
    file = stack.folder / "exported"
    seconds = Row("aval"), Row("psql")
    grown, peaks = [], []
    for nth in range(-1, rounds):
        memory = Peak(group(stack.web.pid))
        ours = timed(lambda: fetch(stack, body, file))
        grown.append(memory.growth() / MIB)
        peaks.append(memory.highest() / MIB)
        first = checked(file, what.rows)
        floor = timed(lambda: psql(stack, sql, file))
        assert json.loads(unescaped(first_line(file))) == first, "both say the same"
        if nth >= 0:
            seconds[0].values.append(ours)
            seconds[1].values.append(floor)
    size = file.stat().st_size / 1e6
    file.unlink()
    print(f"\n{what.action}, {what.rows:,} rows, {size:.0f} MB; cuenta and the number of rows are right")
    seconds[0].remark = f"{what.rows / min(seconds[0].values):,.0f} rows/s at best"
    table("seconds", seconds, 2)
    print(f"largest growth of a web process: {spread(grown, 1)} MiB, to {max(peaks):.0f} MiB; target: ratio 2, 30 MB")


def timed(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def fetch(stack: Stack, body: bytes, into: Path) -> None:
    with (
        closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=600)) as connection,
        into.open("wb") as file,
    ):
        connection.request("POST", "/api/v1", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        while chunk := answer.read(MIB):
            file.write(chunk)
    assert answer.status == 200, into.read_bytes()[:500]


def psql(stack: Stack, sql: str, into: Path) -> None:
    binary = PostgreSQL(Path(), Path()).bin / "psql"
    command = [str(binary), "-XAtq", "-d", stack.servers.owner_url, "-c", f"COPY ({sql}) TO STDOUT"]
    with into.open("wb") as file:
        subprocess.run(command, stdout=file, env=bare_environment(), check=True)


def checked(file: Path, rows: int) -> object:
    """Check in pieces that an answer has all rows; returns the first row."""
    found, end = 0, b""
    with file.open("rb") as answer:
        head = answer.read(MIB)
        answer.seek(0)
        while piece := answer.read(MIB):
            found += (end[1 - len(ROW_MARKER) :] + piece).count(ROW_MARKER)  # one may lie across two pieces
            end = (end + piece)[-100:]
    count = re.search(rb'"cuenta":(\d+)}}$', end)
    assert count, end
    assert int(count[1]) == found == rows, (count[1], found, rows)
    row, _ = json.JSONDecoder().raw_decode(head.decode(errors="ignore").partition('"data":[')[2])
    return row


def first_line(file: Path) -> bytes:
    with file.open("rb") as lines:
        return lines.readline()


def unescaped(line: bytes) -> bytes:
    """Undo the doubled backslashes of COPY."""
    return line.replace(b"\\\\", b"\\")
