"""Errors of contract 3: every field with invalid values, and every error with its row and header."""

import json
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import RequestFactory

import clients.errors
import external_api.frontdoor.errors
from clients.errors import ContractNotAllowed, CredentialChanged, CredentialRefused, Refused
from clients.models import AuditEntry, ExternalClient
from clients.twins import TwinIsFull
from conftest import EXTERNAL_CLIENT
from external_api.middleware import OverloadGuard
from external_api.models import ApiRequest
from external_api.registry.contract import TABLE

pytestmark = pytest.mark.django_db

REQUIRED = [field for field in EXTERNAL_CLIENT if field != "data_points"]
DOCUMENTED = {
    "400": ("Solicitud Incorrecta", "Los datos proporcionados no son válidos."),
    "401": ("No Autorizado", "El token de autenticación es inválido o ha expirado."),
}


def refused(answer, status):
    """The whole header, and nothing beside it but `content.errors` of a 400; returns those."""
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    body = answer.json()
    header = body["header"]
    assert list(header) == ["title", "message", "type", "code", "event_id"]
    assert (header["type"], header["code"]) == ("error", str(status))
    assert all(isinstance(text, str) and text for text in header.values())
    assert header["event_id"].removeprefix("event_").isdigit()
    if header["code"] in DOCUMENTED:
        assert (header["title"], header["message"]) == DOCUMENTED[header["code"]]
    if status != 400:
        assert list(body) == ["header"]
        return {}
    assert list(body) == ["header", "content"]
    assert list(body["content"]) == ["errors"]
    errors = body["content"]["errors"]
    assert all(isinstance(text, str) and text for texts in errors.values() for text in texts)
    return errors


def test_every_error_has_a_row_and_every_row_has_a_text():
    modules = (external_api.frontdoor.errors,)
    errors_of_contract = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Refused) and each is not Refused
    }
    assert errors_of_contract | {TwinIsFull} == set(TABLE)
    of_people = {each for each in vars(clients.errors).values() if isinstance(each, type) and issubclass(each, Refused)}
    of_contract_2 = {
        clients.errors.ApplicantNotFound,
        clients.errors.ApplicantAlreadyValidated,
        clients.errors.ApplicantLocked,
    }
    answered_as_unauthorized = {CredentialRefused, ContractNotAllowed}
    of_contract_2.add(CredentialChanged)
    assert of_people == of_contract_2 | answered_as_unauthorized | {Refused}, "a new one: can this contract meet it?"
    for row in TABLE.values():
        assert row.title
        assert row.message.endswith(".")


@pytest.mark.parametrize("field", REQUIRED)
def test_a_required_field_that_is_missing(registrar, field):
    body = {name: value for name, value in EXTERNAL_CLIENT.items() if name != field}
    assert refused(registrar.post(body), 400) == {field: ["Este campo es obligatorio."]}
    assert not ExternalClient.objects.exists()


@pytest.mark.parametrize("value", [None, "", "   ", "\t\n"])
@pytest.mark.parametrize("field", REQUIRED)
def test_a_required_field_that_is_blank(registrar, field, value):
    assert refused(registrar.send(**{field: value}), 400) == {field: ["Este campo es obligatorio."]}
    assert not ExternalClient.objects.exists()


@pytest.mark.parametrize("value", [5, 2380033370713, 1.5, True, [], ["x"], {}, {"a": 1}], ids=str)
@pytest.mark.parametrize("field", REQUIRED)
def test_a_required_field_of_another_type(registrar, field, value):
    assert refused(registrar.send(**{field: value}), 400) == {field: ["Debe ser un texto."]}
    assert not ExternalClient.objects.exists()


@pytest.mark.parametrize("field", REQUIRED)
def test_a_field_that_is_too_long(registrar, field):
    errors = refused(registrar.send(**{field: "1" * 101}), 400)
    assert errors == {field: ["No debe pasar de 100 caracteres."]}
    assert not ExternalClient.objects.exists()


@pytest.mark.parametrize("field", [field for field in REQUIRED if field not in ("cui", "phone")])
def test_a_hundred_characters_fit(registrar, field):
    registrar.register(**{field: "ñ" * 100})
    assert getattr(ExternalClient.objects.get(), field) == "ñ" * 100


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
@pytest.mark.parametrize("field", REQUIRED)
def test_a_field_with_a_nul(registrar, field, text):
    assert refused(registrar.send(**{field: text}), 400) == {"request": ["El JSON contiene un carácter NUL."]}
    assert not ExternalClient.objects.exists()


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "\x1b[31m", "a\u202eb", "a\u200bb", "\ufeffa"], ids=ascii)
@pytest.mark.parametrize("field", ["first_name", "client_id", "origin"])
def test_a_field_with_invisible_characters(registrar, field, text):
    errors = refused(registrar.send(**{field: text}), 400)
    assert errors == {field: ["Contiene caracteres que no se permiten."]}


@pytest.mark.parametrize(
    ("cui", "error"),
    [
        ("2380033380713", "El dígito verificador no corresponde."),
        ("2380033370720", "El departamento o el municipio no existe."),
        ("2380033370700", "El departamento o el municipio no existe."),
        ("2380033370013", "El departamento o el municipio no existe."),
        ("2380033372301", "El departamento o el municipio no existe."),
        ("238003337071", "Debe tener 13 dígitos."),
        ("23800333707131", "Debe tener 13 dígitos."),
        ("2380 03337 071", "Debe tener 13 dígitos."),
        ("2380/03337/0713", "Debe tener 13 dígitos."),
        ("2380 03338 0713", "El dígito verificador no corresponde."),
        ("２３８００３３３７０７１３", "Debe tener 13 dígitos."),
        ("٢٣٨٠٠٣٣٣٧٠٧١٣", "Debe tener 13 dígitos."),
    ],
    ids=ascii,
)
def test_a_cui_that_cannot_exist(registrar, cui, error):
    assert refused(registrar.send(cui=cui), 400) == {"cui": [error]}
    assert not ExternalClient.objects.exists()


@pytest.mark.parametrize("cui", ["2380033370713", "2380033370514", "2380033371333"])
def test_a_cui_that_can(registrar, cui):
    registrar.register(cui=cui)


@pytest.mark.parametrize(
    "phone", ["555-1234", "5551234", "+502 5123-4567", "(502) 5123 4567", "+51 987 654 321", "1" * 20, "+(5-5-5) 1234"]
)
def test_a_phone_as_people_write_it(registrar, phone):
    registrar.register(phone=phone)
    assert ExternalClient.objects.get().phone == phone


@pytest.mark.parametrize(
    "phone",
    [
        "555-123",
        "123456",
        "+-() +-()",
        "1" * 21,
        "555-1234 x9",
        "555.1234",
        "٥٥٥١٢٣٤",
        "５５５１２３４",
        "555\u20111234",
        "555\t1234",
        "tel:5551234",
    ],
    ids=ascii,
)
def test_an_invalid_phone(registrar, phone):
    assert list(refused(registrar.send(phone=phone), 400)) == ["phone"]
    assert not ExternalClient.objects.exists()


OBJECT = "debe ser un objeto con key y value."
TYPE = "value: Debe ser un texto, un número, true, false o null."


@pytest.mark.parametrize(
    ("points", "errors"),
    [
        ("x", ["Debe ser una lista."]),
        ({}, ["Debe ser una lista."]),
        ({"key": "a", "value": 1}, ["Debe ser una lista."]),
        (5, ["Debe ser una lista."]),
        (False, ["Debe ser una lista."]),
        ("", ["Debe ser una lista."]),
        ([{"key": f"k{each}", "value": 1} for each in range(201)], ["No debe tener más de 200 datos."]),
        (["x"], [f"Dato 1: {OBJECT}"]),
        ([None], [f"Dato 1: {OBJECT}"]),
        ([[]], [f"Dato 1: {OBJECT}"]),
        ([{}], ["Dato 1: key: Este campo es obligatorio."]),
        ([{"value": 1}], ["Dato 1: key: Este campo es obligatorio."]),
        ([{"key": None, "value": 1}], ["Dato 1: key: Este campo es obligatorio."]),
        ([{"key": " ", "value": 1}], ["Dato 1: key: Este campo es obligatorio."]),
        ([{"key": 7, "value": 1}], ["Dato 1: key: Debe ser un texto."]),
        ([{"key": "k" * 101, "value": 1}], ["Dato 1: key: No debe pasar de 100 caracteres."]),
        ([{"key": "a\nb", "value": 1}], ["Dato 1: key: Contiene caracteres que no se permiten."]),
        ([{"key": "a"}], ["Dato 1: value: Este campo es obligatorio."]),
        ([{"key": "a", "value": []}], [f"Dato 1: {TYPE}"]),
        ([{"key": "a", "value": {"b": 1}}], [f"Dato 1: {TYPE}"]),
        ([{"key": "a", "value": "x" * 1001}], ["Dato 1: value: No debe pasar de 1000 caracteres."]),
        ([{"key": "a", "value": "x\ty"}], ["Dato 1: value: Contiene caracteres que no se permiten."]),
        ([{"key": "a", "value": 1}, {"key": " a ", "value": 2}], ["Dato 2: key repetida."]),
        (
            [{"key": "a", "value": 1}, {"key": ""}, 5, {"key": "a", "value": None}],
            ["Dato 2: key: Este campo es obligatorio.", f"Dato 3: {OBJECT}", "Dato 4: key repetida."],
        ),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_invalid_data_points(registrar, points, errors):
    assert refused(registrar.send(data_points=points), 400) == {"data_points": errors}
    assert not ExternalClient.objects.exists()


def test_data_points_at_their_limits(registrar):
    points = [{"key": f"{each}".rjust(100, "k"), "value": "ñ" * 1000} for each in range(200)]
    registrar.register(data_points=points)
    assert ExternalClient.objects.get().data_points == points


def test_one_answer_names_every_faulty_field(registrar):
    answer = registrar.post({"cui": "1", "first_name": 5, "phone": "x", "data_points": [0], "origin": "web"})
    assert list(refused(answer, 400)) == [
        "cui",
        "first_name",
        "last_name",
        "phone",
        "product_key",
        "product_id",
        "client_id",
        "data_points",
    ]


def test_an_invalid_registration_changes_nothing(registrar):
    registrar.register()
    before = ExternalClient.objects.values().get()
    refused(registrar.send(first_name="Ana", cui="1"), 400)
    assert ExternalClient.objects.values().get() == before
    assert AuditEntry.objects.filter(action__startswith="external_client").count() == 1


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options", "trace"])
def test_a_wrong_method(registrar, method):
    answer = getattr(registrar.http, method)(registrar.path, headers=registrar.headers)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    if method != "head":
        refused(answer, 405)


@pytest.mark.parametrize(
    "path", ["/external", "/external/", "/external/client", "/external/client/registry/x", "/external//client/registry"]
)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options"])
def test_an_unknown_path(registrar, path, method):
    refused(getattr(registrar.http, method)(path), 404)
    refused(getattr(registrar.http, method)(path, headers=registrar.headers), 404)


def test_a_body_over_two_mebibytes(registrar):
    refused(registrar.send(extra="x" * 2 * 1024 * 1024), 413)


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data; boundary=x", "application/xml"])
def test_another_media_type(registrar, content_type):
    refused(registrar.raw(json.dumps(EXTERNAL_CLIENT), content_type), 415)


def test_an_unavailable_database_is_event_0(registrar):
    unavailable = OperationalError("unavailable")
    with (
        mock.patch("clients.credentials.Credential.objects.select_related", side_effect=unavailable),
        mock.patch("external_api.frontdoor.request_log.next_id", side_effect=unavailable),
        mock.patch("external_api.frontdoor.request_log.connection.cursor", side_effect=unavailable),
    ):
        answer = registrar.send()
    refused(answer, 503)
    assert (answer.json()["header"]["event_id"], answer["Retry-After"]) == ("event_0", "5")


def test_a_database_lost_during_a_call_keeps_the_call_s_id(registrar):
    with mock.patch("external_api.registry.views.register", side_effect=OperationalError("unavailable")):
        answer = registrar.send()
    refused(answer, 503)
    assert answer.json()["header"]["event_id"] == f"event_{ApiRequest.objects.get().pk}"
    assert not ExternalClient.objects.exists()


def test_a_fault_of_ours_is_500_in_the_envelope_and_tells_nothing(registrar):
    with mock.patch("external_api.registry.views.register", side_effect=ZeroDivisionError("secret detail")):
        answer = registrar.send()
    refused(answer, 500)
    assert b"secret" not in answer.content


def test_a_host_we_do_not_serve_gets_the_envelope_too(registrar):
    assert refused(registrar.http.post(registrar.path, headers={"host": "evil.example"}), 400) == {
        "request": ["La solicitud no es válida."]
    }


def test_when_everything_hangs_no_call_waits_for_an_id(settings):
    settings.WEB_THREADS = 1
    guard = OverloadGuard(lambda request: None)
    with (
        mock.patch.object(guard._slots, "acquire", return_value=False),
        mock.patch.object(guard, "_something_hangs", return_value=True),
        mock.patch("external_api.frontdoor.request_log.next_id", side_effect=AssertionError("asked the database")),
    ):
        answer = guard(RequestFactory().post("/external/client/registry"))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert json.loads(answer.content)["header"]["event_id"] == "event_0"
