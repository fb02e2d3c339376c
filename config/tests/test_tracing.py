"""Spans for OpenTelemetry: by route, with the id of the logs, and without anything that a caller sent."""

import json
import subprocess
import sys
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from clients import spans as call_spans
from config import tracing
from config.variables import BASE_DIR
from conftest import make_applicant
from messaging.delivery import failover, send
from messaging.gateways.base import GatewayError
from tests.factories import MessageFactory
from tests.gateways import FakeGateway

pytest.importorskip("opentelemetry.sdk")
pytestmark = pytest.mark.django_db

NUMBER, CODE = "987654321", "Q7ZX"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans(settings, monkeypatch):
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    own = tracing.tracer_to(exporter, in_batches=False)
    monkeypatch.setattr(tracing, "tracer", lambda: own)
    monkeypatch.setenv(tracing.ENDPOINT, "http://collector.example:4318")
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:1], "config.tracing.RequestSpans", *settings.MIDDLEWARE[1:]]
    return exporter.get_finished_spans


def test_a_request_is_a_span_by_its_route_whose_trace_is_the_request_id(spans):
    key = make_applicant().pk
    answer = Client().get(f"/v1/api/client/{key}/verify/{CODE}?telefono={NUMBER}")
    (span,) = spans()
    assert f"{span.context.trace_id:032x}" == answer["Request-Id"] == span.attributes["aval.request_id"]
    assert span.name == f"GET {span.attributes['http.route']}"
    assert "verify/(?P<token>" in span.name
    assert span.attributes["http.response.status_code"] == answer.status_code
    text = json.dumps(json.loads(span.to_json()))
    assert not [each for each in (NUMBER, CODE, str(key), "testserver", "127.0.0.1") if each in text]


def test_a_span_goes_on_with_the_trace_that_it_came_with(spans):
    Client().get("/robots.txt", headers={"traceparent": TRACEPARENT})
    (span,) = spans()
    assert f"{span.context.trace_id:032x}" == TRACEPARENT.split("-")[1]
    assert f"{span.parent.span_id:016x}" == TRACEPARENT.split("-")[2]


def test_a_fault_is_marked_and_its_text_left_out(spans, monkeypatch):
    def broken(*args, **more):
        raise RuntimeError(NUMBER)

    monkeypatch.setattr("external_api.informaperu.views.services.verify", broken)
    Client(raise_request_exception=False).get(f"/v1/api/client/{make_applicant().pk}/verify/{CODE}")
    (span,) = spans()
    assert span.status.status_code.name == "ERROR"
    assert NUMBER not in span.to_json()


def test_a_task_is_a_span(spans):
    tracing.task_began("1", "messaging.sweep")
    tracing.task_ended("1", "SUCCESS")
    tracing.task_ended("2", "SUCCESS")
    (span,) = spans()
    assert (span.name, span.attributes["celery.state"]) == ("messaging.sweep", "SUCCESS")


def test_without_its_packages_it_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install -r requirements-otel\.txt"):
        tracing.middleware("http://collector.example:4318")


def test_nothing_of_it_is_loaded_while_it_is_off():
    names = ("opentelemetry.exporter", "sentry_sdk")
    code = f"import django; django.setup(); import sys; print([each for each in {names} if each in sys.modules])"
    given = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "x" * 50,
        "SANDBOX": "true",
        "DATABASE_URL": "postgres://aval@localhost/aval",
        "REDIS_URL": "redis://localhost/0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE_DIR, env=given, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["[]"], done.stderr


def test_a_call_to_a_provider_is_a_span_of_its_requests_trace(spans, monkeypatch):
    monkeypatch.setattr(call_spans, "_makers", [tracing.call_span])
    trace = uuid4()
    message = MessageFactory(recipient=NUMBER, provider="twilio-1", trace_id=trace)
    taken, refused = FakeGateway("twilio-1"), FakeGateway("twilio-1", GatewayError(NUMBER, permanent=True))
    for gateway in (taken, refused):
        send.call_provider(message, gateway, send.to_outgoing(message), CODE, failover.begin("twilio-1"))
    made = spans()
    assert [each.name for each in made] == ["provider.send"] * 2
    assert {f"{each.context.trace_id:032x}" for each in made} == {trace.hex}
    assert dict(made[0].attributes) == {
        "aval.message_id": str(message.pk),
        "aval.provider": "twilio-1",
        "aval.via": message.via,
    }
    assert made[1].attributes["error.type"] == "GatewayError"
    assert not [each for each in (NUMBER, CODE) if each in made[0].to_json() + made[1].to_json()]
