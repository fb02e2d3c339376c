"""Examples of the OpenAPI document, sent to the real views: the answers are those that it prints."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from clients.models import Applicant, AuthorizedClient
from conftest import InformaperuClient, Registrar, delivered_code, make_applicant
from external_api.tests.openapi_document import conforming, examples, operation, operations, request_example
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db(transaction=True)

IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
A_CLIENT = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def same_but_for_ids(body):
    """Numbers, UUIDs and times blanked: they are of the call, not of the contract."""
    text = IDS.sub("UUID", json.dumps(body, ensure_ascii=False, sort_keys=True))
    text = re.sub(r'("id_solicitud": )\d+|(event_)\d+', r"\1\2N", text)
    text = re.sub(r'("(?:timestamp(?:_creado)?|available_at|creado|actualizado)": )"[^"]*"', r"\1T", text)
    return re.sub(r'("remaining_seconds": )\d+', r"\1N", text)


def as_printed(answer, path, method="post", *, name=None, body=None):
    """The answer's body, which must be a documented example of its status (the one called `name`, if given)."""
    body = conforming(answer, path, method, body=body)
    printed = examples(operation(path, method)["responses"][str(answer.status_code)])
    wanted = [printed[name]] if name else printed.values()
    assert same_but_for_ids(body) in [same_but_for_ids(each) for each in wanted]
    return body


ONE = "/v1/api/client/{client}"

# --- contract 1 ---------------------------------------------------------------------------------------------


def post_action(desk, body, **headers):
    authorized = {"Authorization": f"Bearer {desk.token}", **headers}
    return desk.http.post("/api/v1", body, content_type="application/json", headers=authorized)


def listing(answer):
    return json.loads(b"".join(answer.streaming_content))


def test_alta_then_baja_and_both_queries(desk):
    body = as_printed(post_action(desk, request_example("/api/v1", "alta")), "/api/v1", name="alta")
    answer = post_action(desk, request_example("/api/v1", "clientes_autorizados"))
    listed = conforming(answer, "/api/v1", body=listing(answer))
    assert [row["id_solicitud"] for row in listed["resultados"]["data"]] == [body["id_solicitud"]]
    only = {**request_example("/api/v1", "baja"), "clientes": [{"correo": "juan.perez@dominio.com"}]}
    as_printed(post_action(desk, only), "/api/v1", name="baja")
    as_printed(post_action(desk, only), "/api/v1", name="baja")
    conforming(post_action(desk, request_example("/api/v1", "baja")), "/api/v1")
    for name in ("mensajes_enviados", "mensajes_enviados entre fechas"):
        answer = post_action(desk, request_example("/api/v1", name))
        assert conforming(answer, "/api/v1", body=listing(answer))["resultados"] == {"cuenta": 0, "data": []}


def test_the_printed_lists(desk):
    rows = [
        {
            "codigo_externo": "MAQ-007",
            "perfil": "VIP9",
            "correo": "lucho@gmail.com",
            "nombre": "Luis Caceres",
            "tipo_documento": "DNI",
            "numero_documento": "10025687",
        }
    ]
    post_action(desk, {"solicitud": "alta", "usuario": "x", "clientes": rows})
    AuthorizedClient.objects.update(subscribed_at=datetime(2025, 12, 11, tzinfo=UTC))
    answer = post_action(desk, request_example("/api/v1", "clientes_autorizados"))
    as_printed(answer, "/api/v1", name="clientes_autorizados", body=listing(answer))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"usuario": "x"},
        {"usuario": "x", "solicitud": "alta"},
        {"usuario": "x", "solicitud": "alta", "clientes": [{}] * 10_001},
        {"usuario": "x", "solicitud": "mensajes_enviados", "fecha_desde": "2025-02-30"},
        "no",
    ],
)
def test_errors_of_contract_1(desk, body):
    as_printed(post_action(desk, body), "/api/v1")


def test_the_front_door_of_contract_1(desk):
    as_printed(desk.send("alta", token="TOKEN_EXTERNO"), "/api/v1")
    as_printed(desk.http.get("/api/v1"), "/api/v1")
    as_printed(desk.http.post("/api/v1", b"x", content_type="text/plain"), "/api/v1")
    as_printed(desk.http.post("/api/v1", b" " * (8 * 1024 * 1024 + 1), content_type="application/json"), "/api/v1")
    alta = request_example("/api/v1", "alta")
    post_action(desk, alta, **{"Idempotency-Key": "k"})
    replay = post_action(desk, alta, **{"Idempotency-Key": "k"})
    assert replay["Idempotency-Replayed"] == "true"
    as_printed(replay, "/api/v1", name="alta")
    as_printed(post_action(desk, request_example("/api/v1", "baja"), **{"Idempotency-Key": "k"}), "/api/v1")


# --- contract 2 ---------------------------------------------------------------------------------------------


@pytest.fixture
def asked(front):
    """A client whose code is on its way."""
    client = front.register()
    assert front.ask(client).status_code == 200
    return client


def test_registering_asking_and_verifying(front):
    answer = front.post("/client", request_example("/v1/api/client"))
    first = as_printed(answer, "/v1/api/client", name="documento")["data"]["id"]
    conforming(front.post(f"/client/{first}/token", request_example(f"{ONE}/token")), f"{ONE}/token")
    answer = front.verify(first, delivered_code())
    as_printed(answer, f"{ONE}/verify/{{token}}", "get", name="documento")
    Applicant.objects.filter(pk=first).update(validated_at=datetime(2026, 2, 12, 15, tzinfo=UTC))
    second = front.register(documento="87654321")
    answer = front.post(f"/client/{second}/token", request_example(f"{ONE}/token"))
    as_printed(answer, f"{ONE}/token", name="documento")
    conforming(front.ask(first), f"{ONE}/token")
    conforming(front.post("/client", request_example("/v1/api/client")), "/v1/api/client")


def test_asking_by_mail(front):
    answer = front.post(f"/client/{front.register()}/token", request_example(f"{ONE}/token", "por correo"))
    assert conforming(answer, f"{ONE}/token")["message"] == "Token generado y enviado vía C"


def test_wrong_codes(front, asked):
    path = f"{ONE}/verify/{{token}}"
    codes = [as_printed(front.verify(asked, "ZZZ"), path, "get")["code"]]
    codes += [conforming(front.verify(asked, "ZZZ"), path, "get")["code"] for _ in range(3)]
    codes += [as_printed(front.verify(asked, "ZZZ"), path, "get")["code"] for _ in range(2)]
    assert codes == ["ERR_INVALID_TOKEN"] * 4 + ["ERR_MAX_ATTEMPTS", "ERR_NO_PENDING_TOKEN"]


def test_an_expired_code_is_closed(front, asked):
    as_printed(front.post(f"/client/{asked}/expire"), f"{ONE}/expire")
    past = datetime.now(UTC) - timedelta(seconds=200)
    VerificationToken.objects.update(created_at=past, expires_at=past + timedelta(seconds=150))
    as_printed(front.verify(asked, "ZZZ"), f"{ONE}/verify/{{token}}", "get")
    as_printed(front.post(f"/client/{asked}/expire"), f"{ONE}/expire", name="documento")


def test_cancelling(front, asked):
    as_printed(front.post(f"/client/{asked}/cancel"), f"{ONE}/cancel", name="documento")
    as_printed(front.post(f"/client/{asked}/cancel"), f"{ONE}/cancel")


def test_the_ladder(front):
    client = front.register()
    path = f"{ONE}/cooldown/{{via}}"
    as_printed(front.get(f"/client/{client}/cooldown/S"), path, "get", name="sin espera")
    front.ask(client)
    conforming(front.get(f"/client/{client}/cooldown/S"), path, "get")
    assert conforming(front.ask(client), f"{ONE}/token")["code"] == "ERR_COOLDOWN_ACTIVE"
    as_printed(front.get(f"/client/{client}/cooldown/X"), path, "get")


def test_a_locked_client(front):
    client = make_applicant(locked_at=datetime.now(UTC), wrong_codes_in_a_row=100).pk
    as_printed(front.ask(client), f"{ONE}/token")


@pytest.mark.parametrize(
    ("path", "method"), [(p, m) for p, m, _ in operations() if p.startswith(ONE)], ids=lambda each: each
)
def test_an_unknown_client_and_a_wrong_method(front, path, method):
    here = path.removeprefix("/v1/api").format(client=A_CLIENT, token="A1B2", via="S")
    send = front.get if method == "get" else front.post
    body = {"via": "C"} if path.endswith("/token") else {}
    answer = send(here) if method == "get" else front.post(here, body)
    assert as_printed(answer, path, method)["code"] == "ERR_CLIENT_NOT_FOUND"
    wrong = front.http.put(f"/v1/api{here}")
    assert as_printed(wrong, path, method)["code"] == "ERR_METHOD_NOT_ALLOWED"
    printed = operation(path, method)["responses"]["405"]
    assert "Allow" in printed["headers"]


def test_the_front_door_of_contract_2(front, informa):
    path = "/v1/api/client"
    as_printed(front.post("/client", [1]), path)
    conforming(front.post("/client", {}), path)
    as_printed(front.post("/client", request_example(path), Authorization="Bearer x"), path)
    as_printed(front.http.post(path, b"x", content_type="text/plain"), path)
    as_printed(front.http.post(path, b" " * (2 * 1024 * 1024 + 1), content_type="application/json"), path)
    key = {**informa.headers, "Idempotency-Key": "k"}
    front.post("/client", request_example(path), **key)
    as_printed(front.post("/client", {}, **key), path)


def test_a_rate_limit_that_is_exceeded(front, settings):
    settings.RATE_PER_ADDRESS = 1
    front.post("/client", {})
    answer = front.post("/client", {})
    assert as_printed(answer, "/v1/api/client")["code"] == "ERR_RATE_LIMITED"


def test_status(front):
    conforming(front.get("/status"), "/v1/api/status", "get")


# --- the staff ----------------------------------------------------------------------------------------------


def test_the_staff(front, asked):
    User.objects.create_superuser("ana", password="una-clave-larga")
    login = "/v1/api/auth/login"
    as_printed(front.post("/auth/login", request_example(login)), login)
    token = conforming(front.post("/auth/login", {"username": "ana", "password": "una-clave-larga"}), login)["token"]
    key = {"Authorization": f"Bearer {token}"}
    as_printed(front.get("/admin/clients"), "/v1/api/admin/clients", "get")
    as_printed(front.get("/admin/clients?desde=ayer", **key), "/v1/api/admin/clients", "get")
    as_printed(front.get("/admin/clients", **key), "/v1/api/admin/clients", "get", name="ejemplo")
    assert delivered_code()
    messages = conforming(front.get("/admin/messages", **key), "/v1/api/admin/messages", "get")["data"]
    assert len(messages) == 1
    path = "/v1/api/admin/clients/{client}"
    assert len(conforming(front.get(f"/admin/clients/{asked}", **key), path, "get")["data"]["tokens"]) == 1
    as_printed(front.get(f"/admin/clients/{A_CLIENT}", **key), path, "get")


# --- contract 3 ---------------------------------------------------------------------------------------------


def test_the_registry(registrar):
    path = "/external/client/registry"
    as_printed(registrar.post(request_example(path)), path, name="documento")
    conforming(registrar.post({}), path)
    as_printed(registrar.raw("[]"), path)
    as_printed(registrar.raw("x", content_type="text/plain"), path)
    as_printed(registrar.raw(b" " * (2 * 1024 * 1024 + 1)), path)
    as_printed(Registrar("x").send(), path)
    as_printed(registrar.http.get(path), path)
    registrar.post(request_example(path), **{"Idempotency-Key": "k"})
    as_printed(registrar.post({}, **{"Idempotency-Key": "k"}), path)


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1/api", "/external"])
def test_an_unknown_path_has_the_envelope_of_its_contract(prefix):
    answer = InformaperuClient().http.get(f"{prefix}/no-existe")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
