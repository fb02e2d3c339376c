"""What a report to Sentry holds: where a fault happened, and nothing of the request that met it."""

import json
import logging
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from config import error_reports
from conftest import make_applicant

sentry_sdk = pytest.importorskip("sentry_sdk")
pytestmark = pytest.mark.django_db

DSN = "https://key@sentry.example.com/1"
NUMBER, CODE, MAILBOX, TOKEN = "987654321", "Q7ZX", "quispecusi@correo.example", "a-token-of-a-partner"


@pytest.fixture
def events():
    """Events as they would leave, by a transport that keeps them."""
    sent = []

    class CollectingTransport(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope):
            sent.extend(item.payload.json for item in envelope.items)

    error_reports.start(DSN, release="1.2.3", transport=CollectingTransport())
    yield sent
    sentry_sdk.get_global_scope().set_client(None)


def broken(*args, **more):
    """A fault whose frame, text and cause hold what may not leave."""
    code, number = CODE, NUMBER
    try:
        raise KeyError(code)
    except KeyError as fault:
        raise RuntimeError(f"nothing for {number} or {MAILBOX}") from fault


def test_a_fault_of_a_call_is_reported_without_anything_of_the_call(events, monkeypatch):
    key = make_applicant().pk
    monkeypatch.setattr("external_api.informaperu.views.services.verify", broken)
    monkeypatch.setattr("external_api.informaperu.views.services.request", broken)
    http = Client(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "4bf92f3577b34da6a3ce929d0e0e4736"}
    verified = http.get(f"/v1/api/client/{key}/verify/{CODE}?telefono={NUMBER}", headers={"Cookie": TOKEN})
    asked = http.post(
        f"/v1/api/client/{key}/token",
        {"via": "S", "telefono": NUMBER, "operador": "CLARO"},
        content_type="application/json",
    )
    assert (verified.status_code, asked.status_code) == (500, 500)
    assert http.get(f"/soporte/?q={NUMBER}", headers=headers).status_code < 500
    assert len(events) == 2
    text = json.dumps(events)
    assert not [each for each in (NUMBER, CODE, MAILBOX, TOKEN, str(key), "quispe", "CLARO") if each in text]
    (fault, cause) = sorted(events[0]["exception"]["values"], key=lambda each: each["type"] != "RuntimeError")
    assert (fault["type"], cause["type"], events[0]["release"]) == ("RuntimeError", "KeyError", "aval@1.2.3")
    assert fault["stacktrace"]["frames"][-1]["function"] == "broken"
    assert events[0]["logentry"] == {"message": "an internal fault"}
    assert events[0]["tags"]["request_id"] == verified["Request-Id"]
    assert "verify/(?P<token>" in events[0]["tags"]["route"]
    assert not {"request", "user", "breadcrumbs", "extra", "contexts", "modules"} & set(events[0])


def test_a_line_of_a_library_is_reported_without_its_words(events):
    logging.getLogger("celery.worker.consumer").error(f"no route to /verify/{CODE} for {NUMBER}")
    (event,) = events
    assert event["logentry"]["message"] == "a line of celery.worker.consumer"
    assert CODE not in json.dumps(event)


def test_a_line_of_ours_is_reported_with_its_ids_alone(events):
    logging.getLogger("messaging.delivery.send").error(
        "a message cannot be sent", extra={"message_id": "7", "fault": NUMBER, "recipient": NUMBER}
    )
    (event,) = events
    assert (event["logentry"]["message"], event["tags"]) == ("a message cannot be sent", {"message_id": "7"})
    assert NUMBER not in json.dumps(event)


def test_warnings_are_not_reported(events):
    logging.getLogger("aval").warning("denied")
    assert not events


def test_without_its_package_it_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install -r requirements-sentry\.txt"):
        error_reports.start(DSN, release="1")


def test_a_dsn_that_is_none_is_refused_in_a_sentence():
    with pytest.raises(ImproperlyConfigured, match="SENTRY_DSN must look like"):
        error_reports.start("sentry.example.com", release="1")


def test_it_is_off_by_default(settings):
    assert not sentry_sdk.get_client().is_active()
    assert "config.tracing.RequestSpans" not in settings.MIDDLEWARE
