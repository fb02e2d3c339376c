"""Counts of calls in a web process: written in time, kept while they cannot be, and never in a caller's way."""

import threading

import pytest
from django.db import OperationalError

from conftest import NOW, InformaperuClient
from metrics import request_counts
from metrics.catalog import REQUESTS
from metrics.models import MetricMinute, MetricTotal
from metrics.request_counts import RequestCounts


@pytest.fixture
def buffer(monkeypatch):
    made = RequestCounts()
    monkeypatch.setattr(request_counts, "requests", made)
    return made


@pytest.mark.django_db
def test_calls_are_counted_by_contract_and_status_with_their_time(buffer):
    for seconds in (0.004, 0.2, 0.3, 99.0):
        buffer.observe("informaperu", 200, seconds, at=NOW)
    buffer.observe("registry", 503, 0.001, at=NOW)
    buffer.flush()
    rows = {
        (row.labels["contract"], row.labels["status"], row.labels["le"]): row.count for row in MetricTotal.objects.all()
    }
    assert rows == {
        ("informaperu", "200", "0.005"): 1,
        ("informaperu", "200", "0.25"): 1,
        ("informaperu", "200", "0.5"): 1,
        ("informaperu", "200", "+Inf"): 1,
        ("registry", "503", "0.005"): 1,
    }
    assert set(MetricMinute.objects.values_list("at", "metric")) == {(NOW, REQUESTS.name)}
    buffer.flush()
    assert sum(MetricTotal.objects.values_list("count", flat=True)) == 5, "what is written is not written again"


@pytest.mark.django_db
def test_the_middleware_counts_the_contracts_calls_but_for_status(buffer, informa):
    http = InformaperuClient().http
    http.get("/v1/api/client/1/token", headers=informa.headers)
    http.get("/v1/api/status")
    http.get("/referencia/")
    buffer.flush()
    assert {row.labels["contract"] for row in MetricTotal.objects.all()} == {"informaperu"}
    assert sum(MetricTotal.objects.values_list("count", flat=True)) == 1


@pytest.mark.django_db
def test_counts_that_cannot_be_written_are_kept_for_the_next_time(buffer, monkeypatch):
    def away(counts):
        raise OperationalError("away")

    buffer.observe("registry", 200, 0.1, at=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(request_counts, "add", away)
        with pytest.raises(OperationalError):
            buffer.flush()
    buffer.observe("registry", 200, 0.1, at=NOW)
    buffer.flush()
    assert MetricTotal.objects.get().count == 2


def test_a_call_does_not_wait_while_counts_are_written(buffer, monkeypatch):
    writing, go_on = threading.Event(), threading.Event()

    def slow(counts):
        writing.set()
        assert go_on.wait(30)

    monkeypatch.setattr(request_counts, "add", slow)
    buffer.observe("registry", 200, 0.1, at=NOW)
    thread = threading.Thread(target=buffer.flush)
    thread.start()
    assert writing.wait(30)
    buffer.observe("registry", 200, 0.1, at=NOW)  # would hang here
    go_on.set()
    thread.join(30)
    assert len(buffer._counts.found) == 1


def test_what_cannot_be_written_for_hours_does_not_fill_the_memory(buffer, monkeypatch):
    monkeypatch.setattr(request_counts, "MOST_ROWS", 3)
    for status in range(200, 210):
        buffer.observe("registry", status, 0.1, at=NOW)
    assert (len(buffer._counts.found), buffer._lost) == (3, 7)


def test_nothing_is_written_before_the_process_serves(buffer):
    buffer.observe("registry", 200, 0.1, at=NOW)
    assert buffer._thread is None
    buffer.finish()


def test_the_last_counts_are_written_at_the_end(buffer, monkeypatch):
    written = []
    monkeypatch.setattr(request_counts, "add", written.extend)
    monkeypatch.setattr(request_counts.connection, "close_if_unusable_or_obsolete", lambda: None)
    monkeypatch.setattr(request_counts.connection, "close", lambda: None)
    buffer.start()
    buffer.observe("registry", 200, 0.1, at=NOW)
    buffer.finish()
    assert [row[3] for row in written] == [1]
