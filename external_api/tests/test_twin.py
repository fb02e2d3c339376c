"""The test twin over HTTP: its keys, its clock, its outbox, its end; and that nothing of it is anybody else's."""

from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from clients import twins
from clients.models import Applicant, AuthorizedClient, Credential, ExternalClient, Partner
from conftest import EXTERNAL_CLIENT, NopasanadaClient, delivered_code
from external_api.models import IdempotentAnswer
from messaging import caps
from messaging.delivery import send as delivery
from messaging.models import Message, SandboxMessage
from messaging.twins import routing
from tests.factories import ApplicantFactory, MessageFactory, VerificationTokenFactory
from tokens.models import VerificationToken
from tokens.twins import rows

pytestmark = pytest.mark.django_db


def post(path, who, body=None, **headers):
    return Client(raise_request_exception=False).post(
        f"/partners/v1/test/{path}", body or {}, content_type="application/json", headers=who.headers | headers
    )


def outbox(who, **query):
    return Client().get("/partners/v1/test/messages", query, headers=who.headers)


# --- keys ---


def test_a_live_key_makes_test_keys_that_open_everything_the_partner_may(informa, front):
    answer = post("keys", informa)
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()
    assert sorted(made) == ["jwt", "token"]
    for secret in made.values():
        headers = {"Authorization": f"Bearer {secret}"}
        me = Client().get("/partners/v1/me", headers=headers).json()
        assert (me["slug"], me["test"], me["contracts"]) == ("informa-pruebas", True, ["informaperu"])
        assert me["limits"]["messages_per_day_S"] == {"limit": None, "remaining": None}
        answer = front.post("/client", {}, **headers)
        assert answer.status_code == 400
    assert NopasanadaClient(made["token"]).send("alta").status_code == 401  # as its partner, which may not


def test_a_retry_gets_the_same_keys_and_the_kept_answer_is_sealed(informa):
    key = {"Idempotency-Key": "k1"}
    first, second = post("keys", informa, **key), post("keys", informa, **key)
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert Credential.objects.filter(partner__twin_of=informa.partner).count() == 2
    kept = bytes(IdempotentAnswer.objects.get().body)
    assert first.json()["token"].encode() not in kept


def test_who_makes_them_is_in_the_audit(informa):
    from clients.models import AuditEntry

    post("keys", informa)
    actor = f"informa/{Credential.objects.filter(partner=informa.partner, kind='opaque').get().prefix}"
    assert set(AuditEntry.objects.filter(data__partner="informa-pruebas").values_list("actor", flat=True)) == {actor}


def test_a_test_key_makes_none_and_there_is_an_end_of_them(informa, twin):
    answer = post("keys", twin)
    assert (answer.status_code, answer.json()["code"]) == (403, "live_key_required")
    for _ in range(twins.MOST_KEYS // 2 - 1):
        assert post("keys", informa).status_code == 201
    answer = post("keys", informa)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_test_keys")


@pytest.mark.parametrize("path", ["clock", "reset"])
def test_what_is_of_the_twin_needs_a_test_key(informa, path):
    answer = post(path, informa, {"advance": "PT1H"})
    assert (answer.status_code, answer.json()["code"]) == (403, "test_key_required")
    answer = outbox(informa)
    assert (answer.status_code, answer.json()["code"]) == (403, "test_key_required")


@pytest.mark.parametrize("path", ["keys", "clock", "reset"])
def test_a_field_that_there_is_not_is_refused_and_nothing_happens(informa, twin, path):
    who = informa if path == "keys" else twin
    ApplicantFactory(partner=twin.partner)
    keys = Credential.objects.count()
    answer = post(path, who, {"advance": "PT1H", "advnace": "PT2H"} if path == "clock" else {"advnace": "PT2H"})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"advnace": ["No es un campo de este recurso."]}
    assert Credential.objects.count() == keys
    assert Applicant.objects.filter(partner=twin.partner).count() == 1


def test_the_twin_of_a_partner_that_is_switched_off_does_not_get_in(informa, twin, front):
    Partner.objects.filter(pk=informa.partner.pk).update(is_active=False)
    assert outbox(twin).status_code == 401
    assert front.post("/client", {}, **twin.headers).status_code == 401


# --- isolation ---


def refuse(*_):
    raise AssertionError("the gateways of the settings were asked for")


def test_no_gateway_of_the_settings_is_ever_asked_for(twin, front, monkeypatch):
    monkeypatch.setattr(routing, "gateways_for", refuse)
    for number, via in enumerate("SWIC"):
        for digits in ("000", "010", "012", "013", "020", "777"):
            client = front.register(twin.headers, documento=f"4567{number}{digits}", correo=f"a+{digits}@example.com")
            fields = {"via": via} if via == "C" else {"via": via, "telefono": f"91234{number}{digits}"}
            answer = front.post(f"/client/{client}/token", {"operador": "CLARO", **fields}, **twin.headers)
            assert answer.status_code == 200, answer.content
    while delivery.deliver_due("codes"):
        pass
    assert not Message.objects.filter(state__in=["QUEUED", "SENDING"]).exists()
    assert set(SandboxMessage.objects.values_list("twin", flat=True)) == {twin.partner.pk}


@pytest.mark.parametrize("first", ["twin", "live"])
@pytest.mark.parametrize("via", ["S", "C"])
def test_neither_takes_a_rung_of_the_others_ladder(informa, twin, stranger, front, first, via):
    mine, others = (twin, [informa, stranger]) if first == "twin" else (informa, [twin])
    client = front.register(mine.headers)
    assert front.ask(client, mine.headers, via=via).status_code == 200
    other_client = front.register(mine.headers, documento="87654321")
    assert front.ask(other_client, mine.headers, via=via).status_code == 429
    for other in others[:1]:
        theirs = front.register(other.headers)
        assert front.ask(theirs, other.headers, via=via).status_code == 200
        state = front.get(f"/client/{theirs}/cooldown/{via}", **other.headers).json()["data"]
        assert state["attempts_24h"] == 1


def test_twins_of_two_partners_have_ladders_of_their_own(twin, stranger, front):
    made = twins.issue_keys(stranger.partner, at=timezone.now(), by="test")
    other = {"Authorization": f"Bearer {made.token}"}
    for headers in (twin.headers, other):
        assert front.ask(front.register(headers), headers).status_code == 200


def test_tags_of_a_mailbox_are_other_mailboxes_for_a_twin_alone(informa, twin, front):
    for who, expected in ((twin, [200, 200]), (informa, [200, 429])):
        got = [
            front.ask(front.register(who.headers, documento=document, correo=mail), who.headers, via="C").status_code
            for document, mail in (("45678901", "ana+1@example.com"), ("45678902", "ana+2@example.com"))
        ]
        assert got == expected


def test_a_number_that_one_has_proved_is_nobodys_of_the_other(informa, twin, front):
    for who, other in ((twin, informa), (informa, twin)):
        client = front.register(who.headers)
        front.ask(client, who.headers, telefono="912345000")
        code = "A1B2" if who is twin else delivered_code("912345000")
        assert front.verify(client, code, **who.headers).status_code == 200
        again = front.register(other.headers, documento="87654321")
        answer = front.ask(again, other.headers, telefono="912345000")
        assert answer.status_code == 200
        assert "warning" not in answer.json()
        VerificationToken.objects.all().delete()
        Message.objects.all().delete()
        Applicant.objects.all().delete()


def test_neither_sees_the_others_rows(informa, twin, stranger, front):
    client = front.register(twin.headers)
    token = front.ask(client, twin.headers).json()["data"]["token_id"]
    live = front.register(informa.headers, documento="87654321")
    for who in (informa, stranger):
        assert front.ask(client, who.headers).status_code == 404
        assert Client().get(f"/partners/v1/verifications/{token}", headers=who.headers).status_code == 404
        assert Client().get("/partners/v1/events", headers=who.headers).json()["events"] == []
    assert front.ask(live, twin.headers).status_code == 404


def test_the_outbox_is_the_twins_own(informa, twin, stranger, front):
    made = twins.issue_keys(stranger.partner, at=timezone.now(), by="test")
    stranger_key = {"Authorization": f"Bearer {made.token}"}
    for headers in (twin.headers, stranger_key, informa.headers):
        front.ask(front.register(headers), headers, telefono="912345000")
    while delivery.deliver_due("codes"):
        pass
    (shown,) = outbox(twin, to="912345000").json()["messages"]
    assert (shown["via"], shown["to"]) == ("S", "912345000")
    assert " A1B2" in shown["text"]
    assert Message.objects.get(pk=UUID(shown["id"])).partner == twin.partner
    assert outbox(twin, to="912345001").json() == {"messages": []}
    (developers,) = Client().get("/sandbox/messages?format=json").json()
    assert Message.objects.get(pk=UUID(developers["id"])).partner == informa.partner


def test_the_outbox_shows_the_newest_first_and_so_many(twin):
    SandboxMessage.objects.bulk_create(
        SandboxMessage(
            message_id=UUID(int=number), via="S", to="9", text=str(number), created=timezone.now(), twin=twin.partner
        )
        for number in range(102)
    )
    shown = outbox(twin).json()["messages"]
    assert [each["text"] for each in shown] == [str(number) for number in range(101, 1, -1)]


def test_its_events_are_its_own_and_say_so(informa, twin, front):
    for who in (twin, informa):
        front.ask(front.register(who.headers), who.headers)
        events = Client().get("/partners/v1/events", headers=who.headers).json()["events"]
        assert {each["test"] for each in events} == ({who is twin} if events else set())


# --- limits ---


def test_its_codes_count_against_no_cap_and_its_wrong_ones_against_no_limit(twin, front, settings):
    settings.PAID_MESSAGES_PER_DAY = settings.PAID_MESSAGES_PER_DAY_TOTAL = 0
    settings.WRONG_CODES_PER_DAY = 1
    client = front.register(twin.headers)
    assert front.ask(client, twin.headers).status_code == 200
    answers = [front.verify(client, "0000", **twin.headers).json() for _ in range(4)]
    assert [each["data"]["attempts_remaining"] for each in answers] == [4, 3, 2, 1]
    with pytest.raises(caps.CapReached):
        caps.reserve("S", caller="x", partner=None, at=timezone.now())


# --- room ---


def test_a_full_twin_is_told_so_in_each_contracts_words(twin, informa, front, monkeypatch):
    Partner.objects.filter(pk=informa.partner.pk).update(contracts=["informaperu", "nopasanada", "registry"])
    monkeypatch.setattr(rows, "MOST_ROWS", 2)
    client = front.register(twin.headers)
    assert front.ask(client, twin.headers).status_code == 200
    assert front.ask(client, twin.headers, via="W").status_code == 200
    answer = front.ask(client, twin.headers, via="I")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "ERR_TEST_DATA_FULL", "60")
    answer = front.post("/client", {"documento": "x"}, **twin.headers)
    assert answer.status_code == 400
    row = {"codigo_externo": "C1", "perfil": "VIP", "correo": "ana@dominio.com"}
    answer = NopasanadaClient(twin.token).send("alta", clientes=[row])
    assert (answer.status_code, answer.json()["resultados"]) == (429, {"error": "Datos de prueba llenos."})
    answer = Client().post(
        "/external/client/registry",
        EXTERNAL_CLIENT,
        content_type="application/json",
        headers={"Authorization": f"Bearer {twin.jwt}"},
    )
    assert (answer.status_code, answer.json()["header"]["title"]) == (429, "Datos de Prueba Llenos")
    assert post("reset", twin).status_code == 200
    assert front.register(twin.headers)


@pytest.mark.parametrize("kind", ["codes", "messages", "clients", "former clients", "external clients", "applicants"])
def test_every_kind_of_rows_is_counted(twin, monkeypatch, kind):
    from tests.factories import ApplicantFactory, AuthorizedClientFactory, ExternalClientFactory

    monkeypatch.setattr(rows, "MOST_ROWS", 2)
    mine = {"partner": twin.partner}
    made = {
        "codes": lambda: VerificationTokenFactory(applicant=ApplicantFactory(), twin=twin.partner, outcome="EXPIRADO"),
        "messages": lambda: MessageFactory(**mine),
        "clients": lambda: AuthorizedClientFactory(**mine),
        "former clients": lambda: AuthorizedClientFactory(**mine, deauthorized_at=timezone.now()),
        "external clients": lambda: ExternalClientFactory(**mine),
        "applicants": lambda: ApplicantFactory(**mine),
    }[kind]
    made()
    rows.check_room(twin.partner.pk)
    made()
    with pytest.raises(twins.TwinIsFull):
        rows.check_room(twin.partner.pk)


# --- clock and reset ---


@pytest.mark.parametrize(
    "advance",
    [
        "",
        "4 hours",
        "-PT1H",
        "PT0S",
        "P31D",
        "P30DT1S",
        "PT",
        "P1W",
        14400,
        None,
        ["PT4H"],
        "P" + "9" * 60 + "D",
        "P1M",
    ],
)
def test_what_is_no_duration_or_too_long_is_refused(twin, advance):
    answer = post("clock", twin, {"advance": advance})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert list(answer.json()["errors"]) == ["advance"]


def test_the_clock_ends_a_wait(twin, front):
    client = front.register(twin.headers)
    assert front.ask(client, twin.headers).status_code == 200
    assert front.ask(client, twin.headers).status_code == 429
    answer = post("clock", twin, {"advance": "PT2M"})
    assert (answer.status_code, answer.json()) == (200, {"advanced_seconds": 120})
    assert front.ask(client, twin.headers).status_code == 200


def test_the_reset_empties_the_twin_and_leaves_everybody_else_and_its_keys(twin, informa, front):
    Partner.objects.filter(pk=informa.partner.pk).update(contracts=["informaperu", "nopasanada", "registry"])
    row = {"codigo_externo": "C1", "perfil": "VIP", "correo": "ana@dominio.com"}
    for who in (informa, twin):
        front.ask(front.register(who.headers), who.headers, telefono="912345000")
        assert NopasanadaClient(who.token).send("alta", clientes=[row]).status_code == 200
        assert (
            NopasanadaClient(who.token).send("alta", clientes=[{**row, "correo": "eva@dominio.com"}]).status_code == 200
        )
        assert NopasanadaClient(who.token).send("baja", clientes=[{"correo": "eva@dominio.com"}]).status_code == 200
        Client().post(
            "/external/client/registry",
            EXTERNAL_CLIENT,
            content_type="application/json",
            headers={"Authorization": f"Bearer {who.jwt}"},
        )
    while delivery.deliver_due("codes"):
        pass
    answer = post("reset", twin)
    assert (answer.status_code, answer.json()) == (200, {"removed": answer.json()["removed"]})
    assert answer.json()["removed"] > 8
    assert post("reset", twin).json() == {"removed": 0}
    assert outbox(twin).json() == {"messages": []}
    for model, mine in (
        (Applicant, 1),
        (AuthorizedClient, 2),
        (ExternalClient, 1),
        (Message, 1),
        (VerificationToken, 1),
        (SandboxMessage, 1),
    ):
        assert model.objects.count() == mine, model


def test_the_reset_forgets_the_twins_kept_answers(twin, front):
    key = {"Idempotency-Key": "k1"}
    first = front.post("/client", {}, **twin.headers, **key)
    assert IdempotentAnswer.objects.filter(partner=twin.partner).count() == 1
    assert first.status_code == 400
    assert post("reset", twin, **{"Idempotency-Key": "k2"}).status_code == 200
    assert list(IdempotentAnswer.objects.filter(partner=twin.partner).values_list("key", flat=True)) == ["k2"]


def test_a_message_that_a_worker_has_at_the_reset_leaves_nothing(twin, front):
    front.ask(front.register(twin.headers), twin.headers, telefono="912345000")
    [message] = delivery.claim("codes", at=timezone.now())
    assert post("reset", twin).status_code == 200
    delivery.deliver(message)
    assert not SandboxMessage.objects.exists()
    assert not Message.objects.exists()
