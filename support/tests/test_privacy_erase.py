"""Erasure of a person, searched for in every column of every table; the same person may register again."""

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from clients.authorized_clients import Authorization, authorize
from clients.events.models import EventType, PartnerEvent
from clients.events.writing import write_event
from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient
from conftest import NOW, make_applicant
from external_api.models import ApiRequest, IdempotentAnswer
from messaging.delivery import send
from messaging.models import Message, MessageEvent
from messaging.retention import MessageBeingSent
from subscription.models import ConsentRecord, SubscriptionRequest
from support.cases.actions import Agent
from support.cases.person_search import search
from support.privacy import erasure, retention
from support.tests.privacy_cast import ANA, CODE, LUZ, everywhere
from tests.factories import MessageFactory, staff_browser
from tokens import services
from tokens.cooldown import LOOK_BACK
from tokens.errors import CooldownActive
from tokens.models import LadderForgiveness, VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)

EVIDENCE = {("subscription_consentrecord", "email"), ("subscription_consentrecord", "text")}
"""Columns that may name an erased person: the proof of their consent."""
LADDER = {("tokens_verificationtoken", "destination")}
"""Column that may name them for two days more: the destinations of their codes."""


@pytest.fixture(autouse=True)
def known_code(monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)


@pytest.fixture
def luz():
    return everywhere(LUZ, slug="otro")


@pytest.fixture
def ana(luz):
    return everywhere(ANA, slug="banco")


def agent(at=NOW):
    return Agent(by="marta", reason="lo pidió por escrito", at=at, address="192.0.2.7")


def erase(rows, at=NOW):
    """Erase both cases: nothing joins the external registry to the other contracts."""
    erasure.erase(rows.external, agent(at))
    return erasure.erase(rows.applicant, agent(at))


def places_of(needles):
    """(table, column) of each column that holds one of the texts, whatever its type and case."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables"
            " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        columns = cursor.fetchall()
        found = set()
        for table, column, kind in columns:
            text = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
            cursor.execute(
                f'SELECT EXISTS (SELECT FROM "{table}" CROSS JOIN unnest(%s::text[]) AS needle'
                f" WHERE position(lower(needle) IN lower({text})) > 0)",
                [list(needles)],
            )
            if cursor.fetchone()[0]:
                found.add((table, column))
    return found


def test_the_search_of_the_tests_finds_a_person_in_every_table(ana):
    places = places_of(ANA.needles)
    for place in (
        ("clients_applicant", "names"),
        ("clients_authorizedclient", "email"),
        ("clients_auditentry", "data"),
        ("clients_externalclient", "data_points"),
        ("clients_externalclient", "name_words"),
        ("messaging_message", "recipient"),
        ("messaging_message", "provider_reply"),
        ("messaging_messageevent", "detail"),
        ("django_admin_log", "object_repr"),
        ("messaging_providerreceipt", "detail"),
        ("messaging_sandboxmessage", "text"),
        *LADDER,
        *EVIDENCE,
        ("external_api_idempotentanswer", "body"),
        ("subscription_subscriptionrequest", "email"),
    ):
        assert place in places, place


def test_an_erased_person_is_only_in_the_evidence_and_for_two_days_on_the_ladder(ana):
    erase(ana)
    assert places_of(ANA.needles) == EVIDENCE | LADDER
    assert retention.run(at=NOW + LOOK_BACK, seconds=30.0, kinds=retention.OF_THE_ERASED) == {}
    assert places_of(ANA.needles) == EVIDENCE | LADDER
    retention.run(at=NOW + LOOK_BACK + SECOND, seconds=30.0, kinds=retention.OF_THE_ERASED)
    assert places_of(ANA.needles) == EVIDENCE
    assert not places_of([str(ana.client.external_code)])


def test_the_events_of_an_erased_person_stay_in_the_feed_without_a_destination(ana, luz):
    write_event(
        ana.client.partner_id,
        EventType.AUTHORIZATION_SUBSCRIBED,
        ana.client.pk,
        {"via": "C", "to": "a•••@dominio.com"},
        at=NOW,
    )
    places = list(PartnerEvent.objects.order_by("pk").values_list("pk", "xid", "type", "subject"))
    others = list(PartnerEvent.objects.filter(partner=luz.client.partner).order_by("pk").values_list("pk", "data"))
    erase(ana)
    events = PartnerEvent.objects.filter(partner=ana.client.partner)
    told = [each.data["to"] for each in events if "to" in each.data]
    assert len(told) > 3
    assert set(told) == {""}
    assert (
        list(
            PartnerEvent.objects.filter(pk__in=[each[0] for each in places])
            .order_by("pk")
            .values_list("pk", "xid", "type", "subject")
        )
        == places
    ), "no reader of the feed finds a gap"
    assert (
        list(PartnerEvent.objects.filter(partner=luz.client.partner).order_by("pk").values_list("pk", "data")) == others
    )
    assert any(data.get("to") for _, data in others)


def test_nobody_else_loses_anything(ana, luz):
    before = snapshot()
    erase(ana)
    after = snapshot()
    gone = {key: value for key, value in before.items() if after.get(key) != value}
    assert all(
        LUZ.email not in value and LUZ.document not in value and LUZ.phone not in value for value in gone.values()
    )
    luz.token.refresh_from_db()
    assert luz.token.outcome == "PENDIENTE"
    assert AuthorizedClient.objects.get().email == LUZ.email


def snapshot():
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT ctid::text, row_to_json(t)::text FROM "{table}" t')
            rows = [json.loads(row) for _, row in cursor.fetchall()]
            found |= {(table, json.dumps(row.get("id", row))): json.dumps(row, ensure_ascii=False) for row in rows}
    return found


def test_what_stays_is_anonymous_and_says_where_a_message_came_from(ana):
    messages = Message.objects.filter(partner=ana.applicant.partner)
    before = list(messages.order_by("pk").values_list("pk", "partner", "request_id", "kind", "via", "created_at"))
    erase(ana)
    assert (
        list(messages.order_by("pk").values_list("pk", "partner", "request_id", "kind", "via", "created_at")) == before
    )
    assert {each.recipient for each in messages} == {""}
    assert {each.state for each in messages} == {"CANCELLED", "UNDELIVERED", "SENT"}
    assert set(MessageEvent.objects.filter(message__in=messages).values_list("detail", flat=True)) == {""}
    assert "•••" in messages.get(provider="smtp").provider_reply
    forgotten = Applicant.all_objects.get(pk=ana.applicant.pk)
    assert (forgotten.state, forgotten.created_at, forgotten.forgotten_at) == ("PENDIENTE", NOW, NOW)
    assert ApiRequest.objects.filter(subject=ana.applicant.pk).count() == 0
    assert not LadderForgiveness.objects.filter(applicant=ana.applicant.pk).exists()


def test_an_erasure_cancels_the_live_code_and_queued_messages(ana):
    erase(ana)
    ana.token.refresh_from_db()
    assert (ana.token.outcome, ana.token.finished_at) == ("CANCELADO", NOW)
    assert Message.objects.get(reference=ana.token.pk).state == "CANCELLED"
    assert Message.objects.get(kind="boletin", partner=ana.client.partner).state == "CANCELLED"
    client = AuthorizedClient.all_objects.get(pk=ana.client.pk)
    assert (client.deauthorized_at, client.forgotten_at, client.email) == (NOW, NOW, "")
    assert not ExternalClient.objects.filter(pk=ana.external.pk).exists()


def test_the_evidence_stays_and_its_link_is_erased(ana):
    erase(ana)
    record = ConsentRecord.objects.get(authorized_client=ana.client.pk)
    assert (record.email, record.address, record.text) == (ANA.email, "192.0.2.9", f"Acepto en {ANA.email}")
    link = SubscriptionRequest.objects.get(pk=record.request_id)
    assert (link.email, link.address) == ("", None)
    assert SubscriptionRequest.objects.filter(email="").count() == 1, "the one that led to nothing is gone"


def test_no_search_finds_an_erased_person(ana, front):
    erase(ana)
    for term in (*ANA.needles, str(ana.applicant.pk), str(ana.client.pk), str(ana.external.pk), str(ana.token.pk)):
        assert search(term) == [], term
    for label in ("applicant", "authorizedclient", "externalclient"):
        page = boss().get(f"/admin/clients/{label}/").content.decode()
        for needle in ANA.needles:
            assert needle not in page, label
    assert ANA.phone not in boss().get("/soporte/mensajes/?desde=2026-01-01").content.decode()


def boss():
    user, _ = User.objects.get_or_create(username="jefa", is_staff=True, is_superuser=True)
    http = Client()
    http.force_login(user)
    return http


def test_the_partner_finds_no_erased_person_and_they_may_register_again(front):
    first = front.register()
    front.ask(first)
    erasure.erase(Applicant.objects.get(), agent(VerificationToken.objects.get().created_at + SECOND))
    for answer in (
        front.ask(first, telefono="912345678"),
        front.verify(first, CODE),
        front.post(f"/client/{first}/cancel"),
        front.post(f"/client/{first}/expire"),
        front.get(f"/client/{first}/cooldown/S"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "ERR_CLIENT_NOT_FOUND")
    second = front.register()
    assert second != first
    assert front.ask(second, telefono="912345678").status_code == 200


@pytest.mark.django_db(transaction=True)  # the lists are read over a connection of their own
def test_contract_1_lists_neither_an_erased_client_nor_their_messages(nopasanada, desk):
    row = Authorization(ANA.email, "Ana Díaz", "DNI", ANA.document, ANA.phone, "C1", "VIP")
    authorize(nopasanada.partner, [row], request_id=1, at=NOW)
    client = AuthorizedClient.objects.get()
    MessageFactory(
        sent=True,
        partner=nopasanada.partner,
        kind="boletin",
        via="C",
        recipient=ANA.email,
        authorized_client=client,
        created_at=NOW,
    )
    counts = [desk.listing(each)["resultados"]["cuenta"] for each in ("clientes_autorizados", "mensajes_enviados")]
    erasure.erase(client, agent())
    assert counts == [1, 1]
    for each in ("clientes_autorizados", "mensajes_enviados"):
        assert desk.listing(each)["resultados"] == {"cuenta": 0, "data": []}
    again = desk.send("alta", clientes=[{"correo": ANA.email, "codigo_externo": "C1", "perfil": "VIP"}])
    assert again.json()["resultados"]["cuenta_exitos"] == 1
    assert AuthorizedClient.objects.get().pk != client.pk


def test_an_erasure_frees_no_rung_of_a_number(front, luz):
    def ask_as(number, at):
        other = make_applicant(number, email=f"{number}@example.com")
        services.request(other.pk, via="S", phone=ANA.phone, operator="CLARO", origin=Origin(), at=at)
        erasure.erase(other, agent(at + SECOND))

    ask_as("11111111", NOW)
    with pytest.raises(CooldownActive) as refusal:
        ask_as("22222222", NOW + 10 * SECOND)
    assert refusal.value.state.attempts_24h == 1
    ask_as("33333333", NOW + timedelta(minutes=2))
    with pytest.raises(CooldownActive):
        ask_as("44444444", NOW + timedelta(minutes=5))
    retention.run(at=NOW + timedelta(hours=24), seconds=30.0)
    with pytest.raises(CooldownActive):
        ask_as("55555555", NOW + timedelta(minutes=5))


def test_nothing_is_erased_while_a_provider_has_a_message(ana):
    Message.objects.filter(reference=ana.token.pk).update(
        state="SENDING", claim_id=ana.token.pk, lease_until=NOW, handed_over_at=NOW
    )
    before = snapshot()
    with pytest.raises(MessageBeingSent):
        erasure.erase(ana.applicant, agent())
    assert snapshot() == before


def test_a_second_erasure_does_nothing(ana):
    erase(ana)
    assert erasure.erase(ana.applicant, agent()) is None
    assert AuditEntry.objects.filter(action=erasure.ERASED).count() == 3, "one for each row, once"


# --- the audit ---


def test_the_audit_keeps_who_what_when_and_why_and_loses_the_values(ana):
    fields = ("pk", "at", "actor", "action", "object_type", "object_id", "address", "reason")
    before = list(AuditEntry.objects.order_by("pk").values_list(*fields))
    erase(ana)
    assert list(AuditEntry.objects.exclude(action=erasure.ERASED).order_by("pk").values_list(*fields)) == before
    changed = AuditEntry.objects.get(action="external_client.changed", object_id=str(ana.external.pk))
    assert changed.data["request"] == 9
    assert changed.data["changes"] == [
        {"field": "phone", "before": "[borrado]", "after": "[borrado]"},
        {"field": "data_points", "key": "[borrado]", "before": "[borrado]", "after": "[borrado]"},
    ]
    typed = AuditEntry.objects.filter(action="clients.exported").order_by("pk").last()
    assert typed.data == {"format": "csv", "filter": {"q": "[borrado]", "perfil": "VIP"}}
    other = AuditEntry.objects.filter(action="clients.exported").order_by("pk").first()
    assert other.data["filter"]["q"] == LUZ.email.upper()


def test_the_erasure_itself_is_in_the_audit_of_each_row_without_a_value(ana):
    done = erase(ana)
    entries = AuditEntry.objects.filter(action=erasure.ERASED)
    assert {each.object_id for each in entries} == {str(ana.applicant.pk), str(ana.client.pk), str(ana.external.pk)}
    assert {(each.actor, each.reason, each.address, each.at) for each in entries} == {
        ("marta", "lo pidió por escrito", "192.0.2.7", NOW)
    }
    assert done.object_id == str(ana.applicant.pk)
    assert dict(done.data["taken"])["mensajes"] == 4


def test_the_admins_list_of_recent_actions_names_nobody(ana):
    erase(ana)
    mine = LogEntry.objects.filter(object_id__in=[str(ana.applicant.pk), str(ana.client.pk)])
    assert {(each.object_repr, each.change_message) for each in mine} == {("[borrado]", "")}


def test_kept_answers_with_the_person_are_erased(ana):
    erase(ana)
    left = [bytes(each.body).decode() for each in IdempotentAnswer.objects.all()]
    assert len(left) == 3
    assert LUZ.email in left[0]


# --- at the desk ---


def staff(*codenames):
    return staff_browser(*codenames, name="marta")


@pytest.fixture
def marta():
    return staff("use_desk", "erase_person")


def path(row):
    return f"/soporte/caso/cliente/{row.pk}/datos/borrar/"


def test_the_page_says_what_goes_what_stays_and_that_it_is_for_good(marta, ana):
    answer = marta.get(path(ana.applicant))
    page = answer.content.decode()
    assert answer["Cache-Control"] == "no-store, private"
    assert "style=" not in page
    for words in (
        "No se puede deshacer",
        "Se borra",
        "Se queda",
        "Escriba BORRAR para confirmar",
        "Banco banco",
        ANA.names,
        f"DNI {ANA.document}",
        "La prueba de lo que aceptó o retiró (1)",
    ):
        assert words in page, words
    assert Applicant.objects.filter(pk=ana.applicant.pk).exists(), "looking erases nobody"


@pytest.mark.parametrize(
    ("motivo", "word", "fault"),
    [
        ("", "BORRAR", "requerido"),
        ("lo pidió", "", "requerido"),
        ("lo pidió", "borra", "Escriba BORRAR para confirmar."),
    ],
)
def test_without_a_reason_or_the_word_nothing_is_erased(marta, ana, motivo, word, fault):
    before = snapshot()
    answer = marta.post(path(ana.applicant), {"motivo": motivo, "confirmacion": word})
    assert answer.status_code == 400
    assert fault in answer.content.decode()
    assert snapshot().keys() == before.keys()
    assert Applicant.objects.filter(pk=ana.applicant.pk).exists()


def test_a_confirmed_erasure_leads_to_a_page_with_its_result(marta, ana):
    answer = marta.post(path(ana.applicant), {"motivo": "lo pidió", "confirmacion": "borrar"}, follow=True)
    entry = AuditEntry.objects.filter(action=erasure.ERASED).order_by("pk").first()
    assert answer.redirect_chain == [(f"/soporte/borrado/{entry.pk}/", 302)]
    page = answer.content.decode()
    assert f"Constancia n.º <strong>{entry.pk}</strong>" in page
    assert "<td>Mensajes</td><td>4</td>" in page
    for needle in ANA.needles:
        assert needle not in page
    assert marta.get(f"/soporte/caso/cliente/{ana.applicant.pk}/").status_code == 404
    assert marta.post(path(ana.applicant), {"motivo": "lo pidió", "confirmacion": "BORRAR"}).status_code == 404


def test_the_agent_is_told_to_wait_while_a_provider_has_a_message(marta, ana):
    Message.objects.filter(reference=ana.token.pk).update(
        state="SENDING", claim_id=ana.token.pk, lease_until=NOW, handed_over_at=NOW
    )
    answer = marta.post(path(ana.applicant), {"motivo": "lo pidió", "confirmacion": "BORRAR"})
    assert "repita en un minuto" in answer.content.decode()
    assert Applicant.objects.filter(pk=ana.applicant.pk).exists()


@pytest.mark.parametrize("key", ["0", "x", "99999999999999999999", "1"])
def test_the_result_of_an_unknown_erasure_is_not_found(marta, ana, key):
    assert marta.get(f"/soporte/borrado/{key}/").status_code == 404


def test_a_shared_mailbox_is_told_and_left_to_the_other_person(marta, ana):
    husband = make_applicant("70055555", email=ANA.email, names="Pedro")
    assert "también de otra persona" in marta.get(path(ana.applicant)).content.decode()
    erasure.erase(ana.applicant, agent())
    husband.refresh_from_db()
    assert husband.email == ANA.email
    assert SubscriptionRequest.objects.filter(email=ANA.email).count() == 2


def test_an_answer_that_comes_after_the_erasure_writes_nothing(ana):
    """The state of a message may be UNKNOWN: its answer may come after the erasure, and may name the number."""
    late = Message.objects.get(reference=ana.token.pk)
    Message.objects.filter(pk=late.pk).update(state="UNKNOWN", claim_id=late.pk, handed_over_at=NOW, sealed=None)
    late.refresh_from_db()
    erase(ana)
    send.record(late, "SENT", at=NOW + SECOND, reply=f"ok {ANA.phone}")
    assert places_of([ANA.phone]) == LADDER
    assert Message.objects.get(pk=late.pk).state == "UNKNOWN"
