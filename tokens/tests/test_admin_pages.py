"""Admin pages: each opens, at a bounded cost and without secrets; and the two actions of staff."""

import base64
import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from clients.admin.base import LimitedPaginator
from clients.credentials import issue
from clients.external_clients import Details, register
from clients.models import Applicant, AuditEntry
from conftest import make_applicant
from messaging.delivery import failover
from messaging.models import Message, SandboxMessage
from tests.factories import (
    AuthorizedClientFactory,
    CampaignFactory,
    LadderForgivenessFactory,
    PartnerFactory,
    SuppressionFactory,
    staff_browser,
    superuser_browser,
)
from tokens import services
from tokens.models import LadderForgiveness, VerificationToken
from tokens.tests.hostile_codes import HOSTILE, ask

pytestmark = pytest.mark.django_db

CODE = "Q7ZX"
OURS = ("clients", "tokens", "messaging", "external_api")
APPLICANTS = "/admin/clients/applicant/"


@pytest.fixture(autouse=True)
def known_code(monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)


@pytest.fixture
def superuser():
    return superuser_browser()


@pytest.fixture
def partner():
    return PartnerFactory(name=HOSTILE, slug="financiera")


def person(number="12345678", partner=None, **changes):
    now = timezone.now()
    return make_applicant(number, partner=partner, **{"created_at": now, "updated_at": now, **changes})


@pytest.fixture
def rows(partner, superuser):
    """At least one row of everything that has a page, with markup wherever a partner could have put it."""
    credential, secret = issue(partner, "opaque", at=timezone.now(), by="ana")
    applicant = person(partner=partner, names=HOSTILE, paternal_surname=HOSTILE)
    token = ask(applicant, credential=credential)
    LadderForgivenessFactory(applicant=applicant, reason=HOSTILE)
    AuthorizedClientFactory(
        partner=partner, email="ana@dominio.com", name=HOSTILE[:50], external_code=HOSTILE, profile=HOSTILE
    )
    failover.open_circuit(HOSTILE, HOSTILE, at=timezone.now())
    points = [{"key": HOSTILE, "value": HOSTILE}]
    details = Details("2380033370713", HOSTILE, HOSTILE, "555-1234", HOSTILE, HOSTILE, HOSTILE, points)
    register(credential, HOSTILE, details, request_id=1, address=None, at=timezone.now())
    CampaignFactory(subject=HOSTILE, text=HOSTILE, html=HOSTILE)
    SuppressionFactory(evidence=HOSTILE)
    Client(raise_request_exception=False).get(
        "/v1/api/client/x/cooldown/S", headers={"Authorization": f"Bearer {secret}"}
    )
    Client().post("/admin/login/", {"username": "nadie", "password": "otra"})
    return token


def registered():
    return sorted(admin.site._registry, key=lambda model: model._meta.label)


def page(http, url, **query):
    answer = http.get(url, query)
    assert answer.status_code == 200, (url, query, answer.status_code)
    return answer.content.decode()


def list_of(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def every_page(http):
    yield page(http, "/admin/")
    for model in registered():
        yield page(http, list_of(model))
        row = model._default_manager.first()
        if row is not None:
            yield page(http, page_of(row))
            yield page(http, page_of(row).replace("/change/", "/history/"))


def test_what_has_a_page_is_chosen():
    labels = {model._meta.label for model in registered()}
    assert {
        "clients.Partner",
        "clients.Applicant",
        "clients.AuditEntry",
        "messaging.Message",
        "tokens.VerificationToken",
        "tokens.LadderForgiveness",
        "external_api.ApiRequest",
        "auth.User",
    } <= labels
    assert not labels & {"messaging.SandboxMessage", "external_api.IdempotentAnswer", "sessions.Session"}


def test_every_page_opens_and_markup_is_text(superuser, rows):
    seen = list(every_page(superuser))
    ours = [model for model in registered() if model._meta.app_label in OURS]
    assert len(ours) >= 7
    assert all(model._default_manager.exists() for model in ours)
    assert any("&lt;script&gt;alert(" in html for html in seen)
    for html in seen:
        assert "<script>alert(" not in html
        assert "}}14{" not in html


def test_no_page_shows_a_code_its_hmac_or_its_seal(superuser, rows):
    token, message = VerificationToken.objects.get(), Message.objects.get()
    digest, seal = bytes(token.code_hmac), bytes(message.sealed)
    hidden = [CODE, digest.hex(), base64.b64encode(digest).decode(), str(digest), seal.decode(), "memory at", "hmac"]
    for html in every_page(superuser):
        shown = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", html)  # 64 random letters may spell anything
        assert not [secret for secret in hidden if secret in shown]
    assert "••••" in page(superuser, page_of(message))


def test_pages_are_in_spanish_under_one_name(superuser, rows):
    html = page(superuser, "/admin/")
    assert "Administración" in html
    assert re.search(r"<title>\s*Administración \| Aval</title>", html)
    for word in ("Empresas", "Solicitantes", "Códigos", "Mensajes", "Solicitudes", "Auditoría", "Perdones de espera"):
        assert word.lower() in html.lower()
    for row in (Message.objects.get(), VerificationToken.objects.get(), Applicant.objects.get()):
        shown = page(superuser, page_of(row))
        for english in (">Partner:<", "Credential", "Request id", "Provider", "Handed over", "Reference", "Lease"):
            assert english not in shown


READ_ONLY = (
    "clients.applicant",
    "clients.auditentry",
    "clients.externalclient",
    "messaging.message",
    "tokens.verificationtoken",
    "tokens.ladderforgiveness",
    "external_api.apirequest",
)


@pytest.mark.parametrize("label", READ_ONLY)
def test_a_read_only_page_refuses_to_write(superuser, rows, label):
    model = next(model for model in registered() if model._meta.label_lower == label)
    row = model._default_manager.first()
    before = model._default_manager.values().get(pk=row.pk)
    fields = {field.name: "1" for field in model._meta.fields}
    assert superuser.post(page_of(row), fields).status_code == 403
    assert superuser.get(list_of(model) + "add/").status_code == 403
    assert superuser.post(page_of(row).replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
    superuser.post(list_of(model), {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert model._default_manager.values().get(pk=row.pk) == before
    assert 'name="_save"' not in page(superuser, page_of(row))


def grow(partner, numbers):
    for number in numbers:
        ask(person(f"{number:08}", partner), phone=f"9{number:08}")
        issue(partner, "opaque", at=timezone.now(), by="ana")
        LadderForgivenessFactory(applicant=Applicant.objects.first())
        Client().get("/v1/api/client/x/cooldown/S")


def test_a_list_costs_the_same_whatever_it_holds(superuser, partner):
    def statements(label):
        model = next(model for model in registered() if model._meta.label_lower == label)
        with CaptureQueriesContext(connection) as queries:
            page(superuser, list_of(model))
        return [query["sql"] for query in queries]

    grow(partner, range(2))
    few = {label: statements(label) for label in READ_ONLY}
    grow(partner, range(2, 20))
    for label in READ_ONLY:
        many = statements(label)
        assert len(many) == len(few[label]) <= 9, many
        assert not [sql for sql in many if "COUNT(" in sql and "LIMIT" not in sql]


def test_a_big_table_is_not_counted_to_its_end(rows, monkeypatch):
    monkeypatch.setattr("clients.admin.base.COUNTED", 3)
    for number in range(5):
        person(f"0000000{number}")
    paginator = LimitedPaginator(Applicant.objects.order_by("-created_at"), 2)
    assert (paginator.count, paginator.num_pages) == (3, 2)
    assert len(paginator.page(2).object_list) == 1


STRANGE = (
    {"q": "\x01"},
    {"q": "'"},
    {"q": "%"},
    {"q": "٩٨٧٦٥٤٣٢١"},
    {"q": "9" * 400},
    {"q": "a@b"},
    {"q": "00000000-0000-0000-0000-000000000000"},
    {"q": "<script>alert(1)</script>"},
    {"p": "99999"},
    {"p": "x"},
    {"o": "99.-1.x"},
    {"created_at__gte": "x"},
    {"partner__id__exact": "x"},
    {"state__exact": "x"},
    {"all": ""},
)


@pytest.mark.parametrize("label", READ_ONLY)
def test_a_strange_query_is_no_internal_fault(superuser, rows, label):
    model = next(model for model in registered() if model._meta.label_lower == label)
    for query in STRANGE:
        answer = superuser.get(list_of(model), query, follow=True)
        assert answer.status_code == 200, query
        assert "<script>alert(" not in answer.content.decode(), query


# --- finding ----------------------------------------------------------------------------------------------------------


def found(http, model, term):
    return {str(row.pk) for row in http.get(list_of(model), {"q": term}).context["cl"].result_list}


def test_applicants_codes_and_messages_are_found_by_what_an_agent_has(superuser):
    proved, asked, other = person("11111111"), person("22222222"), person("AB1234567", document_type="PASAPORTE")
    first = ask(proved, phone="911111111")
    services.verify(proved.pk, CODE, origin=services.Origin(), at=timezone.now())
    second = ask(asked, phone="922222222")
    for term, who in (
        ("11111111", proved),
        ("911111111", proved),
        (str(proved.pk), proved),
        ("juan11111111@example.com", proved),
        (" 922222222 ", asked),
        ("JUAN22222222@EXAMPLE.COM", asked),
        ("ab1234567", other),
    ):
        assert found(superuser, Applicant, term) == {str(who.pk)}, term
    for term, token in (("911111111", first), ("11111111", first), (str(first.pk), first), (str(asked.pk), second)):
        assert found(superuser, VerificationToken, term) == {str(token.pk)}, term
    for term, token in (("911111111", first), (str(second.pk), second)):
        assert found(superuser, Message, term) == {str(Message.objects.get(reference=token.pk).pk)}, term
    assert found(superuser, Applicant, "933333333") == set()
    assert len(found(superuser, Applicant, " ")) == 3


def test_a_request_is_found_by_the_number_the_partner_quotes(superuser, rows):
    model = next(model for model in registered() if model._meta.label_lower == "external_api.apirequest")
    row = model._default_manager.get()
    assert found(superuser, model, str(row.pk)) == found(superuser, model, f"event_{row.pk}") == {str(row.pk)}
    assert found(superuser, model, "x") == found(superuser, model, "٣") == set()
    for answer, count in (("4", 1), ("5", 0), ("2", 0), ("x", 1)):
        assert superuser.get(list_of(model), {"respuesta": answer}).context["cl"].result_count == count


# --- actions of staff ------------------------------------------------------------------------------------------------


def act(http, action, *applicants, **fields):
    body = {"action": action, "_selected_action": [applicant.pk for applicant in applicants], **fields}
    return http.post(APPLICANTS, body, follow=True)


def waits(applicant):
    _, state = services.cooldown(applicant.pk, "S", origin=services.Origin(), at=timezone.now())
    return state.available_at is not None


def test_a_wait_is_forgiven_with_a_reason(superuser):
    applicant = person()
    ask(applicant)
    assert waits(applicant)
    form = act(superuser, "forgive_wait", applicant).content.decode()
    assert 'name="reason"' in form
    assert "DNI 12345678" in form
    assert waits(applicant)  # nothing happens before the reason is given
    assert (
        "Perdonar espera: 1 de 1."
        in act(
            superuser, "forgive_wait", applicant, confirmed="yes", via="S", reason="el operador falló"
        ).content.decode()
    )
    assert not waits(applicant)
    row = LadderForgiveness.objects.get()
    assert (row.via, row.destination, row.by, row.reason) == ("S", "987654321", "ana", "el operador falló")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.address) == ("ladder.forgiven", "ana", "192.0.2.7")
    assert (entry.reason, entry.data) == ("el operador falló", {"via": "S"})


def test_the_history_stays_when_a_wait_is_forgiven(superuser):
    applicant = person()
    ask(applicant)
    before = VerificationToken.objects.values().get()
    act(superuser, "forgive_wait", applicant, confirmed="yes", via="S", reason="x")
    assert VerificationToken.objects.values().get() == before


def test_a_lock_is_lifted_with_a_reason(superuser):
    locked, free = person("11111111", locked_at=timezone.now(), wrong_codes_in_a_row=100), person("22222222")
    assert 'value="lift_lock"' in page(superuser, page_of(locked))
    assert 'value="lift_lock"' not in page(superuser, page_of(free))
    answer = act(superuser, "lift_lock", locked, free, confirmed="yes", reason="llamó y se identificó")
    assert "Desbloquear: 1 de 2." in answer.content.decode()
    locked.refresh_from_db()
    assert (locked.locked_at, locked.wrong_codes_in_a_row) == (None, 0)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason) == ("applicant.unlocked", "ana", "llamó y se identificó")


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("forgive_wait", {"via": "S", "reason": ""}),
        ("forgive_wait", {"via": "S", "reason": "  "}),
        ("forgive_wait", {"via": "S", "reason": "x" * 501}),
        ("forgive_wait", {"via": "S", "reason": "\x00"}),
        ("forgive_wait", {"via": "X", "reason": "x"}),
        ("forgive_wait", {"reason": "x"}),
        ("lift_lock", {"reason": ""}),
    ],
    ids=str,
)
def test_without_a_reason_nothing_happens(superuser, action, fields):
    applicant = person(locked_at=timezone.now())
    answer = act(superuser, action, applicant, confirmed="yes", **fields)
    assert "errorlist" in answer.content.decode()
    assert not AuditEntry.objects.exists()
    assert Applicant.objects.get().locked_at is not None


def test_selecting_all_rows_by_mistake_forgives_none(superuser):
    people = [person(f"{number:08}") for number in range(51)]
    form = act(superuser, "forgive_wait", people[0], select_across="1", index="0", confirmed="yes", via="S", reason="x")
    assert "50 solicitantes como máximo" in form.content.decode()
    assert not LadderForgiveness.objects.exists()


def staff_with(*permissions):
    return staff_browser(*permissions, name="luis")


def test_each_act_has_its_permission(rows):
    applicant = Applicant.objects.get()
    Applicant.objects.update(locked_at=timezone.now())
    audited = AuditEntry.objects.count()
    http = staff_with("view_applicant")
    html = page(http, page_of(applicant))
    assert "forgive_wait" not in html
    assert "lift_lock" not in html
    for action in ("forgive_wait", "lift_lock"):
        act(http, action, applicant, confirmed="yes", via="S", reason="x")
    assert AuditEntry.objects.count() == audited
    User.objects.filter(username="luis").delete()
    http = staff_with("view_applicant", "add_ladderforgiveness")
    act(http, "lift_lock", applicant, confirmed="yes", reason="x")
    Applicant.objects.update(locked_at=None)  # a locked one is forgiven nothing
    act(http, "forgive_wait", applicant, confirmed="yes", via="S", reason="x")
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions == {"credential.issued", "external_client.registered", "ladder.forgiven", "staff.login_failed"}


def test_both_acts_need_the_csrf_token(superuser, rows):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = superuser.cookies
    assert act(strict, "forgive_wait", Applicant.objects.get(), confirmed="yes", via="S", reason="x").status_code == 403
    assert LadderForgiveness.objects.count() == 1


def test_staff_without_permissions_and_strangers_see_nothing(rows):
    http = staff_with()
    for model in registered():
        assert http.get(list_of(model)).status_code == 403
        assert Client().get(list_of(model))["Location"].startswith("/admin/login/")


def test_the_outbox_with_its_codes_has_no_page(superuser):
    for name in ("messaging_sandboxmessage", "external_api_idempotentanswer"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:{name}_changelist")
    assert not SandboxMessage.objects.exists()
    assert not LogEntry.objects.exists()
