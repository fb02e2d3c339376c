"""Instruments of the benchmarks: sink, memory peaks, percentiles and tables. The benchmarks themselves take minutes."""

import json
import os
import smtplib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import RequestFactory

from bench import floor, history, partner
from bench.harness import KEPT, serving
from bench.machine import Peak
from bench.report import Row, percentile, table
from bench.sink import Sink
from chaos.__main__ import _run_and_print
from chaos.checker import NotInstalled
from clients.models import Applicant
from config.run.environment import BASE_DIR
from config.run.processes import wait_until
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


def test_a_benchmark_that_is_not_there_is_refused_before_anything_starts():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "altas"], cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no altas; there are cycle, alta, export, email, latency, desk" in done.stderr


def test_a_scenario_whose_program_is_missing_says_that_it_was_not_tried(capsys):
    def act(stack, rng):
        raise NotInstalled("rabbitmq-server")

    counts = _run_and_print("rabbitmq-killed", 1, act, None)
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
