"""Hostile input to every endpoint: the envelope, a 4xx, nothing stored, never 5xx, never HTML."""

import json

import pytest

from clients.models import Applicant, ExternalClient
from conftest import EXTERNAL_CLIENT, REGISTRATION
from external_api.frontdoor.errors import BadRequest
from external_api.frontdoor.strict_json import parse_object
from external_api.models import ApiRequest

pytestmark = pytest.mark.django_db

UNKNOWN = "00000000-0000-4000-8000-000000000000"
POSTS = ["/client", f"/client/{UNKNOWN}/token", f"/client/{UNKNOWN}/cancel", f"/client/{UNKNOWN}/expire", "/auth/login"]
HOSTILE = {
    "broken": b'{"via": "S"',
    "trailing": b'{"via": "S"} x',
    "trailing comma": b'{"via": "S",}',
    "single quotes": b"{'via': 'S'}",
    "nothing but blanks": b"   ",
    "array": b"[]",
    "string": b'"S"',
    "number": b"5",
    "null": b"null",
    "NaN": b'{"via": NaN}',
    "Infinity": b'{"via": -Infinity}',
    "overflowing float": b'{"via": 1e999}',
    "endless integer": b'{"via": ' + b"9" * 5000 + b"}",
    "19 digits": b'{"via": 1234567890123456789}',
    "NUL escape": b'{"via": "S\\u0000"}',
    "NUL in a key": b'{"vi\\u0000a": "S"}',
    "raw NUL": b'{"via": "S\x00"}',
    "lone surrogate": b'{"via": "\\ud800"}',
    "lone surrogate in a key": b'{"\\udfff": 1}',
    "duplicate key": b'{"via": "S", "via": "C"}',
    "deep arrays": b'{"via": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50 + b"1" + b"}" * 50,
    "latin-1": '{"nombres": "Peña"}'.encode("latin-1"),
    "utf-16": '{"via": "S"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"via": "S"}',
    "overlong utf-8": b'{"via": "\xc0\xaf"}',
    "control character": b'{"via": "\x01"}',
}


def post(front, path, body, content_type="application/json", **headers):
    return front.http.generic("POST", f"/v1/api{path}", body, content_type=content_type, headers=headers)


def assert_envelope(answer, status, code):
    assert answer["Content-Type"] == "application/json"
    assert answer.status_code == status
    assert {"error", "message", "code"} <= set(answer.json())
    assert answer.json()["code"] == code


def assert_registry_header(answer, status):
    """Contract 3's envelope."""
    assert answer["Content-Type"] == "application/json"
    assert answer.status_code == status
    header = answer.json()["header"]
    assert set(header) == {"title", "message", "type", "code", "event_id"}
    assert (header["type"], header["code"]) == ("error", str(status))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", POSTS)
def test_hostile_json_on_every_endpoint(front, path, name):
    assert_envelope(post(front, path, HOSTILE[name]), 400, "ERR_VALIDATION")
    assert not Applicant.objects.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_on_contract_3(registrar, name):
    assert_registry_header(registrar.raw(HOSTILE[name]), 400)
    assert not ExternalClient.objects.exists()


@pytest.mark.parametrize("value", [[], {}, True, 1, 1.5, None, "\u202e987654321", "x" * 10_000, "\ufeff", "a\tb"])
@pytest.mark.parametrize("field", sorted(REGISTRATION))
def test_every_field_of_a_registration_with_a_value_it_never_has(front, field, value):
    answer = post(front, "/client", json.dumps(REGISTRATION | {field: value}))
    if field == "apellido_materno" and value is None:
        assert answer.status_code == 201
    elif field in ("nombres", "apellido_paterno", "apellido_materno") and value == "x" * 10_000:
        assert_envelope(answer, 400, "ERR_VALIDATION")
    else:
        assert_envelope(answer, 400, "ERR_VALIDATION")
        assert field in answer.json()["details"]


@pytest.mark.parametrize("value", [[], {}, True, 1, 1.5, None, "\u202e987654321", "x" * 10_000, "\ufeff", "a\tb", [{}]])
@pytest.mark.parametrize("field", sorted(EXTERNAL_CLIENT))
def test_every_field_of_contract_3_with_a_value_it_never_has(registrar, field, value):
    answer = registrar.raw(json.dumps(EXTERNAL_CLIENT | {field: value}))
    if field == "data_points" and value in ([], None):
        assert answer.status_code == 200
    else:
        assert_registry_header(answer, 400)
        assert list(answer.json()["content"]["errors"]) == [field]
        assert not ExternalClient.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/jsonp",
    ],
)
def test_another_media_type(front, registrar, content_type):
    assert_envelope(post(front, "/client", json.dumps(REGISTRATION), content_type), 415, "ERR_UNSUPPORTED_MEDIA_TYPE")
    assert_registry_header(registrar.raw(json.dumps(EXTERNAL_CLIENT), content_type), 415)


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_media_types_that_are_json(front, registrar, content_type):
    assert post(front, "/client", json.dumps(REGISTRATION), content_type).status_code == 201
    assert registrar.raw(json.dumps(EXTERNAL_CLIENT), content_type).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "nonsense"])
def test_the_answer_is_json_whatever_is_asked_for(front, accept):
    assert_envelope(front.get("/nothing", Accept=accept), 404, "ERR_NOT_FOUND")
    assert_registry_header(front.http.get("/external/nothing", headers={"Accept": accept}), 404)
    assert front.get("/status", Accept=accept).json()["status"] == "ok"


def test_a_body_over_two_mebibytes(front, registrar):
    much = {"extra": "x" * (2 * 1024 * 1024)}
    assert_envelope(post(front, "/client", json.dumps(REGISTRATION | much)), 413, "ERR_PAYLOAD_TOO_LARGE")
    assert_registry_header(registrar.raw(json.dumps(EXTERNAL_CLIENT | much)), 413)
    just_under = {"extra": "x" * (2 * 1024 * 1024 - 1000)}
    assert post(front, "/client", json.dumps(REGISTRATION | just_under)).status_code == 201
    assert registrar.raw(json.dumps(EXTERNAL_CLIENT | just_under)).status_code == 200


@pytest.mark.parametrize("query", ["?token=x", "?name=%20", "?format=api", "?a=%F0%9F%98%80"])
def test_the_query_string_changes_nothing(front, query):
    assert front.get("/status" + query).status_code == 200
    assert_envelope(front.get(f"/client/{UNKNOWN}/cooldown/S{query}"), 404, "ERR_CLIENT_NOT_FOUND")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "{{ 7*7 }}", "{% load x %}", "'; DROP TABLE x; --"])
def test_markup_and_templates_are_no_name(front, text):
    assert_envelope(post(front, "/client", json.dumps(REGISTRATION | {"nombres": text})), 400, "ERR_VALIDATION")


def test_every_call_is_logged_without_its_data(front):
    client = front.register()
    front.verify(client, "A1B2")
    front.get("/nothing")
    assert list(ApiRequest.objects.order_by("id").values_list("action", "status", "code")) == [
        ("client", 201, ""),
        ("verify", 400, "ERR_NO_PENDING_TOKEN"),
        ("?", 404, "ERR_NOT_FOUND"),
    ]


@pytest.mark.parametrize("text", ["9" * 18, "-" + "9" * 18, "1.5", '"\\u00e9"', '"\\ud83d\\ude00"', "[[1]]"])
def test_the_parser_takes_what_is_json(text):
    assert parse_object(b'{"a": ' + text.encode() + b"}", elements=100) == {"a": json.loads(text)}


def test_marks_inside_of_strings_are_no_elements():
    assert parse_object(b'{"a": "{[:,{[:,"}', elements=2) == {"a": "{[:,{[:,"}
    with pytest.raises(BadRequest, match="demasiados elementos"):
        parse_object(b'{"a": "{[:,", "b": 1}', elements=3)


def test_the_parser_names_line_and_column():
    with pytest.raises(BadRequest, match="línea 2, columna 3"):
        parse_object(b'{"a": 1,\n  b}', elements=100)
