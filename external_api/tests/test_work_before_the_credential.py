"""Bounds on the work for a call before its credential is known."""

import json

import pytest

from clients.models import AuthorizedClient
from conftest import NopasanadaClient
from external_api.frontdoor import strict_json
from external_api.frontdoor.strict_json import parse_object

pytestmark = pytest.mark.django_db

COMMAS = {
    "nombre": "Ana de los Rios",
    "tipo_documento": "DNI",
    "numero_documento": "12345678",
    "celular": "987654321",
    "codigo_externo": ",:{[" * 25,
    "perfil": '",\\"' * 25,
}
BOMBS = {
    "objects": b'{"clientes":[' + b"{}," * 900_000 + b"{}]}",
    "arrays": b'{"clientes":[' + b"[]," * 900_000 + b"[]]}",
    "numbers": b'{"clientes":[' + b"1," * 900_000 + b"1]}",
    "strings": b'{"clientes":[' + b'"",' * 900_000 + b'""]}',
    "keys": b"{" + b",".join(b'"%x":1' % n for n in range(450_000)) + b"}",
    "brackets alone": b'{"a":' + b"[" * 1_500_000,
    "quotes alone": b'"' * 1_900_000,
    "escaped quotes first": b'{"a":"' + b'\\"' * 1000 + b'","clientes":[' + b"{}," * 600_000 + b"{}]}",
}


@pytest.fixture
def decoder(monkeypatch):
    """Fails the test where a body is decoded."""

    def decode(text):
        raise AssertionError("decoded")

    monkeypatch.setattr(strict_json._DECODER, "decode", decode)


def post(client, path, body, **headers):
    return client.generic("POST", path, body, content_type="application/json", headers=headers)


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("path", ["/api/v1", "/v1/api/client", "/v1/api/auth/login"])
def test_a_bomb_is_refused_before_it_is_decoded(client, decoder, path, name):
    assert 400 <= post(client, path, BOMBS[name]).status_code < 500


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_with_a_valid_token_too(client, registrar, desk, decoder, name):
    body = b'{"token": "%s", ' % desk.token.encode() + BOMBS[name][1:]
    assert post(client, "/api/v1", body).status_code == 400
    assert registrar.raw(BOMBS[name]).status_code in (400, 413)


def test_ten_thousand_full_rows_of_nothing_but_commas_pass(desk: NopasanadaClient):
    rows = [COMMAS | {"correo": f"a{n}@dominio.com"} for n in range(10_000)]
    answer = desk.send("alta", clientes=rows)
    assert answer.json()["resultados"]["cuenta_exitos"] == 10_000
    assert AuthorizedClient.objects.count() == 10_000


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ('{"a": 1}', 2),
        ('{"a": "{[:,"}', 2),
        ('{"a": "\\"{[:,"}', 2),
        ('{"a": "\\\\"}', 2),
        ('{"a\\\\": [1, 2]}', 4),
        ('{"a\\\\\\"": [{}, {}]}', 6),
        ('{"\\\\\\\\": "\\\\\\",,,"}', 2),
    ],
)
def test_elements_inside_of_strings_are_not_counted(text, counted):
    assert parse_object(text.encode(), elements=counted) == json.loads(text)
    with pytest.raises(strict_json.BadRequest, match="demasiados elementos"):
        parse_object(text.encode(), elements=counted - 1)


def test_a_credential_in_the_header_comes_before_the_body(client, decoder):
    answer = post(client, "/api/v1", b'{"solicitud": "alta"}', Authorization="Bearer nobodys")
    assert (answer.status_code, answer.json()["resultados"]) == (401, {"error": "Token incorrecto."})


def test_a_header_credential_that_cannot_be_read_is_refused_and_never_absent(client, desk):
    body = json.dumps({"token": desk.token, "usuario": "M", "solicitud": "clientes_autorizados"})
    for value in ("Bearer ñ", "Bearer", "Bearer \x80", "bearer é é"):
        assert post(client, "/api/v1", body, Authorization=value).status_code == 401, value
        assert client.get("/v1/api/client/x/cooldown/S", headers={"Authorization": value}).status_code == 401, value


def test_a_large_body_without_a_valid_token_is_not_decoded(client, decoder):
    body = json.dumps({"token": "nobodys", "usuario": "M", "solicitud": "alta", "clientes": ["x" * 70_000]})
    assert post(client, "/api/v1", body).status_code == 401


def test_a_large_body_may_have_other_fields_named_token_and_only_its_own_counts(client, desk):
    rows = [{"token": f"row {n}", "codigo_externo": "C" * 90, "perfil": "V"} for n in range(600)]
    answer = desk.send("alta", clientes=rows)
    assert answer.status_code == 400
    assert answer.json()["resultados"]["cuenta_fallos"] == 600
    hidden = {"usuario": "M", "solicitud": "baja", "clientes": [{"token": desk.token}, "x" * 70_000]}
    assert post(client, "/api/v1", json.dumps(hidden)).status_code == 401


def test_calls_without_a_header_credential_count_per_address_before_the_parse(client, settings, desk, monkeypatch):
    settings.RATE_PER_ADDRESS = 10
    for _ in range(30):
        assert desk.listing("clientes_autorizados"), "given back: they are the partner's"
    for _ in range(10):
        assert post(client, "/api/v1", b"{").status_code == 400
    monkeypatch.setattr(strict_json._DECODER, "decode", None)
    refused = post(client, "/api/v1", b"{")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
