"""Contract 1: every rule of a row, the order of checks, both places for the token, and access to rows."""

import json
import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clients.credentials import revoke
from clients.identity.names import NAME_PATTERN, name_ok
from clients.models import AuthorizedClient, Credential
from conftest import NOW, NopasanadaClient
from external_api.models import ApiRequest
from external_api.nopasanada.serializers import _check_fast, _check_field_by_field, check_new

ROW = {"codigo_externo": "C-1", "perfil": "VIP", "correo": "ana@dominio.com"}
NAME, TYPE, NUMBER = "Nombre Invalido.", "Tipo de Documento Invalido.", "Numero de Documento Invalido."


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"nombre": None, "celular": "", "tipo_documento": None, "numero_documento": ""}, []),
        ({"nombre": "Juan Pérez"}, []),
        ({"nombre": "María del Carmen D'Angelo Muñoz-Nájar"}, []),
        ({"nombre": "J. Ñahui"}, []),
        ({"nombre": "Anna"}, [NAME]),
        ({"nombre": "  Ana   Paz  "}, []),
        ({"nombre": "A" * 50}, []),
        ({"nombre": "A" * 51}, [NAME]),
        ({"nombre": "Juan 2do"}, [NAME]),
        ({"nombre": "Juan <b>"}, [NAME]),
        ({"nombre": 12345}, [NAME]),
        ({"nombre": ["Juan"]}, [NAME]),
        ({"tipo_documento": "DNI", "numero_documento": "12345678"}, []),
        ({"tipo_documento": "CE", "numero_documento": "123456789"}, []),
        ({"tipo_documento": "PASAPORTE", "numero_documento": "ab123456"}, []),
        ({"tipo_documento": "RUC", "numero_documento": "12345678"}, [TYPE]),
        ({"tipo_documento": "dni", "numero_documento": "12345678"}, [TYPE]),
        ({"numero_documento": "12345678"}, [TYPE]),
        ({"tipo_documento": 1, "numero_documento": "12345678"}, [TYPE]),
        ({"tipo_documento": "DNI"}, [NUMBER]),
        ({"tipo_documento": "DNI", "numero_documento": "1234567"}, [NUMBER]),
        ({"tipo_documento": "DNI", "numero_documento": 12345678}, [NUMBER]),
        ({"tipo_documento": "DNI", "numero_documento": "١٢٣٤٥٦٧٨"}, [NUMBER]),
        ({"tipo_documento": "CE", "numero_documento": "0123456780"}, [NUMBER]),
        ({"tipo_documento": "PASAPORTE", "numero_documento": "A1"}, [NUMBER]),
        ({"celular": "987654321"}, []),
        ({"celular": "123456789"}, []),
        ({"celular": "98765432"}, ["Celular Invalido."]),
        ({"celular": "9876543210"}, ["Celular Invalido."]),
        ({"celular": "98765432x"}, ["Celular Invalido."]),
        ({"celular": "９８７６５４３２１"}, ["Celular Invalido."]),
        ({"celular": 987654321}, ["Celular Invalido."]),
        ({"codigo_externo": ""}, ["Codigo Externo Requerido."]),
        ({"codigo_externo": "  "}, ["Codigo Externo Requerido."]),
        ({"codigo_externo": 7}, ["Codigo Externo Invalido."]),
        ({"codigo_externo": "x" * 101}, ["Codigo Externo Invalido."]),
        ({"codigo_externo": "áé/#$ 1"}, []),
        ({"perfil": None}, ["Perfil Requerido."]),
        ({"perfil": {}}, ["Perfil Invalido."]),
        ({"correo": None}, ["Correo Requerido."]),
        ({"correo": "ana"}, ["Correo Invalido."]),
        ({"correo": 5}, ["Correo Invalido."]),
        ({"correo": "ana@dominio.com\nBcc: x@y.com"}, ["Correo Invalido."]),
        ({"correo": "JOSÉ@DOMINIO.COM"}, []),
        (
            {"nombre": "x", "tipo_documento": "X", "celular": "1", "codigo_externo": "", "perfil": "", "correo": ""},
            [NAME, TYPE, "Celular Invalido.", "Codigo Externo Requerido.", "Perfil Requerido.", "Correo Requerido."],
        ),
    ],
)
def test_a_row(changes, faults):
    checked = check_new(ROW | changes)
    assert checked.faults == faults
    assert (checked.values is None) == bool(faults)


@pytest.mark.parametrize("row", [None, 5, "ana@dominio.com", [], True])
def test_a_row_that_is_no_object(row):
    assert check_new(row).faults == ["Cliente Invalido."]


@pytest.mark.django_db
def test_taken_and_repeated_addresses(desk):
    assert desk.send("alta", clientes=[ROW]).status_code == 200
    faulty = ROW | {"correo": "new@dominio.com", "celular": "1"}
    rows = [
        ROW,
        ROW | {"correo": "ANA@dominio.com", "celular": "1"},
        faulty,
        ROW | {"correo": "new@dominio.com"},
        ROW | {"correo": "NEW@Dominio.com "},
        faulty,
    ]
    answer = desk.send("alta", clientes=rows)
    assert answer.status_code == 207
    assert answer.json()["resultados"] == {
        "cuenta_exitos": 1,
        "cuenta_fallos": 5,
        "exitos": [{"correo": "new@dominio.com", "indice": 3}],
        "fallos": [
            {"errores": ["Correo ya registrado."], "indice": 0},
            {
                "errores": ["Celular Invalido.", "Correo ya registrado.", "Correo repetido en la solicitud."],
                "indice": 1,
            },
            {"errores": ["Celular Invalido."], "indice": 2},
            {"errores": ["Correo repetido en la solicitud."], "indice": 4},
            {"errores": ["Celular Invalido.", "Correo repetido en la solicitud."], "indice": 5},
        ],
    }


@pytest.mark.django_db
def test_baja_names_every_fault(desk):
    desk.send("alta", clientes=[ROW])
    rows = [{}, {"correo": "x"}, 5, {"correo": "ANA@dominio.com"}, ROW, {"correo": "nadie@dominio.com"}]
    answer = desk.send("baja", clientes=rows).json()["resultados"]
    assert answer["exitos"] == [{"correo": "ana@dominio.com", "indice": 3}]
    assert [(each["indice"], each["errores"]) for each in answer["fallos"]] == [
        (0, ["Correo Requerido."]),
        (1, ["Correo Invalido."]),
        (2, ["Cliente Invalido."]),
        (4, ["Correo repetido en la solicitud."]),
        (5, ["Correo no encontrado."]),
    ]


@pytest.mark.django_db(transaction=True)
def test_alta_again_after_baja_is_a_new_authorization(desk):
    first = desk.send("alta", clientes=[ROW]).json()["id_solicitud"]
    AuthorizedClient.objects.update(subscribed_at=NOW)
    assert desk.send("baja", clientes=[ROW]).status_code == 200
    assert desk.listing("clientes_autorizados")["resultados"] == {"data": [], "cuenta": 0}
    second = desk.send("alta", clientes=[ROW]).json()["id_solicitud"]
    assert second > first
    [listed] = desk.listing("clientes_autorizados")["resultados"]["data"]
    assert (listed["id_solicitud"], listed["suscrito"]) == (second, False)
    assert AuthorizedClient.objects.count() == 2, "the old one stays as history"


@pytest.mark.django_db(transaction=True)
def test_clients_are_listed_in_order_of_authorization_and_filtered_by_address(desk):
    for name in ("zoe", "ana", "max"):
        desk.send("alta", clientes=[ROW | {"correo": f"{name}{each}@dominio.com"} for each in (2, 1)])
    listed = [each["correo"] for each in desk.listing("clientes_autorizados")["resultados"]["data"]]
    assert listed == [f"{name}{each}@dominio.com" for name in ("zoe", "ana", "max") for each in (2, 1)]
    some = [{"correo": "MAX1@dominio.com"}, {"correo": "zoe1@dominio.com"}, {"correo": "no"}, {}, 5]
    found = desk.listing("clientes_autorizados", clientes=some)["resultados"]
    assert [each["correo"] for each in found["data"]] == ["zoe1@dominio.com", "max1@dominio.com"]
    assert desk.listing("clientes_autorizados", clientes=[{}])["resultados"]["cuenta"] == 0
    assert desk.listing("clientes_autorizados", clientes=[])["resultados"]["cuenta"] == 6
    assert desk.listing("clientes_autorizados", clientes=None)["resultados"]["cuenta"] == 6


@pytest.mark.django_db(transaction=True)
def test_text_with_quotes_backslashes_and_breaks_survives_the_stream(desk):
    odd = 'a"b\\c/\\\\n,}]{" é 😀'
    desk.send("alta", clientes=[ROW | {"codigo_externo": odd}])
    assert desk.listing("clientes_autorizados")["resultados"]["data"][0]["codigo_cliente"] == odd


def refused(answer, status, text):
    assert (answer.status_code, answer.json()["resultados"]) == (status, {"error": text})


@pytest.mark.django_db
def test_the_order_of_checks(desk):
    everything_wrong = {"token": "x", "usuario": "", "solicitud": "x", "clientes": 5}
    post = desk.http.post
    refused(post("/api/v1", b"{", content_type="application/json"), 400, "JSON incorrecto.")
    refused(desk.send(_body=everything_wrong), 401, "Token incorrecto.")
    refused(desk.send(_body=everything_wrong | {"token": desk.token}), 400, "Usuario requerido.")
    body = everything_wrong | {"token": desk.token, "usuario": 5}
    refused(desk.send(_body=body), 404, "Solicitud incorrecta.")
    refused(desk.send(_body=body | {"solicitud": "alta"}), 400, "Clientes requeridos.")


@pytest.mark.django_db
@pytest.mark.parametrize("user", ["MAQ-001", " con espacios ", 7, 1.5, 0])
def test_users_that_are_taken_as_given(desk, user):
    assert desk.send("alta", usuario=user, clientes=[ROW]).status_code == 200
    assert ApiRequest.objects.latest("id").user == str(user)


@pytest.mark.django_db
@pytest.mark.parametrize("user", ["", "   ", None, True, [], {}])
def test_users_that_are_none(desk, user):
    refused(desk.send("alta", usuario=user, clientes=[ROW]), 400, "Usuario requerido.")


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["alta", "baja"])
@pytest.mark.parametrize("rows", [None, [], {}, "x", 5])
def test_rows_are_required(desk, action, rows):
    refused(desk.send(action, clientes=rows), 400, "Clientes requeridos.")


@pytest.mark.django_db
def test_too_many_rows(desk):
    refused(desk.send("alta", clientes=[{}] * 10_001), 400, "Demasiados clientes.")
    refused(desk.send("clientes_autorizados", clientes=5), 400, "Clientes requeridos.")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "dates",
    [
        {"fecha_desde": "2026-3-5"},
        {"fecha_desde": "05/03/2026"},
        {"fecha_hasta": "2026-02-30"},
        {"fecha_hasta": "2026-13-01"},
        {"fecha_desde": "2026-03-05T00:00:00"},
        {"fecha_desde": 20260305},
        {"fecha_desde": "2026-03-06", "fecha_hasta": "2026-03-05"},
        {"fecha_desde": "٢٠٢٦-٠٣-٠٥"},
        {"fecha_desde": "0000-01-01"},
        {"fecha_desde": " 2026-03-05"},
        {"fecha_desde": "2026-03-05\n"},
    ],
)
def test_dates_that_are_none(desk, dates):
    refused(desk.send("mensajes_enviados", **dates), 400, "Fecha Invalida.")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("dates", [{"fecha_desde": "0001-01-01"}, {"fecha_hasta": "9999-12-31"}, {"fecha_desde": None}])
def test_dates_at_the_ends_of_the_calendar(desk, dates):
    assert desk.listing("mensajes_enviados", **dates)["resultados"]["cuenta"] == 0


@pytest.mark.django_db
def test_the_header_wins_over_the_body(desk, elsewhere):
    def send(header, token):
        headers = {"Authorization": header}
        body = {"token": token, "usuario": "x", "solicitud": "alta", "clientes": [ROW]}
        return desk.http.post("/api/v1", body, content_type="application/json", headers=headers).status_code

    assert send(f"Bearer {desk.token}", "wrong") == 200
    assert send("Bearer wrong", desk.token) == 401
    assert send("Basic eDp5", desk.token) == 400, "another scheme counts as absent; the row is taken by now"
    assert send("Basic eDp5", "wrong") == 401


@pytest.mark.django_db
def test_credentials_that_do_not_open_contract_1(nopasanada, informa, switched_off):
    for token in (nopasanada.jwt, informa.token, switched_off.token, "", "A" * 32, 5, None, ["x"]):
        refused(NopasanadaClient(token).send("alta", clientes=[ROW]), 401, "Token incorrecto.")
    revoke(Credential.objects.get(partner=nopasanada.partner, kind="opaque"), at=NOW, by="ana")
    refused(NopasanadaClient(nopasanada.token).send("alta", clientes=[ROW]), 401, "Token incorrecto.")


@pytest.mark.django_db(transaction=True)
def test_another_partner_s_clients_are_neither_seen_nor_touched(desk, elsewhere):
    other = NopasanadaClient(elsewhere.token)
    desk.send("alta", clientes=[ROW])
    assert other.listing("clientes_autorizados")["resultados"]["cuenta"] == 0
    refused_baja = other.send("baja", clientes=[ROW]).json()["resultados"]
    assert refused_baja["fallos"][0]["errores"] == ["Correo no encontrado."]
    assert other.send("alta", clientes=[ROW]).status_code == 200, "the same address with another partner"


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_other_methods(desk, method):
    answer = getattr(desk.http, method)("/api/v1")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    if method != "head":
        refused(answer, 405, "Metodo no permitido.")


@pytest.mark.django_db
def test_the_envelope_of_everything_else(desk):
    post = desk.http.post
    refused(post("/api/v1/x", {}, content_type="application/json"), 404, "Ruta no encontrada.")
    assert post("/api/v1/", {}, content_type="application/json").status_code == 401
    answer = post("/api/v1", "x", content_type="text/plain")
    refused(answer, 415, "El cuerpo debe ser application/json en UTF-8.")
    answer = post("/api/v1", b'{"x": "' + b"x" * 8 * 1024 * 1024 + b'"}', content_type="application/json")
    refused(answer, 413, "Solicitud demasiado grande.")
    for body in (b"[]", b'"x"', b'{"a": NaN}', b'{"a": "\\u0000"}', b'{"a": 1, "a": 2}', b"", b'{"a": "\\ud800"}'):
        answer = post("/api/v1", body, content_type="application/json")
        assert answer.status_code in (400, 401)
        assert set(answer.json()) == {"id_solicitud", "resultados", "timestamp"}


@pytest.mark.django_db
def test_throttled_calls_take_a_number_and_leave_no_row(desk, settings):
    settings.RATE_PER_PARTNER = 1
    first = desk.send("alta", clientes=[ROW]).json()["id_solicitud"]
    answer = desk.send("alta", clientes=[ROW])
    refused(answer, 429, "Demasiadas solicitudes.")
    assert answer.json()["id_solicitud"] > first
    assert ApiRequest.objects.latest("id").pk == first
    assert int(answer["Retry-After"]) >= 1


@pytest.mark.django_db
def test_the_number_of_statements_does_not_depend_on_the_rows(desk):
    def statements(count, prefix, action):
        rows = [ROW | {"correo": f"{prefix}{each}@dominio.com"} for each in range(count)]
        rows += [ROW | {"celular": "1"}, rows[0]]
        with CaptureQueriesContext(connection) as captured:
            assert desk.send(action, clientes=rows).status_code == 207
        return len(captured)

    statements(1, "warm", "alta")
    assert statements(1, "a", "alta") == statements(2000, "b", "alta") <= 6
    assert statements(1, "a", "baja") == statements(2000, "b", "baja") <= 5


@pytest.mark.django_db
def test_safe_retries(desk):
    headers = {"Authorization": f"Bearer {desk.token}", "Idempotency-Key": "lote-1"}
    body = json.dumps({"usuario": "x", "solicitud": "alta", "clientes": [ROW]})
    answers = [desk.http.post("/api/v1", body, content_type="application/json", headers=headers) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[1]["Idempotency-Replayed"] == "true"
    other = desk.http.post("/api/v1", body.replace("VIP", "X"), content_type="application/json", headers=headers)
    refused(other, 422, "Idempotency-Key usada con otra solicitud.")


ODD = (
    "",
    " ",
    "a",
    "Juan Pérez",
    " Juan Pérez",
    "Juan  Pérez",
    "Juan Pérez ",
    "Jose\u0301 Pérez",
    "Juan|Pérez",
    "| |",
    "Ana Mª",
    "Ana º µ",
    "Ŋandú Ωmega",
    "O'Higgins",
    "María-José",
    "J. R. Díaz",
    "Juan\u00a0Pérez",
    "Juan\tPérez",
    "Juan\u200bPérez",
    "x" * 50,
    "x" * 51,
    "x" * 100,
    "x" * 101,
    "DNI",
    "dni",
    "CE",
    "PASAPORTE",
    "12345678",
    "123456789",
    "1234567890",
    "ab12cd",
    "987654321",
    "٩٨٧٦٥٤٣٢١",
    "ana@dominio.com",
    "ANA@Dominio.COM",
    " ana@dominio.com",
    "ana@ñandú.pe",
    "ana@xn--and-6ma2c.pe",
    "ana@localhost",
    "ana",
    "an a@dominio.com",
    "\u0301",
    "Ana\nDNI",
    "C\u00a01",
    "C\u200b1",
    "AB12cd",
    None,
    5,
    True,
    [],
    {},
)
FIELDS = ("nombre", "tipo_documento", "numero_documento", "celular", "codigo_externo", "perfil", "correo")


def test_the_fast_path_finds_what_the_field_rules_find():
    good = dict(zip(FIELDS, ("Juan Pérez", "DNI", "12345678", "987654321", "C1", "A", "ana@dominio.com"), strict=True))
    rows = [good]
    rows += [{**good, name: odd} for name in FIELDS for odd in ODD]
    rows += [{key: value for key, value in good.items() if key != name} for name in FIELDS]
    rows += [{**good, "tipo_documento": kind, "numero_documento": number} for kind in ODD for number in ODD]
    chance = random.Random(20261124)
    rows += [
        {name: chance.choice(ODD) if chance.random() < 0.3 else good[name] for name in FIELDS} for _ in range(5000)
    ]
    for row in rows:
        assert check_new(dict(row)) == _check_field_by_field(dict(row)), row
    assert _check_fast(good), "else the test would compare the long way with itself"


def test_a_name_passes_the_fast_path_only_if_it_passes_the_rule():
    letters = [chr(number) for number in (*range(0x20, 0x250), 0x3A9, 0x416, 0x627)]
    for one in letters:
        for name in (f"{one}uan Pérez", f"Jua{one}", f"Ju{one}an", f"{one}", f"Juan {one} Paz"):
            assert name_ok(name) == bool(NAME_PATTERN.fullmatch(name)), repr(name)
