"""Python client against a running installation: each contract from one end to the other, and what is installed."""

import importlib.metadata
import itertools
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aval_client
import pytest
from aval_client import (
    Aval,
    BadRequest,
    CooldownActive,
    CursorGone,
    Forbidden,
    IdempotencyConflict,
    NotFound,
    Unauthorized,
    WebhookVerificationError,
    WrongCode,
    verify_webhook,
)

from config.run.processes import wait_until
from config.variables import BASE_DIR
from external_api.openapi.registry import EXAMPLE
from testkit.scripted_api import scripted_api
from testkit.stack import Stack

PACKAGE = BASE_DIR / "sdk" / "python"
EXTERNAL = {name: value for name, value in EXAMPLE.items() if name != "client_id"}


@pytest.fixture
def keys(stack: Stack) -> dict[str, str]:
    return dict(json.loads(stack.manage("create_partner", f"Empresa {stack.number()}", "--json")))


@pytest.fixture
def aval(stack: Stack, keys: dict[str, str]) -> Iterator[Aval]:
    with Aval(stack.url, token=keys["token"], jwt=keys["jwt"]) as client:
        yield client


def rows(*mailboxes: str) -> list[Any]:
    return [{"codigo_externo": "C", "perfil": "VIP3", "correo": f"{mailbox}@dominio.com"} for mailbox in mailboxes]


def test_clients_come_and_go(aval: Aval, stack: Stack) -> None:
    first, second = f"juan{stack.number()}", f"rosa{stack.number()}"
    key = f"alta-{stack.number()}"
    made = aval.nopasanada.alta("MAQ-001", rows(first, second), idempotency_key=key)
    assert (made["resultados"]["cuenta_exitos"], made["resultados"]["fallos"]) == (2, [])
    assert aval.nopasanada.alta("MAQ-001", rows(first, second), idempotency_key=key) == made
    with pytest.raises(IdempotencyConflict) as reused:
        aval.nopasanada.alta("MAQ-001", rows(first), idempotency_key=key)
    assert (reused.value.status, reused.value.is_temporary) == (422, False)
    again = aval.nopasanada.alta("MAQ-001", rows(first))
    assert again["resultados"]["fallos"] == [{"errores": ["Correo ya registrado."], "indice": 0}]
    listed = aval.nopasanada.clientes_autorizados("MAQ-001")
    assert [row["correo"] for row in listed] == [f"{first}@dominio.com", f"{second}@dominio.com"]
    assert listed.envelope["resultados"]["cuenta"] == 2
    gone = aval.nopasanada.baja("MAQ-001", [{"correo": f"{first}@dominio.com"}])
    assert gone["resultados"]["cuenta_exitos"] == 1
    with aval.nopasanada.clientes_autorizados("MAQ-001", [{"correo": f"{second}@dominio.com"}]) as left:
        assert [row["suscrito"] for row in left] == [False]
    assert list(aval.nopasanada.clientes_autorizados("MAQ-001", [{"correo": f"{first}@dominio.com"}])) == []


def test_a_long_list_is_read_row_by_row(aval: Aval, stack: Stack) -> None:
    many = rows(*(f"ñandú{number}" if number % 2 else f"x{number}" for number in range(3000)))
    assert aval.nopasanada.alta("MAQ-001", many)["resultados"]["cuenta_exitos"] == 3000
    with aval.nopasanada.clientes_autorizados("MAQ-001") as listed:
        assert len(list(itertools.islice(listed, 10))) == 10
    assert len(list(aval.nopasanada.clientes_autorizados("MAQ-001"))) == 3000


def test_what_was_sent_is_listed(aval: Aval, stack: Stack) -> None:
    assert list(aval.nopasanada.mensajes_enviados("MAQ-001", fecha_desde="2026-01-01")) == []
    with pytest.raises(BadRequest) as refused:
        aval.nopasanada.mensajes_enviados("MAQ-001", fecha_desde="2026-02-30")
    assert (refused.value.code, refused.value.status) == ("Fecha Invalida.", 400)
    assert refused.value.request_id


def test_a_person_registers_and_sends_the_code_back(aval: Aval, stack: Stack) -> None:
    person = stack.person()
    client = aval.informaperu.register(person)["data"]["id"]
    phone = stack.phone()
    sent = aval.informaperu.request_token(client, "S", phone, "CLARO")["data"]
    assert sent["expires_in_seconds"] == 150
    with pytest.raises(CooldownActive) as waiting:
        aval.informaperu.request_token(client, "S", phone, "CLARO")
    assert waiting.value.cooldown["via"] == "S"
    assert 100 < (waiting.value.retry_after or 0) <= 120
    assert aval.informaperu.cooldown(client, "S")["data"]["can_request"] is False
    code = stack.code_soon(phone)
    with pytest.raises(WrongCode) as wrong:
        aval.informaperu.verify(client, "0000" if code != "0000" else "1111")
    assert wrong.value.attempts_remaining == 4
    assert aval.informaperu.verify(client, code)["data"]["status"] == "VALIDADO"
    one = aval.partners.verification(sent["token_id"])
    assert (one["outcome"], one["wrong_attempts"], one["client_id"]) == ("verified", 1, client)
    assert aval.partners.message(one["messages"][0]["id"])["verification_id"] == sent["token_id"]
    with pytest.raises(NotFound):
        aval.partners.message(client)


def test_a_code_is_cancelled_and_none_is_left_to_expire(aval: Aval, stack: Stack) -> None:
    client = aval.informaperu.register(stack.person())["data"]["id"]
    aval.informaperu.request_token(client, "C")
    assert aval.informaperu.cancel(client)["data"]["status"] == "CANCELADO"
    with pytest.raises(BadRequest) as refused:
        aval.informaperu.expire(client)
    assert refused.value.code == "ERR_NO_PENDING_TOKEN"
    with pytest.raises(BadRequest) as wrong:
        aval.informaperu.register({"correo": "x"})
    assert wrong.value.fields["correo"] == ["No es un correo válido."]


def test_an_open_installation_needs_no_credential(stack: Stack) -> None:
    with Aval(stack.url) as nobody:
        assert nobody.informaperu.status()["status"] == "ok"
        assert nobody.informaperu.register(stack.person())["data"]["id"]


def test_staff_look_at_what_the_contract_holds(aval: Aval, stack: Stack) -> None:
    password = f"una-clave-{stack.number()}"
    stack.command(
        "manage",
        "createsuperuser",
        "--noinput",
        f"--username=ana{password[-8:]}",
        "--email=a@example.com",
        DJANGO_SUPERUSER_PASSWORD=password,
    )
    session = aval.informaperu.login(f"ana{password[-8:]}", password)
    client = aval.informaperu.register(stack.person())["data"]["id"]
    aval.informaperu.request_token(client, "C")
    staff = aval.staff(session["token"])
    assert client in {each["id"] for each in staff.clients(limit="200")["data"]}
    assert [each["via"] for each in staff.client(client)["data"]["tokens"]] == ["C"]
    assert len(staff.messages(limit="1")["data"]) == 1
    with pytest.raises(Unauthorized):
        aval.informaperu.login("ana", "otra")


def test_an_external_client_keeps_its_id(aval: Aval, stack: Stack) -> None:
    client: Any = {**EXTERNAL, "client_id": f"CL{stack.number()}"}
    made = aval.registry.register(client)
    assert made["header"]["type"] == "success"
    assert aval.registry.register({**client, "phone": "555-9999"})["content"] == made["content"]
    with pytest.raises(BadRequest) as refused:
        aval.registry.register({**client, "cui": "1"})
    assert (list(refused.value.fields), refused.value.code) == (["cui"], "400")


def test_a_partner_sees_itself_and_its_usage(aval: Aval, keys: dict[str, str], stack: Stack) -> None:
    me = aval.partners.me()
    assert (me["slug"], len(me["keys"])) == (keys["partner"], 2)
    assert aval.partners.usage(since="2026-01-01", until="2026-01-02", by="via")["rows"] == []
    with Aval(stack.url, token="x" * 32) as stranger, pytest.raises(Unauthorized) as refused:
        stranger.partners.me()
    assert (refused.value.code, len(refused.value.request_id or "")) == ("unauthorized", 32)


def test_events_come_once_and_the_iterator_waits_for_the_next(aval: Aval, stack: Stack) -> None:
    client: Any = {**EXTERNAL, "client_id": f"CL{stack.number()}"}
    events = aval.events(types=["registry.client.created", "registry.client.updated"], limit=1)
    aval.registry.register(client)
    first = next(events)
    threading.Timer(1, lambda: aval.registry.register({**client, "phone": "555-9999"})).start()
    second = next(events)
    assert [first["type"], second["type"]] == ["registry.client.created", "registry.client.updated"]
    assert first["subject"] == second["subject"]
    assert list(aval.events(events.cursor, follow=False)) == []
    assert [each["id"] for each in aval.events(follow=False, limit=1)] == [first["id"], second["id"]]


@pytest.fixture
def dispatcher(stack: Stack) -> Iterator[None]:
    program = stack.program("webhooks")
    program.start()
    yield
    program.kill()


def test_a_webhook_arrives_and_is_verified(aval: Aval, stack: Stack, dispatcher: None) -> None:
    with scripted_api() as receiver:
        receiver.says(204)
        made = aval.webhooks.create(f"{receiver.url}/aval", types=["registry.client.created"], description="Prueba")
        old, key = made["secret"], made["id"]
        assert [each["id"] for each in aval.webhooks.list()["webhooks"]] == [key]
        assert (aval.webhooks.get(key)["status"], aval.webhooks.get(key)["types"]) == ("active", made["types"])
        aval.registry.register({**EXTERNAL, "client_id": f"CL{stack.number()}"})
        assert wait_until(lambda: len(receiver.received) == 1, 20)
        event = verify_webhook(receiver.received[0].body, receiver.received[0].headers, old)
        assert (event["id"], event["type"]) == (next(aval.events())["id"], "registry.client.created")
        assert event["timestamp"] == event["at"]
        assert wait_until(lambda: aval.webhooks.deliveries(key, status="pending")["deliveries"] == [], 20), (
            "not recorded"
        )
        (delivery,) = aval.webhooks.deliveries(key, limit=1)["deliveries"]
        assert (aval.webhooks.delivery(key, delivery["id"]), delivery["event_id"]) == (delivery, event["id"])
        new = aval.webhooks.rotate(key)["secret"]
        assert aval.webhooks.test(key)["event_id"] is None
        assert wait_until(lambda: len(receiver.received) == 2, 20)
        for secret in (old, new):
            assert verify_webhook(receiver.received[1].body, receiver.received[1].headers, secret)["test"] is not None
        with pytest.raises(WebhookVerificationError):
            verify_webhook(receiver.received[0].body, receiver.received[0].headers, new)
        assert wait_until(lambda: aval.webhooks.deliveries(key, status="pending")["deliveries"] == [], 20)
        assert aval.webhooks.replay(key, deliveries=[delivery["id"]])["replayed"] == 1
        assert wait_until(lambda: len(receiver.received) == 3, 20)
        assert receiver.received[2].headers["webhook-id"] == receiver.received[0].headers["webhook-id"]
        assert aval.webhooks.update(key, status="paused", description="Otra")["status"] == "paused"
        aval.webhooks.delete(key)
        with pytest.raises(NotFound):
            aval.webhooks.get(key)


def test_a_code_is_tried_with_test_keys(aval: Aval, stack: Stack) -> None:
    key = f"keys-{stack.number()}"
    made = aval.twin.keys(idempotency_key=key)
    assert aval.twin.keys(idempotency_key=key) == made
    phone = f"9{stack.number() % 100_000:05}000"
    with Aval(stack.url, token=made["token"], jwt=made["jwt"]) as trial:
        assert (trial.partners.me()["test"], aval.partners.me()["test"]) == (True, False)
        assert trial.partners.me()["limits"]["messages_per_day_S"] == {"limit": None, "remaining": None}
        client = trial.informaperu.register(stack.person())["data"]["id"]
        sent = trial.informaperu.request_token(client, "S", phone, "CLARO")["data"]["token_id"]
        assert wait_until(lambda: trial.twin.messages(phone)["messages"] != [], 20)
        (message,) = trial.twin.messages(phone)["messages"]
        assert (message["to"], "A1B2" in message["text"]) == (phone, True)
        assert trial.informaperu.verify(client, "A1B2")["data"]["status"] == "VALIDADO"
        assert trial.partners.verification(sent)["reason"] is None
        assert {each["test"] for each in trial.events(follow=False)} == {True}
        with pytest.raises(Forbidden) as refused:
            trial.twin.keys()
        assert refused.value.code == "live_key_required"
    with pytest.raises(Forbidden):
        aval.twin.reset()


def test_time_passes_for_what_is_tried(aval: Aval, stack: Stack) -> None:
    made = aval.twin.keys()
    with Aval(stack.url, token=made["token"]) as trial:
        client = trial.informaperu.register(stack.person())["data"]["id"]
        phone = f"9{stack.number() % 100_000:05}011"
        code = trial.informaperu.request_token(client, "S", phone, "CLARO")["data"]["token_id"]
        undelivered = next(trial.events(types=["verification.undelivered"]))
        assert (undelivered["subject"], undelivered["data"]["reason"]) == (code, "not_deliverable")
        assert trial.partners.message(undelivered["data"]["message_id"])["reason"] == "not_deliverable"
        assert trial.partners.verification(code)["reason"] is None
        assert trial.informaperu.cooldown(client, "S")["data"]["can_request"] is False
        assert trial.twin.advance_clock(timedelta(hours=4)) == {"advanced_seconds": 14_400}
        assert trial.informaperu.cooldown(client, "S")["data"]["can_request"] is True
        assert trial.partners.verification(code)["reason"] == "not_deliverable"
        assert trial.twin.advance_clock("P1DT12H") == {"advanced_seconds": 129_600}
        with pytest.raises(BadRequest) as refused:
            trial.twin.advance_clock("4 horas")
        assert list(refused.value.fields) == ["advance"]
        assert trial.twin.reset()["removed"] > 0
        assert trial.twin.messages() == {"messages": []}
        with pytest.raises(NotFound):
            trial.informaperu.cooldown(client, "S")


def test_a_strange_cursor_is_gone(aval: Aval, stack: Stack) -> None:
    aval.registry.register({**EXTERNAL, "client_id": f"CL{stack.number()}"})
    strange = "MDAwMDAwMDAwMDAwMDAwMC4xLjE="
    with pytest.raises(CursorGone):
        next(aval.events(strange))
    assert wait_until(lambda: list(aval.events(strange, on_gone="oldest", follow=False)) != [], 10)


def test_the_package_is_installed_from_its_folder_with_its_types(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            tmp_path,
            PACKAGE,
        ],
        check=True,
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("aval_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("aval_client/")}
        archive.extractall(tmp_path / "installed")
    written = {str(path.relative_to(PACKAGE)) for path in (PACKAGE / "aval_client").rglob("*.py")}
    assert packed == written | {"aval_client/py.typed"}
    (found,) = importlib.metadata.distributions(name="aval-client", path=[str(tmp_path / "installed")])
    assert (found.version, found.requires) == (aval_client.__version__, ["httpx>=0.28,<1", "standardwebhooks>=1.1,<2"])
