"""Exports over real HTTP to a partner that reads slowly, stops reading or disconnects.

The web server has a single process, so that a slow partner's effect on its threads is visible.
"""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from config.run.processes import wait_until
from testkit.stack import PartnerKeys, Stack, free_port

ROWS = 15_000
"""Rows of about 760 bytes: 11 MB, far more than all buffers between PostgreSQL and the partner."""
STATEMENT_TIMEOUT = 5
"""statement_timeout in seconds (config.settings); exports are exempt."""
READ_SIZE = 64 * 1024
"""Bytes that the slow partner reads at a time, and the size of its socket buffer."""
SLOT_SECONDS = 5
"""Seconds after which the export slot of a disconnected partner is free."""


@pytest.fixture(scope="module")
def partner(_running: Stack) -> PartnerKeys:
    """A partner with many sent messages."""
    partner = _running.new_partner("Lista Larga")
    _running.sql(
        "INSERT INTO messaging_message (id, partner_id, request_id, kind, via, recipient, subject, text, html, state,"
        " attempts, next_attempt_at, provider, provider_id, provider_reply, handed_over_at, created_at, sent_at)"
        " SELECT gen_random_uuid(), %s, 1, 'boletin', 'C', repeat('a', 200) || n || '@dominio.com', repeat('ñ', 200),"
        " '', '', 'SENT', 1, now(), 'smtp', '', '', now(), now(), now() FROM generate_series(1, %s) AS n",
        *(partner.id, ROWS),
    )
    return partner


@pytest.fixture
def port(stack: Stack) -> Iterator[int]:
    """Port of a web server with a single process."""
    port = free_port()
    web = stack.program("web", "web-alone", WEB_WORKERS="1", PORT=str(port))
    web.start()
    try:
        assert wait_until(lambda: _is_up(port), 30), f"the web server does not answer: see {web.log}"
        yield port
    finally:
        web.kill()


def test_a_list_read_for_longer_than_a_statement_may_take_comes_whole(
    stack: Stack, partner: PartnerKeys, port: int
) -> None:
    with _slow_reader(port, partner) as answer:
        began, received = time.monotonic(), b""
        while time.monotonic() < began + STATEMENT_TIMEOUT + 1:
            received += answer.read(READ_SIZE)
            time.sleep(0.25)
            assert _export_states(stack) == ["active"], "PostgreSQL waits; the rest is not in memory"
        received += answer.read()
    results = json.loads(received)["resultados"]
    assert results["cuenta"] == len(results["data"]) == ROWS
    assert len({each["direccion_correo"] for each in results["data"]}) == ROWS


def test_a_partner_that_disconnects_frees_its_slot_and_its_connection(
    stack: Stack, partner: PartnerKeys, port: int
) -> None:
    with _slow_reader(port, partner) as answer:
        answer.read(READ_SIZE)
        assert _export_states(stack) == ["active"]
        refused = _ask(port, partner)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5"), "one export at a time"
    assert wait_until(lambda: _ask(port, partner).status_code == 200, SLOT_SECONDS)
    assert wait_until(lambda: _export_states(stack) == [], SLOT_SECONDS)
    assert _ask(port, partner).json()["resultados"]["cuenta"] == ROWS


def test_a_partner_that_stops_reading_loses_its_slot_and_holds_up_nobody_else(
    stack: Stack, partner: PartnerKeys, port: int
) -> None:
    other = stack.new_partner("Lista Corta")
    with _slow_reader(port, partner) as answer:
        answer.read(1024)
        began = time.monotonic()
        assert _ask(port, other).status_code == 200, "another partner is not concerned"
        assert _ask(port, partner).status_code == 503
        assert wait_until(lambda: _ask(port, partner).status_code == 200, 15)
        assert time.monotonic() - began > 8
        assert wait_until(lambda: _export_states(stack) == [], SLOT_SECONDS)


def _request(partner: PartnerKeys) -> dict[str, Any]:
    return {"token": partner.token, "usuario": "MAQ-001", "solicitud": "mensajes_enviados"}


def _ask(port: int, partner: PartnerKeys) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{port}/api/v1", json=_request(partner), trust_env=False, timeout=30)


@contextmanager
def _slow_reader(port: int, partner: PartnerKeys) -> Iterator[http.client.HTTPResponse]:
    """Answer of an export with a small receive buffer; at the end the partner disconnects."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ_SIZE)  # has no effect after connect
    connection.sock.settimeout(30)
    try:
        connection.sock.connect(("127.0.0.1", port))
        connection.request("POST", "/api/v1", json.dumps(_request(partner)), {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            assert answer.status == 200
            yield answer
    finally:
        connection.close()


def _export_states(stack: Stack) -> list[str]:
    """States of the database sessions whose last statement was an export."""
    return [state for (state,) in stack.sql("SELECT state FROM pg_stat_activity WHERE query LIKE 'COPY (%%'")]


def _is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v1/api/status", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
