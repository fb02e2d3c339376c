"""Instruments of the benchmarks: sink, memory peaks, percentiles and tables. The benchmarks themselves take minutes."""

import json
import os
import smtplib
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import RequestFactory

from bench import floor, history, partner
from bench.comparison import compare, markdown
from bench.harness import KEPT, meter, postgres_but, serving
from bench.load import Answer
from bench.machine import Meter, Peak
from bench.peers import install
from bench.peers.systems import libpq_variables
from bench.protocols import BetterAuth, Client, InformaPeru, Outbox, PhoneVerify
from bench.report import Row, percentile, table
from bench.rounds import System
from bench.sink import Sink
from bench.verify_cycle import against
from chaos.__main__ import _run_and_print, silent
from chaos.checker import NotInstalled
from clients.models import Applicant
from config.run.processes import wait_until
from config.variables import BASE_DIR
from conftest import make_applicant
from messaging.models import Message, SandboxMessage
from support.privacy import retention
from tests.factories import PartnerFactory
from tokens.models import VerificationToken

MIB = 2**20
MAIL = "From: a@example.com\r\nTo: {}\r\nSubject: Hola\r\n\r\nUna línea\r\n.y un punto\r\n"


@pytest.fixture
def sink(tmp_path):
    with serving("bench.sink", tmp_path / "sink.log", os.environ) as (port, pid):
        sink = Sink(port, pid)
        yield sink
        sink.connection.close()


def test_the_sink_counts_what_comes_over_any_connection_and_says_when(sink):
    before = time.time()
    for _ in range(2):
        with smtplib.SMTP("127.0.0.1", sink.port, local_hostname="test") as connection:
            for n in range(3):
                connection.sendmail("a@example.com", [f"c{n}@example.com"], MAIL.format(f"c{n}@example.com").encode())
    count = sink.count()
    assert count.mails == 6
    assert before <= count.first < count.last <= time.time()
    assert count.per_second == pytest.approx(5 / (count.last - count.first))
    assert count.first < sink.seen("c0@example.com") < count.last, "the newest for that address"
    assert sink.seen("nobody@example.com") is None
    assert sink.example().startswith(b"From: a@example.com\r\nTo: c0@example.com\r\n")
    sink.reset()
    assert sink.count().mails == 0
    assert sink.seen("c0@example.com") is None


def test_the_highest_mark_of_memory_is_seen_though_it_was_given_back():
    grow = "input(); a = bytearray(40 * 2**20); del a; print('grown', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", grow], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        while not Peak([process.pid]).highest() > 4 * MIB:
            time.sleep(0.01)  # Python is still starting
        time.sleep(0.3)
        memory = Peak([process.pid])
        assert memory.growth() < MIB
        print(file=process.stdin, flush=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "grown\n"
        assert 39 * MIB < memory.growth() < 60 * MIB
        print(file=process.stdin, flush=True)


def test_a_percentile_is_a_value_that_was_measured():
    values = [float(n) for n in range(200, 0, -1)]
    assert [percentile(values, percent) for percent in (50, 95, 99)] == [100, 190, 198]
    assert percentile([7.0], 99) == percentile([7.0], 50) == 7


def test_ratios_are_taken_round_by_round(capsys):
    table("ms", [Row("aval", [20, 30, 80]), Row("floor", [10, 10, 20])])
    _, aval, floor, rounds = capsys.readouterr().out.splitlines()
    assert " ".join(aval.split()) == "aval 20 / 30 / 80 2.00 / 3.00 / 4.00"
    assert " ".join(floor.split()) == "floor 10 / 10 / 20 1.00 / 1.00 / 1.00"
    assert "3 rounds" in rounds


def test_full_tables_are_compared_with_empty_ones_round_by_round():
    full, empty = (
        [SimpleNamespace(name=name, rates=rates) for name, rates in rows.items()]
        for rows in ({"aval": [90, 50, 30], "floor": [8, 8, 8]}, {"aval": [100, 50, 20], "floor": [8, 4, 10]})
    )
    assert [" ".join(line.split()) for line in against(full, empty)] == [
        "aval 0.90 / 1.00 / 1.50",
        "floor 0.80 / 1.00 / 2.00",
    ]


def test_a_benchmark_that_is_not_there_is_refused_before_anything_starts():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "altas"], cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no altas; there are cycle, alta, export, email, latency, desk, feed, sizes, peers\n" in done.stderr


def test_a_scenario_whose_program_is_missing_says_that_it_was_not_tried(capsys):
    def act(stack, rng):
        raise NotInstalled("rabbitmq-server")

    counts = _run_and_print("rabbitmq-killed", 1, silent(act), None)
    assert counts.holds
    assert counts.skipped == "rabbitmq-server"
    assert "NOT TRIED: rabbitmq-server is not installed" in capsys.readouterr().out


@pytest.mark.django_db
def test_retention_leaves_the_rows_of_a_benchmark_alone(monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute(history.FILL_IN)
        cursor.execute(history.CLIENTS, {"first": 50_000_001, "count": 720, "are_old": True, "partner": None})
        cursor.execute(history.TOKENS, {"each": history.PER_CLIENT})
        cursor.execute(history.MESSAGES)
        cursor.execute(partner.SENT, {"partner": PartnerFactory().pk, "count": 5, "subject": "s"})
    rows = Message.objects.exclude(recipient="").count()
    assert rows == 720 * history.PER_CLIENT + 5
    at = datetime.now(UTC)
    assert retention.count_expired(at=at)["messages"] > 5, "by the usual periods both kinds of rows go"
    for variable, days in KEPT.items():
        name = variable.removeprefix("KEEP_").removesuffix("_DAYS").lower()
        assert name in settings.AVAL_KEEP_DAYS
        monkeypatch.setitem(settings.AVAL_KEEP_DAYS, name, int(days))
    assert not any(retention.count_expired(at=at).values())
    retention.run(at=at, seconds=30)
    assert Message.objects.exclude(recipient="").count() == rows


def asked_together(asks):
    """Statuses of the floor's answers to (applicant, phone), all of which have waited for their applicants' rows."""

    def ask(client, phone):
        try:
            request = RequestFactory().post("/", json.dumps({"telefono": phone}), "application/json")
            return floor.ask(request, client).status_code
        finally:
            connection.close()

    def waiting():
        # by a connection of its own: a transaction sees the same sessions again and again
        with ThreadPoolExecutor(1) as other:
            return other.submit(count_waiting).result() == len(asks)

    def count_waiting():
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND wait_event_type = 'Lock'"
                )
                return cursor.fetchone()[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(asks)) as pool:
        with transaction.atomic():
            list(Applicant.objects.select_for_update().order_by("id"))
            answers = [pool.submit(ask, *each) for each in asks]
            assert wait_until(waiting, 10)
        return sorted(answer.result() for answer in answers)


@pytest.mark.django_db(transaction=True)
def test_of_parallel_requests_for_one_number_the_floor_grants_one():
    clients = [make_applicant(document_number=str(n)).pk for n in range(10_000_001, 10_000_009)]
    assert asked_together([(client, "987654321") for client in clients]) == [200] + 7 * [429]
    assert VerificationToken.objects.count() == Message.objects.count() == SandboxMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_parallel_requests_of_one_client_the_floor_leaves_one_code_pending():
    client = make_applicant().pk
    assert asked_together([(client, f"98765432{n}") for n in range(8)]) == 8 * [200]
    outcomes = VerificationToken.objects.values_list("outcome", flat=True)
    assert sorted(outcomes) == ["PENDIENTE"] + 7 * ["REEMPLAZADO"]


def system(name, rates, *processor):
    return System(name, 0, BetterAuth(), Meter({}), deque, rates=rates, processor=list(processor))


def test_systems_are_compared_round_by_round_and_by_the_cost_of_all_their_processes():
    ours = system("aval", [100, 90, 30], {"web": 2, "worker": 1}, {"web": 3, "worker": 2}, {"web": 3, "worker": 1})
    peer = system("peer", [50, 90, 10], {"web": 6}, {"web": 5}, {"web": 4})
    compared = compare(ours, peer)
    assert (compared.rate_ratio, compared.cost, compared.cost_ratio) == (2, 5, 1)
    assert compared.line() == "aval to peer: 2.00 of its cycles/s, 1.00 of its CPU seconds"
    assert markdown([compare(ours, ours), compared], 3, "2 cores") == (
        "| system | CPU s per 1,000 cycles | of these | Aval's cycles/s to its | Aval's CPU s to its |\n"
        "|---|---|---|---|---|\n"
        "| aval | 4.0 | web 3.0, worker 1.0 | 1 | 1 |\n"
        "| peer | 5.0 | web 5.0 | 2.00 | 1.00 |\n"
        "\n"
        "2 cores. Median of 3 rounds in turn."
    )


def test_the_session_of_the_load_generator_is_not_measured():
    servers = SimpleNamespace(pids=lambda: [1, 2, 3])
    stack = SimpleNamespace(postgres=servers, redis=servers)
    assert postgres_but(stack, 2)() == [1, 3]
    assert meter(stack, 2).pids_of["PostgreSQL"]() == [1, 3]
    assert meter(stack).pids_of["PostgreSQL"]() == [1, 2, 3]


def test_an_answer_is_complete_with_its_length_or_its_last_chunk():
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    for sent, status in ((whole, 200), (chunked, 201)):
        answer = Answer()
        *pieces, last = (sent[n : n + 1] for n in range(len(sent)))
        assert [answer.add(piece) for piece in pieces] == [None] * len(pieces)
        received = answer.add(last)
        assert (received[0], received[2]) == (status, b"hello")


def test_the_second_request_to_a_peer_has_the_code_of_its_first_answer():
    client = Client("950000001")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Code: 123456\r\nDate: x"
    request = BetterAuth().verification_in(client, head, b'{"message": "code sent"}').decode()
    first_line, _, body = request.partition("\r\n\r\n")
    assert first_line.startswith("POST /api/auth/phone-number/verify HTTP/1.1\r\nHost: localhost\r\n")
    assert json.loads(body) == {"phoneNumber": "+51950000001", "code": "123456"}
    assert f"Content-Length: {len(body)}" in first_line
    request = PhoneVerify().verification_in(client, head, b'{"session_token": "abc"}').decode()
    assert request.startswith("POST /phone/verify ")
    body = json.loads(request.partition("\r\n\r\n")[2])
    assert body == {"phone_number": "+51950000001", "security_code": "123456", "session_token": "abc"}
    with pytest.raises(AssertionError):
        BetterAuth().verification_in(client, b"HTTP/1.1 200 OK\r\nDate: x", b"")


class FakeOutbox:
    """Connection to a database that has the outbox's table alone; rows appear in any order, as commits do."""

    def __init__(self):
        self.rows = {}
        self.highest_asked_for = 0

    def add(self, *ids):
        self.rows.update({id: (f"9{id}", f"Aval: A1B{id} es tu clave") for id in ids})

    def execute(self, sql, params=()):
        if not params:
            return SimpleNamespace(fetchone=lambda: (max(self.rows, default=0),))
        self.highest_asked_for = params[0]
        return SimpleNamespace(fetchall=lambda: [(id, *self.rows[id]) for id in sorted(self.rows) if id > params[0]])


def test_a_partners_bearer_is_in_both_requests():
    client = Client("91", "some-id")
    for key in ("secret", ""):
        database = FakeOutbox()
        protocol = InformaPeru(database, lambda text: text[6:10], key)
        asked = protocol.ask(client).decode()
        database.add(1)
        ((arrived, verification),) = protocol.arrived()
        assert arrived == client
        assert verification.startswith(b"GET /v1/api/client/some-id/verify/A1B1 HTTP/1.1\r\n")
        assert verification.endswith(b"\r\n\r\n")
        for request in (asked, verification.decode()):
            assert ("\r\nAuthorization: Bearer secret\r\n" in request) is bool(key)
        protocol.ask(client)
        protocol.begin()
        database.add(2)
        assert list(protocol.arrived()) == [], "asked for in an earlier round"


def test_each_row_of_the_outbox_is_read_once_also_when_it_was_committed_late():
    now = [0.0]
    database = FakeOutbox()
    database.add(1, 2)
    outbox = Outbox(database, lambda: now[0])
    assert outbox.new() == [], "from before"
    database.add(3, 5, 6)
    assert [to for to, _ in outbox.new()] == ["93", "95", "96"]
    now[0] = 1.9
    assert outbox.new() == []
    database.add(4, 7)
    assert [to for to, _ in outbox.new()] == ["94", "97"]
    assert outbox.new() == []
    assert database.highest_asked_for == 7, "nothing is read again"


def test_an_id_of_the_outbox_that_never_comes_is_given_up():
    now = [0.0]
    database = FakeOutbox()
    outbox = Outbox(database, lambda: now[0])
    database.add(2, 3, 5)
    assert len(outbox.new()) == 3
    assert database.highest_asked_for == 0
    now[0] = 2.1
    assert outbox.new() == []
    database.add(6)
    assert [to for to, _ in outbox.new()] == ["96"]
    assert database.highest_asked_for == 3, "4 may still come"
    for now[0] in (4.2, 6.3, 6.4):
        assert outbox.new() == []
    assert database.highest_asked_for == 6


def test_a_peer_is_installed_again_once_its_pinned_versions_change(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "SOURCES", tmp_path / "sources")
    (tmp_path / "sources" / "phone_verify").mkdir(parents=True)
    pinned = tmp_path / "sources" / "phone_verify" / "requirements.txt"
    pinned.write_text("a==1")
    installed = []
    monkeypatch.setattr(install, "_venv", lambda folder: installed.append((folder / pinned.name).read_text()))
    for _ in range(2):
        assert install.phone_verify(tmp_path) == tmp_path / "phone_verify"
    assert installed == ["a==1"]
    pinned.write_text("a==2")
    install.phone_verify(tmp_path)
    assert installed == ["a==1", "a==2"]


def test_an_installation_that_failed_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    for _ in range(2):
        with pytest.raises(install.NotInstalled, match="npm"):
            install.better_auth(tmp_path)


def test_the_pinned_versions_of_the_peers_name_no_registry():
    lock = json.loads((install.SOURCES / "better_auth" / "package-lock.json").read_text())
    asked_for = json.loads((install.SOURCES / "better_auth" / "package.json").read_text())["dependencies"]
    assert lock["packages"][""]["dependencies"] == asked_for
    for name, version in asked_for.items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version, "exactly"
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
    assert not any("resolved" in package for package in lock["packages"].values())
    pinned = (install.SOURCES / "phone_verify" / "requirements.txt").read_text().splitlines()
    packages = [line for line in pinned if not line.lstrip().startswith("#")]
    assert packages
    assert all("==" in line for line in packages)


def test_a_peer_finds_its_database_by_libpqs_variables():
    url = "postgres://aval_owner:a%2Fb@/aval?host=%2Ftmp%2Fa%20b&port=5432"
    assert libpq_variables(url, "peer") == {
        "PGHOST": "/tmp/a b",
        "PGPORT": "5432",
        "PGUSER": "aval_owner",
        "PGPASSWORD": "a/b",
        "PGDATABASE": "peer",
    }
