"""The scrape: who gets it, what is in it, and what is not."""

import io
import logging
import re

import pytest
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from conftest import NOW
from metrics import catalog, endpoint, gauges, scrape, sweep
from metrics.counting import Counts, add
from metrics.models import MetricTotal
from tests.factories import MessageEventFactory, MessageFactory

pytestmark = pytest.mark.django_db
TOKEN = "token-of-the-metrics-0123456789"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(autouse=True)
def token(settings):
    settings.METRICS_TOKEN = TOKEN
    settings.SANDBOX = True
    settings.AVAL_GATEWAYS = {via: ("sandbox://",) for via in "SWIC"}


def scraped(token=TOKEN, **extra):
    headers = {"Authorization": f"Bearer {token}", **extra.pop("headers", {})} if token else {}
    return Client(raise_request_exception=False).get("/metrics", headers=headers, **extra)


def samples(text):
    found = [sample for family in parsed(text) for sample in family.samples]
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for each in found}


# --- who gets it ---


def test_the_token_opens_it_and_no_answer_is_kept():
    answer = scraped()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert "aval_build_info" in answer.content.decode()


@pytest.mark.parametrize("wrong", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_a_wrong_token_gets_401(wrong):
    answer = scraped(wrong)
    assert (answer.status_code, answer["WWW-Authenticate"], answer.content) == (401, "Bearer", b"")


def test_without_a_token_there_is_no_such_page(settings):
    settings.METRICS_TOKEN = ""
    assert scraped().status_code == scraped("").status_code == 404


def test_the_token_is_compared_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(endpoint.hmac, "compare_digest", lambda *pair: compared.append(pair) or True)
    assert scraped("x" * 31).status_code == 200
    assert len(compared) == 1


@pytest.mark.parametrize("host", ["10.1.2.3:8000", "pod-7", ""])
def test_any_host_is_answered_and_nothing_redirects_to_https(settings, host):
    settings.SECURE_SSL_REDIRECT = True
    assert scraped(HTTP_HOST=host).status_code == 200


def test_it_is_in_no_log_and_in_no_figure(caplog):
    with caplog.at_level(logging.INFO, logger="aval.access"):
        scraped()
    assert [record for record in caplog.records if record.name == "aval.access"] == []


def test_head_has_no_body():
    http = Client(raise_request_exception=False)
    answer = http.head("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.content) == (200, b"")


def test_other_methods_are_refused():
    http = Client(raise_request_exception=False)
    assert http.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


def asked(path="/metrics", method="GET", **headers):
    begun = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO(), **headers}
    body = b"".join(endpoint.application(environ, lambda *args: begun.append(args)))
    return int(begun[0][0].split()[0]), body


def test_the_port_of_its_own_asks_for_the_token_only_where_there_is_one(settings):
    assert asked()[0] == 401
    assert asked(HTTP_AUTHORIZATION=f"Bearer {TOKEN}")[0] == 200
    settings.METRICS_TOKEN = ""
    assert asked()[0] == 200
    assert asked("/")[0] == 404
    assert asked(method="POST")[0] == 405
    assert asked(method="HEAD") == (200, b"")


# --- what is in it ---


def test_counters_and_histograms_are_those_that_were_counted():
    counts = Counts()
    counts.count(catalog.MESSAGES, NOW, "S", "sandbox", "SENT", number=3)
    for seconds in (0.4, 1.5, 1.6, None):
        counts.observe(catalog.HAND_OVER, NOW, seconds, "S")
    add(counts)
    found = samples(scraped().content.decode())
    assert found["aval_messages_total", (("provider", "sandbox"), ("state", "SENT"), ("via", "S"))] == 3
    ends = ("0.5", "2.0", "+Inf")
    bucket = {le: found["aval_code_handover_seconds_bucket", (("le", le), ("via", "S"))] for le in ends}
    assert bucket == {"0.5": 1, "2.0": 3, "+Inf": 4}
    assert found["aval_code_handover_seconds_count", (("via", "S"),)] == 4
    assert found["aval_code_handover_seconds_sum", (("via", "S"),)] == pytest.approx(3.5)


def test_it_is_openmetrics_where_that_is_asked_for():
    counts = Counts()
    counts.observe(catalog.VERIFIED, NOW, 12, "S")
    add(counts)
    answer = scraped(headers={"Accept": OPENMETRICS})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    names = {family.name for family in parsed_openmetrics(answer.content.decode())}
    assert names >= {metric.name for metric in catalog.COUNTED} | {gauge.name for gauge in gauges.GAUGES}


def test_every_process_gives_the_same_figures():
    """What two scrapes show is what the rows say: nothing is kept in a process."""
    counts = Counts()
    counts.count(catalog.CODES, NOW, "S", "VALIDADO")
    add(counts)
    first = scraped().content
    assert b"aval_codes_total" in first
    MetricTotal.objects.all().delete()
    assert b'aval_codes_total{outcome="VALIDADO"' not in scraped().content


def test_a_failed_reading_is_counted_and_the_rest_is_served(monkeypatch):
    monkeypatch.setattr(scrape.sql, "TOTALS", "SELECT no_such_column FROM metrics_metrictotal")
    answer = scraped()
    found = samples(answer.content.decode())
    assert (answer.status_code, found["aval_scrape_errors", ()]) == (200, 1)
    assert found["aval_queue_due", (("queue", "codes"), ("via", "S"))] == 0


# --- what is not ---

MARK = "zqxmark"


def test_events_with_free_texts_are_counted_without_them():
    sweep.sweep(at=NOW)
    message = MessageFactory(created_at=NOW, provider=f"{MARK}:S", recipient=f"{MARK}@dominio.com")
    MessageEventFactory(message=message, state="SENT", provider=f"{MARK}:S", detail=MARK)
    sweep.sweep(at=NOW)
    assert MetricTotal.objects.count() > 0
    assert MARK not in scraped().content.decode()


# --- the page of the operator ---


def test_every_metric_is_explained_with_its_labels(settings):
    page = (settings.BASE_DIR / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(aval_\w+)` \| ([^|]*)\|", page, re.M)
    explained = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    exported = {each.name: each.labels for each in (*catalog.COUNTED, *gauges.GAUGES)}
    assert explained == exported | {"aval_build_info": ("version",)}
