"""Errors of contract 2: each code is reached, and each error has a row in the table."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.db import OperationalError

import clients.errors
import external_api.frontdoor.errors
import tokens.errors
from clients.errors import ContractNotAllowed, CredentialChanged, CredentialRefused, Refused
from clients.models import Applicant
from conftest import REGISTRATION, delivered_code
from external_api.informaperu.contract import TABLE
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db


def code_of(answer):
    body = answer.json()
    assert {"error", "message", "code"} <= set(body)
    assert all(isinstance(body[key], str) and body[key] for key in ("error", "message", "code"))
    return answer.status_code, body["code"]


@pytest.fixture
def asked(front):
    client = front.register()
    assert front.ask(client).status_code == 200
    return client


def wrong_code():
    return "ZZZZ" if delivered_code() != "ZZZZ" else "YYYY"


def age(client, **ago):
    """Moves the client's latest code into the past."""
    token = VerificationToken.objects.filter(applicant=client).latest("created_at")
    VerificationToken.objects.filter(pk=token.pk).update(
        created_at=token.created_at - timedelta(**ago), expires_at=token.expires_at - timedelta(**ago)
    )


def test_every_error_has_a_row_and_every_row_has_a_text():
    modules = (clients.errors, tokens.errors, external_api.frontdoor.errors)
    errors_of_contract = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Refused) and each is not Refused
    }
    answered_as_unauthorized = {CredentialRefused, ContractNotAllowed}
    never_answered = {CredentialChanged}  # the front door authenticates again
    assert errors_of_contract - answered_as_unauthorized - never_answered <= set(TABLE)
    for row in TABLE.values():
        assert row.code.startswith("ERR_")
        assert row.error


def test_validation_names_every_faulty_field(front):
    answer = front.post("/client", {"tipo_documento": "DNI", "documento": "123", "correo": 5, "nombres": " "})
    assert code_of(answer) == (400, "ERR_VALIDATION")
    details = answer.json()["details"]
    assert set(details) == {
        "documento",
        "digito_verificador",
        "nombres",
        "apellido_paterno",
        "correo",
        "departamento",
        "provincia",
        "distrito",
    }
    assert details["correo"] == ["Debe ser un texto."]
    assert details["nombres"] == ["Este campo es obligatorio."]
    assert not Applicant.objects.exists(), "nothing is stored"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tipo_documento": "RUC"}, "tipo_documento"),
        ({"tipo_documento": "dni"}, "tipo_documento"),
        ({"tipo_documento": "CE", "documento": "12345678"}, "documento"),
        ({"tipo_documento": "CE", "documento": "1234567890"}, "documento"),
        ({"tipo_documento": "PASAPORTE", "documento": "AB12"}, "documento"),
        ({"documento": "1234567"}, "documento"),
        ({"documento": "١٢٣٤٥٦٧٨"}, "documento"),
        ({"documento": 12345678}, "documento"),
        ({"digito_verificador": "L"}, "digito_verificador"),
        ({"digito_verificador": ""}, "digito_verificador"),
        ({"digito_verificador": "99"}, "digito_verificador"),
        ({"nombres": "Juan1"}, "nombres"),
        ({"nombres": "<b>Juan</b>"}, "nombres"),
        ({"nombres": "J" * 81}, "nombres"),
        ({"nombres": "Juan\nPedro"}, "nombres"),
        ({"apellido_paterno": "😀"}, "apellido_paterno"),
        ({"correo": "juan"}, "correo"),
        ({"correo": "juan@example.com\r\nBcc: x@example.com"}, "correo"),
        ({"correo": "a" * 250 + "@example.com"}, "correo"),
        ({"distrito": "NO EXISTE"}, "distrito"),
        ({"provincia": "CUSCO"}, "provincia"),
        ({"provincia": "NO EXISTE", "distrito": "TAMPOCO"}, "provincia"),
        ({"departamento": "LYMA"}, "departamento"),
        ({"apellido_paterno": "-"}, "apellido_paterno"),
        ({"apellido_materno": "-x-"}, "apellido_materno"),
        ({"departamento": None}, "departamento"),
        ({"departamento": ["LIMA"]}, "departamento"),
        ({"apellido_materno": 7}, "apellido_materno"),
    ],
)
def test_a_registration_with_one_fault(front, changes, field):
    answer = front.post("/client", REGISTRATION | changes)
    assert code_of(answer) == (400, "ERR_VALIDATION")
    assert list(answer.json()["details"]) == [field]
    assert not Applicant.objects.exists()


def test_the_refusal_says_which_of_the_three_places_is_unknown(front):
    def details(**places):
        return front.post("/client", REGISTRATION | places).json()["details"]

    assert details(departamento="Cuzcoo") == {"departamento": ["No es un departamento del Perú."]}
    assert details(provincia="Cuzco") == {"provincia": ["No es una provincia del departamento Lima."]}
    assert details(departamento="Cuzco", provincia="Cuzco", distrito="Miraflores") == {
        "distrito": [
            "El departamento, la provincia y el distrito no existen juntos.",
            "No es un distrito de la provincia Cusco.",
        ]
    }


@pytest.mark.parametrize(
    ("places", "official"),
    [
        (("Prov. Const. del Callao", "Prov. Const. del Callao", "Ventanilla"), ("Callao", "Callao", "Ventanilla")),
        (("ICA", "NAZCA", "NAZCA"), ("Ica", "Nasca", "Nasca")),
        (("Cuzco", "Cuzco", "Cuzco"), ("Cusco", "Cusco", "Cusco")),
        (("Ayacucho", "Vilcashuamán", "VILCASHUAMAN"), ("Ayacucho", "Vilcas Huamán", "Vilcas Huamán")),
        (("Lima", "Lima", "Cercado de Lima"), ("Lima", "Lima", "Lima")),
    ],
)
def test_a_place_in_another_spelling_is_stored_as_the_official_one(front, places, official):
    changes = dict(zip(("departamento", "provincia", "distrito"), places, strict=True))
    assert front.post("/client", REGISTRATION | changes).status_code == 201
    row = Applicant.objects.get()
    assert (row.department, row.province, row.district) == official


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"apellido_paterno": "D´ANGELO"}, ("Juan", "D'ANGELO", "Gomez")),
        ({"apellido_paterno": "Quispe – Huamán"}, ("Juan", "Quispe-Huamán", "Gomez")),
        ({"apellido_materno": "-"}, ("Juan", "Perez", "")),
        ({"apellido_materno": "—"}, ("Juan", "Perez", "")),
        ({"apellido_materno": "."}, ("Juan", "Perez", "")),
        ({"nombres": "Tsẽ̱ G\u0303ua"}, ("Tsẽ̱ G\u0303ua", "Perez", "Gomez")),
    ],
)
def test_names_are_stored_in_one_spelling(front, given, stored):
    assert front.post("/client", REGISTRATION | given).status_code == 201
    row = Applicant.objects.get()
    assert (row.names, row.paternal_surname, row.maternal_surname) == stored


@pytest.mark.parametrize(
    "changes",
    [
        {"departamento": "lima", "provincia": " Lima ", "distrito": "miraflores"},
        {"departamento": "Junín", "provincia": "JUNÍN", "distrito": "Junin"},
        {"apellido_materno": None},
        {"nombres": "María  del   Carmen", "apellido_paterno": "D'Angelo", "apellido_materno": "Muñoz-Nájar"},
        {"tipo_documento": "CE", "documento": "001234567", "digito_verificador": None},
        {"tipo_documento": "PASAPORTE", "documento": "XY123456", "digito_verificador": ""},
        {"correo": "JUAN@MUNICIPALIDAD.GOB.PE"},
        {"extra": {"ignored": [1, 2]}},
    ],
)
def test_registrations_that_are_fine(front, changes):
    front.register(**changes)


def test_the_dni_check_character_when_it_is_checked(front, settings):
    settings.DNI_CHECK_CHARACTER = "strict"
    answer = front.post("/client", REGISTRATION)
    assert answer.json()["details"] == {"digito_verificador": ["No corresponde al documento."]}
    front.register(digito_verificador="1")
    front.register(digito_verificador="E")


def test_registering_again_replaces_the_data_and_keeps_the_id(front):
    client = front.register()
    assert front.register(nombres="Juan Carlos", correo="Otro@Example.com") == client
    applicant = Applicant.objects.get()
    assert (applicant.names, applicant.email) == ("Juan Carlos", "otro@example.com")


def test_a_changed_mailbox_ends_a_live_code_sent_to_the_old_one(front):
    client = front.register()
    front.ask(client, via="C")
    code = delivered_code("juan.perez@example.com")
    front.register(correo="otro@example.com")
    assert code_of(front.verify(client, code)) == (400, "ERR_NO_PENDING_TOKEN")
    front.ask(client, via="S")
    front.register(correo="tercero@example.com")
    assert front.verify(client, delivered_code()).status_code == 200, "a code sent to the phone stays live"


def test_already_validated(front, asked):
    front.verify(asked, delivered_code())
    assert code_of(front.post("/client", REGISTRATION)) == (409, "ERR_CLIENT_ALREADY_VALIDATED")
    assert code_of(front.ask(asked)) == (409, "ERR_CLIENT_ALREADY_VALIDATED")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["via"]),
        ({"via": "X"}, ["via"]),
        ({"via": "s"}, ["via"]),
        ({"via": 5}, ["via"]),
        ({"via": "S"}, ["telefono", "operador"]),
        ({"via": "S", "telefono": "887654321", "operador": "CLARO"}, ["telefono"]),
        ({"via": "S", "telefono": "98765432", "operador": "CLARO"}, ["telefono"]),
        ({"via": "S", "telefono": "9876543210", "operador": "CLARO"}, ["telefono"]),
        ({"via": "S", "telefono": "+51987654321", "operador": "CLARO"}, ["telefono"]),
        ({"via": "S", "telefono": "９８７６５４３２１", "operador": "CLARO"}, ["telefono"]),
        ({"via": "S", "telefono": "987654321\u200b", "operador": "CLARO"}, ["telefono"]),
        ({"via": "S", "telefono": 987654321, "operador": "CLARO"}, ["telefono"]),
        ({"via": "S", "telefono": "987654321", "operador": "TUENTI"}, ["operador"]),
    ],
)
def test_asking_for_a_code_with_faults(front, body, fields):
    answer = front.post(f"/client/{front.register()}/token", body)
    assert code_of(answer) == (400, "ERR_VALIDATION")
    assert list(answer.json()["details"]) == fields
    assert not VerificationToken.objects.exists()


@pytest.mark.parametrize("operator", ["MOVISTAR", "CLARO", "ENTEL", "BITEL", "FLASH", "CUY", "OTRO"])
def test_operators_that_are_known(front, operator):
    assert front.ask(front.register(), operador=operator).status_code == 200


def test_a_via_without_a_gateway(front, settings):
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "W": ()}
    answer = front.ask(front.register(), via="W")
    assert code_of(answer) == (400, "ERR_VALIDATION")
    assert answer.json()["details"] == {"via": ["Esta vía no está disponible."]}


@pytest.mark.parametrize("client", ["00000000-0000-4000-8000-000000000000", "no-uuid", "1", "%01", "{}"])
def test_an_unknown_client_is_not_found_on_every_endpoint(front, client):
    for answer in (
        front.ask(client),
        front.verify(client, "A1B2"),
        front.post(f"/client/{client}/cancel"),
        front.post(f"/client/{client}/expire"),
        front.get(f"/client/{client}/cooldown/S"),
    ):
        assert code_of(answer) == (404, "ERR_CLIENT_NOT_FOUND")


def test_a_wrong_code_says_how_many_tries_are_left_and_the_fifth_ends_the_token(front, asked):
    wrong = wrong_code()
    for left in (4, 3, 2, 1):
        answer = front.verify(asked, wrong)
        assert code_of(answer) == (400, "ERR_INVALID_TOKEN")
        assert answer.json()["data"] == {"attempts_remaining": left}
    assert code_of(front.verify(asked, wrong)) == (400, "ERR_MAX_ATTEMPTS")
    assert VerificationToken.objects.get().outcome == "FALLIDO"
    assert code_of(front.verify(asked, delivered_code())) == (400, "ERR_NO_PENDING_TOKEN")


@pytest.mark.parametrize("typed", ["A", "ABCDE", "A-B2", "%F0%9F%98%80", "%00%00%00%00", "١٢٣٤", "U1U1", "%2e%2e"])
def test_a_malformed_code_counts_as_a_wrong_one(front, asked, typed):
    assert front.verify(asked, typed).json()["data"] == {"attempts_remaining": 4}


def test_no_pending_token(front, asked):
    fresh = front.register(documento="87654321")
    assert code_of(front.verify(fresh, "A1B2")) == (400, "ERR_NO_PENDING_TOKEN")
    assert code_of(front.post(f"/client/{fresh}/cancel")) == (400, "ERR_NO_PENDING_TOKEN")
    assert code_of(front.post(f"/client/{fresh}/expire")) == (400, "ERR_NO_PENDING_TOKEN")
    front.post(f"/client/{asked}/cancel")
    for answer in (front.verify(asked, "A1B2"), front.post(f"/client/{asked}/expire")):
        assert code_of(answer) == (400, "ERR_NO_PENDING_TOKEN")


def test_after_success_there_is_no_pending_token(front, asked):
    code = delivered_code()
    front.verify(asked, code)
    assert code_of(front.verify(asked, code)) == (400, "ERR_NO_PENDING_TOKEN")


def test_an_old_code_after_a_new_one_and_another_client_s_code(front, asked):
    old = delivered_code()
    age(asked, minutes=2, seconds=1)
    assert front.ask(asked).status_code == 200
    new = delivered_code()
    other = front.register(documento="87654321")
    front.ask(other, telefono="912345678")
    for typed in {old, delivered_code("912345678")} - {new}:
        assert code_of(front.verify(asked, typed)) == (400, "ERR_INVALID_TOKEN")
    assert front.verify(asked, new).status_code == 200


def test_an_expired_code(front, asked):
    code = delivered_code()
    age(asked, seconds=151)
    assert code_of(front.verify(asked, code)) == (400, "ERR_TOKEN_EXPIRED")
    assert code_of(front.post(f"/client/{asked}/cancel")) == (400, "ERR_NO_PENDING_TOKEN")
    answer = front.post(f"/client/{asked}/expire")
    assert (answer.status_code, answer.json()["data"]) == (200, {"status": "SIN_RESPUESTA"})
    assert front.post(f"/client/{asked}/expire").status_code == 200, "already closed that way: again the same"
    assert code_of(front.verify(asked, code)) == (400, "ERR_TOKEN_EXPIRED")


def test_an_expiry_after_wrong_tries_is_expirado(front, asked):
    front.verify(asked, wrong_code())
    age(asked, seconds=151)
    assert front.post(f"/client/{asked}/expire").json()["data"] == {"status": "EXPIRADO"}


def test_expire_is_an_error_while_the_code_is_live_and_accepted_in_its_last_five_seconds(front, asked):
    assert code_of(front.post(f"/client/{asked}/expire")) == (409, "ERR_TOKEN_STILL_ACTIVE")
    code = delivered_code()
    age(asked, seconds=146)
    assert front.post(f"/client/{asked}/expire").status_code == 200
    assert VerificationToken.objects.get().outcome == "PENDIENTE", "closed when its time is over, not before"
    assert front.verify(asked, code).status_code == 200


def test_a_hundred_wrong_codes_in_a_row_lock_the_client_until_staff_lifts_it(front, asked):
    Applicant.objects.update(wrong_codes_in_a_row=99)
    front.verify(asked, wrong_code())
    assert code_of(front.verify(asked, delivered_code())) == (403, "ERR_CLIENT_LOCKED")
    age(asked, minutes=3)
    assert code_of(front.ask(asked)) == (403, "ERR_CLIENT_LOCKED")
    assert front.get(f"/client/{asked}/cooldown/S").json()["data"]["can_request"] is False
    from tokens.cooldown_overrides import unlock

    assert unlock(Applicant.objects.get(), by="ana", reason="se identificó", at=datetime.now(UTC))
    assert front.ask(asked).status_code == 200


def test_a_right_code_ends_the_row_of_wrong_ones(front, asked):
    front.verify(asked, wrong_code())
    assert Applicant.objects.get().wrong_codes_in_a_row == 1
    front.verify(asked, delivered_code())
    assert Applicant.objects.get().wrong_codes_in_a_row == 0


def test_a_wrong_via_in_the_cooldown_query(front, asked):
    assert code_of(front.get(f"/client/{asked}/cooldown/X")) == (400, "ERR_VALIDATION")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("get", "/client", "POST"),
        ("put", "/client", "POST"),
        ("delete", "/client", "POST"),
        ("patch", "/client", "POST"),
        ("options", "/client", "POST"),
        ("get", "/client/x/token", "POST"),
        ("post", "/client/x/verify/A1B2", "GET"),
        ("options", "/client/x/verify/A1B2", "GET"),
        ("post", "/client/x/cooldown/S", "GET, HEAD"),
        ("get", "/client/x/cancel", "POST"),
        ("get", "/client/x/expire", "POST"),
        ("post", "/status", "GET, HEAD"),
    ],
)
def test_a_wrong_method(front, method, path, allow):
    answer = getattr(front.http, method)(f"/v1/api{path}")
    assert code_of(answer) == (405, "ERR_METHOD_NOT_ALLOWED")
    assert answer["Allow"] == allow


def test_head_does_not_verify(front, asked):
    code = delivered_code()
    answer = front.http.head(f"/v1/api/client/{asked}/verify/{code}")
    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert front.verify(asked, code).status_code == 200


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/client/x/verify", "/client//token", "/v1/api", "/client/x/y/z"]
)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "head"])
def test_an_unknown_path(front, path, method):
    answer = getattr(front.http, method)(f"/v1/api{path}")
    assert answer.status_code == 404
    if method != "head":
        assert code_of(answer) == (404, "ERR_NOT_FOUND")


def test_an_unavailable_database_is_503_with_retry_after(front):
    with mock.patch("tokens.sql.lock_and_read", side_effect=OperationalError("away")):
        answer = front.ask("00000000-0000-4000-8000-000000000000")
    assert code_of(answer) == (503, "ERR_UNAVAILABLE")
    assert answer["Retry-After"] == "5"


def test_a_fault_of_ours_is_500_in_the_envelope_and_tells_nothing(front):
    with mock.patch("tokens.services.cooldown", side_effect=ZeroDivisionError("secret detail")):
        answer = front.get("/client/00000000-0000-4000-8000-000000000000/cooldown/S")
    assert code_of(answer) == (500, "ERR_INTERNAL")
    assert b"secret" not in answer.content


def test_a_host_we_do_not_serve_gets_the_envelope_too(front):
    for host in ("evil.example", "evil.example:99999", "a b"):
        answer = front.http.get("/v1/api/status", headers={"host": host})
        assert code_of(answer) == (400, "ERR_VALIDATION")
