"""Examples of contract 2's document, compared whole."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from clients.models import Applicant
from conftest import delivered_code
from tests.factories import VerificationTokenFactory
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_registering_a_client(front):
    answer = front.post(
        "/client",
        {
            "tipo_documento": "DNI",
            "documento": "12345678",
            "digito_verificador": "9",
            "nombres": "Juan",
            "apellido_paterno": "Perez",
            "apellido_materno": "Gomez",
            "correo": "juan.perez@example.com",
            "departamento": "LIMA",
            "provincia": "LIMA",
            "distrito": "MIRAFLORES",
        },
    )
    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"
    client = answer.json()["data"]["id"]
    assert UUID4.fullmatch(client)
    assert answer.json() == {
        "message": "Cliente registrado correctamente, proceda a validar su número de celular",
        "data": {"id": client},
    }


@pytest.mark.parametrize("via", ["S", "W", "I"])
def test_asking_for_a_code(front, via):
    client = front.register()
    answer = front.post(f"/client/{client}/token", {"telefono": "987654321", "operador": "MOVISTAR", "via": via})
    assert answer.status_code == 200
    assert answer.json() == {
        "message": f"Token generado y enviado vía {via}",
        "data": {"token_id": str(VerificationToken.objects.get().pk), "expires_in_seconds": 150},
    }


def test_asking_for_a_code_by_mail_needs_no_phone(front):
    client = front.register()
    answer = front.post(f"/client/{client}/token", {"via": "C"})
    assert answer.json()["message"] == "Token generado y enviado vía C"
    assert VerificationToken.objects.get().destination == "juan.perez@example.com"
    assert len(delivered_code("juan.perez@example.com")) == 4


def test_the_warning_that_a_number_was_proved_before(front):
    first = front.register()
    front.ask(first)
    assert front.verify(first, delivered_code()).status_code == 200
    Applicant.objects.filter(pk=first).update(validated_at=datetime(2026, 2, 13, 4, 59, tzinfo=UTC))
    second = front.register(documento="87654321", nombres="Ana")
    answer = front.ask(second)
    assert answer.json() == {
        "message": "Token generado y enviado vía S",
        "warning": {
            "message": "Este número ya fue validado el 12/02/2026 por JUAN PEREZ",
            "code": "PHONE_REUSE_WARNING",
        },
        "data": {"token_id": answer.json()["data"]["token_id"], "expires_in_seconds": 150},
    }


def test_the_warning_for_a_mailbox_and_with_masked_names(front, settings):
    settings.PHONE_REUSE_NAMES = "masked"
    first = front.register()
    front.ask(first, via="C")
    front.verify(first, delivered_code("juan.perez@example.com"))
    Applicant.objects.filter(pk=first).update(validated_at=datetime(2026, 2, 12, 15, tzinfo=UTC))
    second = front.register(documento="87654321")
    assert front.ask(second, via="C").json()["warning"] == {
        "message": "Este correo ya fue validado el 12/02/2026 por J*** P***",
        "code": "PHONE_REUSE_WARNING",
    }


def test_one_s_own_proof_and_another_group_s_give_no_warning(front, informa):
    first = front.register()
    front.ask(first)
    front.verify(first, delivered_code())
    theirs = front.register(informa.headers, documento="87654321")
    assert "warning" not in front.ask(theirs, informa.headers).json()


def test_asking_again_too_early(front):
    client = front.register()
    now = datetime.now(UTC)
    for minutes in (36, 34, 30):
        _past(client, now - timedelta(minutes=minutes))
    _past(client, now)
    VerificationToken.objects.order_by("created_at").first().delete()
    answer = front.ask(client)
    assert answer.status_code == 429
    body = answer.json()
    block = body.pop("data")
    assert body == {
        "error": "Tiempo de espera obligatorio",
        "message": "Límite de intentos alcanzado. Debe esperar 30 minutos.",
        "code": "ERR_COOLDOWN_ACTIVE",
    }
    assert block == front.get(f"/client/{client}/cooldown/S").json()["data"]
    assert int(answer["Retry-After"]) == block["remaining_seconds"]
    assert block["next_attempt"] == 4


def _past(client: str, at: datetime) -> None:
    VerificationTokenFactory(applicant=Applicant.objects.get(pk=client), created_at=at, outcome="SIN_RESPUESTA")


def test_verifying(front):
    client = front.register()
    front.ask(client)
    answer = front.verify(client, delivered_code())
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer.json() == {
        "message": "Token verificado exitosamente. Registro completado.",
        "data": {"status": "VALIDADO"},
    }
    proved = Applicant.objects.get()
    assert (proved.state, proved.proved_destination, proved.proved_operator, proved.proved_via) == (
        "VALIDADO",
        "987654321",
        "MOVISTAR",
        "S",
    )


def test_a_code_is_taken_in_lower_case_and_with_the_letters_that_look_like_digits(front):
    client = front.register()
    front.ask(client)
    code = delivered_code().lower().replace("0", "o").replace("1", "l")
    assert front.verify(client, code).status_code == 200


def test_cancelling(front):
    client = front.register()
    front.ask(client)
    answer = front.post(f"/client/{client}/cancel")
    assert (answer.status_code, answer.json()["data"]) == (200, {"status": "CANCELADO"})
    assert set(answer.json()) == {"message", "data"}


def test_cancel_and_expire_need_no_body_at_all(front):
    client = front.register()
    front.ask(client)
    answer = front.http.generic("POST", f"/v1/api/client/{client}/cancel")
    assert answer.status_code == 200
    assert front.http.generic("POST", f"/v1/api/client/{client}/expire").json()["code"] == "ERR_NO_PENDING_TOKEN"


def test_the_cooldown_query(front):
    client = front.register()
    assert front.get(f"/client/{client}/cooldown/S").json() == {
        "data": {
            "via": "S",
            "can_request": True,
            "remaining_seconds": 0,
            "attempts_24h": 0,
            "next_attempt": 1,
            "available_at": None,
        }
    }
    front.ask(client)
    block = front.get(f"/client/{client}/cooldown/S").json()["data"]
    assert 118 <= block.pop("remaining_seconds") <= 120
    available_at = datetime.fromisoformat(block.pop("available_at"))
    assert available_at.utcoffset() == timedelta(hours=-5)
    assert block == {"via": "S", "can_request": False, "attempts_24h": 1, "next_attempt": 2}
    assert front.get(f"/client/{client}/cooldown/W").json()["data"]["can_request"] is True


def test_the_cooldown_query_of_a_validated_client(front):
    client = front.register()
    front.ask(client)
    front.verify(client, delivered_code())
    block = front.get(f"/client/{client}/cooldown/S").json()["data"]
    assert (block["can_request"], block["available_at"], block["remaining_seconds"]) == (False, None, 0)


def test_status(front):
    answer = front.get("/status")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"status", "timestamp", "uptime"}
    assert body["status"] == "ok"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])
    assert isinstance(body["uptime"], float)


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_works_with_and_without_a_trailing_slash(front, slash):
    client = front.register()
    assert front.post(f"/client/{client}/token{slash}", {"via": "C"}).status_code == 200
    assert front.get(f"/client/{client}/verify/ZZZZ{slash}").json()["code"] == "ERR_INVALID_TOKEN"
    assert front.get(f"/client/{client}/cooldown/C{slash}").status_code == 200
    assert front.post(f"/client/{client}/cancel{slash}").status_code == 200
    assert front.post(f"/client/{client}/expire{slash}").json()["code"] == "ERR_NO_PENDING_TOKEN"
    assert front.get(f"/status{slash}").status_code == 200
    assert front.post(f"/client{slash}", {}).json()["code"] == "ERR_VALIDATION"
