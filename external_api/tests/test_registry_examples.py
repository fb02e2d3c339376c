"""Examples of contract 3's document, compared whole (ids apart)."""

import re
from uuid import UUID

import pytest

from clients.models import ExternalClient
from conftest import Registrar
from external_api.models import ApiRequest

pytestmark = pytest.mark.django_db

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
BODY = """{
  "cui": "2380033370713",
  "first_name": "Juan",
  "last_name": "Pérez",
  "phone": "555-1234",
  "product_key": "ABC123",
  "product_id": "98765",
  "origin": "website",
  "client_id": "CL123456",
  "data_points": [
    {
      "key": "name",
      "value": "Juan"
    }
  ]
}"""
"""Section 2 of the document to the letter, but for the three dots that stand for further data points."""


def event():
    """The number of the newest logged call, as the answer names it."""
    return f"event_{ApiRequest.objects.latest('id').pk}"


@pytest.mark.parametrize("path", ["/external/client/registry", "/external/client/registry/"])
def test_registering_a_client(registrar, registry, path):
    registrar.path = path
    answer = registrar.raw(BODY)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    client = ExternalClient.objects.get()
    assert UUID4.fullmatch(answer.json()["content"]["client_id"])
    assert answer.json() == {
        "header": {
            "title": "Registro Exitoso",
            "message": "El cliente ha sido registrado correctamente.",
            "type": "success",
            "code": "200",
            "event_id": event(),
        },
        "content": {"client_id": str(client.pk)},
    }
    stored = {field.name: getattr(client, field.name) for field in client._meta.fields}
    assert stored | {"id": None, "created_at": None, "updated_at": None, "name_words": None} == {
        "id": None,
        "partner": registry.partner,
        "client_id": "CL123456",
        "cui": "2380033370713",
        "first_name": "Juan",
        "last_name": "Pérez",
        "phone": "555-1234",
        "product_key": "ABC123",
        "product_id": "98765",
        "origin": "website",
        "data_points": [{"key": "name", "value": "Juan"}],
        "folded_name": "JUAN PEREZ",
        "phone_digits": "5551234",
        "created_at": None,
        "updated_at": None,
        "name_words": None,
    }


def test_a_wrong_request(registrar):
    answer = registrar.post({})
    assert answer.status_code == 400
    required = ["Este campo es obligatorio."]
    fields = ("cui", "first_name", "last_name", "phone", "product_key", "product_id", "origin", "client_id")
    assert answer.json() == {
        "header": {
            "title": "Solicitud Incorrecta",
            "message": "Los datos proporcionados no son válidos.",
            "type": "error",
            "code": "400",
            "event_id": event(),
        },
        "content": {"errors": {field: required for field in fields}},
    }


def test_a_wrong_token(db):
    answer = Registrar("x").send()
    assert answer.status_code == 401
    assert answer.json() == {
        "header": {
            "title": "No Autorizado",
            "message": "El token de autenticación es inválido o ha expirado.",
            "type": "error",
            "code": "401",
            "event_id": event(),
        }
    }


def test_the_event_is_the_number_of_the_logged_call(registrar, registry):
    answers = [registrar.send(), registrar.post({}), registrar.send(), Registrar("x").send()]
    named = [int(answer.json()["header"]["event_id"].removeprefix("event_")) for answer in answers]
    logged = ApiRequest.objects.order_by("id").values_list("id", "contract", "partner", "action", "status", "code")
    ours = registry.partner.pk
    assert list(logged) == [
        (named[0], "registry", ours, "registry", 200, ""),
        (named[1], "registry", ours, "registry", 400, "InvalidFields"),
        (named[2], "registry", ours, "registry", 200, ""),
        (named[3], "registry", None, "registry", 401, "Unauthorized"),
    ]
    assert named == sorted(set(named))


def test_the_same_client_again_keeps_its_id_and_has_the_new_data(registrar):
    first = registrar.register()
    again = registrar.register(first_name="Ana", phone="+502 5123-4567", data_points=[{"key": "vip", "value": True}])
    assert again == first
    client = ExternalClient.objects.get()
    assert (client.pk, client.first_name, client.phone) == (UUID(first), "Ana", "+502 5123-4567")
    assert client.data_points == [{"key": "vip", "value": True}]
    registrar.register(data_points=None)
    client.refresh_from_db()
    assert (client.first_name, client.data_points) == ("Juan", [])


def test_values_keep_their_types(registrar):
    points = [
        {"key": "text", "value": "Zona 10"},
        {"key": "empty", "value": ""},
        {"key": "true", "value": True},
        {"key": "false", "value": False},
        {"key": "one", "value": 1},
        {"key": "half", "value": -0.5},
        {"key": "long", "value": 123456789012345678},
        {"key": "null", "value": None},
        {"key": "digits", "value": "1"},
    ]
    registrar.register(data_points=points)
    stored = ExternalClient.objects.get().data_points
    assert stored == points
    assert [type(point["value"]) for point in stored] == [str, str, bool, bool, int, float, int, type(None), str]


@pytest.mark.parametrize("points", [[], None])
def test_data_points_may_be_none_at_all(registrar, points):
    registrar.register(data_points=points)
    assert ExternalClient.objects.get().data_points == []


def test_texts_are_normalised(registrar):
    registrar.register(
        first_name="  Jose\u0301   Luis ",
        cui=" 2380033370713 ",
        client_id=" CL  1 ",
        data_points=[{"key": " ciudad  natal ", "value": "  Quetzaltenango   centro "}],
    )
    client = ExternalClient.objects.get()
    assert (client.first_name, client.cui, client.client_id) == ("José Luis", "2380033370713", "CL 1")
    assert client.data_points == [{"key": "ciudad natal", "value": "Quetzaltenango centro"}]


def test_unknown_fields_change_nothing(registrar, registry):
    mine = "00000000-0000-4000-8000-000000000000"
    client = registrar.register(id=mine, partner=1, created_at="2001-01-01", folded_name="X", is_staff=True)
    assert client != mine
    assert ExternalClient.objects.get().partner == registry.partner
