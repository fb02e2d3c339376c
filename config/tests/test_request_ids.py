"""Request ids: taken from the caller or made, on every line, on the message, and on the call to its provider."""

import json
import logging
import re
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client

from clients import request_id
from conftest import NOW, InformaperuClient
from external_api.traces import RequestTrace
from messaging.delivery import send
from messaging.gateways import http
from messaging.models import Message
from tests.factories import ApplicantFactory

pytestmark = pytest.mark.django_db

GIVEN = "4bf92f3577b34da6a3ce929d0e0e4736"
DASHED = "4BF92F35-77B3-4DA6-A3CE-929D0E0E4736"
TRACEPARENT = f"00-{GIVEN}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": GIVEN},
        {"X-Request-ID": DASHED},
        {"traceparent": TRACEPARENT},
        {"traceparent": f"01-{GIVEN}-00f067aa0ba902b7-01-what-a-later-version-adds"},
        {"X-Request-ID": "not an id", "traceparent": TRACEPARENT},
        {"X-Request-ID": GIVEN, "traceparent": TRACEPARENT.replace("4bf9", "ffff")},
    ],
)
def test_an_id_that_is_given_is_on_the_answer_and_on_every_line(lines, headers):
    answer = Client().get("/nada", headers=headers)
    assert answer["Request-Id"] == GIVEN
    assert lines()
    assert {line["request_id"] for line in lines()} == {GIVEN}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Request-ID": "987654321"},
        {"X-Request-ID": "ana@correo.example"},
        {"X-Request-ID": f"{GIVEN}\r\nX-Evil: 1"},
        {"X-Request-ID": f"{GIVEN}, {GIVEN}"},
        {"X-Request-ID": GIVEN * 3},
        {"X-Request-ID": "0" * 32},
        {"Request-Id": GIVEN},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{GIVEN}-{'0' * 16}-01"},
        {"traceparent": f"ff-{GIVEN}-00f067aa0ba902b7-01"},
        {"traceparent": f"{TRACEPARENT}-more"},
        {"traceparent": TRACEPARENT.upper()},
    ],
)
def test_what_is_no_id_is_not_taken(headers):
    answers = [Client().get("/nada", headers=headers)["Request-Id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in answers)
    assert answers[0] != answers[1]
    assert GIVEN not in answers


def test_the_access_line_says_whose_call_it_was(informa, front: InformaperuClient, lines):
    client = ApplicantFactory(partner=informa.partner)
    answer = front.get(f"/client/{client.pk}/cooldown/C", Authorization=f"Bearer {informa.token}")
    assert answer.status_code == 200
    (line,) = [line for line in lines() if line["message"] == "request"]
    assert (line["partner"], line["client"]) == (informa.partner.slug, str(client.pk))
    text = json.dumps(lines())
    assert not [each for each in (client.document_number, client.email, informa.token) if each in text]


def test_a_call_of_nobody_has_neither(lines):
    Client().get("/robots.txt")
    (line,) = [line for line in lines() if line["message"] == "request"]
    assert not {"partner", "client", "id_solicitud"} & set(line)


def test_the_lines_of_a_stream_belong_to_its_request(lines):
    def parts():
        logging.getLogger("aval.test").warning("amid the stream")
        yield b"x"

    answer = RequestTrace(lambda request: StreamingHttpResponse(parts()))(
        SimpleNamespace(META={"HTTP_X_REQUEST_ID": GIVEN})
    )
    assert b"".join(answer.streaming_content) == b"x"
    assert request_id.current() is None
    assert [line["request_id"] for line in lines()] == [GIVEN]


def test_a_code_keeps_the_id_for_the_worker_and_its_provider(informa, front: InformaperuClient, lines):
    client = ApplicantFactory(partner=informa.partner)
    asked = front.post(
        f"/client/{client.pk}/token",
        {"via": "S", "telefono": "987654321", "operador": "CLARO"},
        **{"Authorization": f"Bearer {informa.token}", "X-Request-ID": GIVEN},
    )
    assert (asked.status_code, asked["Request-Id"]) == (200, GIVEN)
    message = Message.objects.get()
    assert message.trace_id == UUID(GIVEN)
    assert request_id.current() is None

    seen = []
    gateway = SimpleNamespace(send=lambda *_: seen.append(http._tracing()) or 1 / 0)
    call = SimpleNamespace(ended=lambda failed: None)
    send.call_provider(message, gateway, send.to_outgoing(message), None, call)
    assert seen == [{"X-Request-ID": GIVEN}]
    assert http._tracing() == {}, "a call for nobody's request has none"
    send.record(message, "FAILED", at=NOW, reply="x")
    failed, settled = lines()[-2:]
    assert (failed["message"], failed["message_id"]) == ("a gateway failed", str(message.id))
    assert failed["request_id"] == settled["request_id"] == GIVEN


def test_the_id_goes_to_the_provider_in_a_header(monkeypatch):
    sent = {}

    class Session:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def request(self, method, url, *, headers, **_):
            sent.update(headers)
            raise OSError

    monkeypatch.setattr(http.requests, "Session", Session)
    with request_id.resumed(UUID(GIVEN)), pytest.raises(Exception, match="sin respuesta"):
        http.call("POST", "https://provider.example", headers={"A": "b"})
    assert sent == {"A": "b", "X-Request-ID": GIVEN}


def test_a_plain_answer_is_left_as_it_is():
    plain = HttpResponse("x")
    assert RequestTrace(lambda request: plain)(SimpleNamespace(META={})) is plain
