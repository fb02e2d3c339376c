"""Acts at the desk over each state of a person: what is offered is done, what is not offered is refused in words that
are true, and a refusal writes nothing."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from clients.models import Applicant, AuditEntry
from conftest import make_applicant
from messaging.models import Message
from tests.factories import AuthorizedClientFactory, ExternalClientFactory, StaffUserFactory, browser, staff_browser
from tokens import services
from tokens.models import LadderForgiveness, VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
PHONE = "987654321"
ALL = ("perdonar", "desbloquear", "cancelar", "reenviar S", "reenviar W", "reenviar I", "reenviar C", "baja")
FORGIVE, UNLOCK, CANCEL, BY_S, BY_W, BY_I, BY_C, REMOVE = ALL
RESEND = {BY_S, BY_W, BY_I, BY_C}


@pytest.fixture
def agent(db):
    return staff_browser("use_desk", "act_at_desk", "unmask_at_desk")


def asked(minutes):
    """Applicant who asked for a code by SMS some minutes ago."""
    person = make_applicant()
    at = timezone.now() - timedelta(minutes=minutes)
    services.request(person.pk, via="S", phone=PHONE, operator="CLARO", origin=Origin(), at=at)
    if minutes > 2:
        VerificationToken.objects.update(outcome="SIN_RESPUESTA", finished_at=at + timedelta(minutes=3))
        Message.objects.update(state="SENT", sent_at=at, sealed=None)
    return person


def changed(person, **values):
    Applicant.objects.filter(pk=person.pk).update(**values)
    return person


def _twice():
    person = asked(8)
    services.request(
        person.pk, via="S", phone=PHONE, operator="CLARO", origin=Origin(), at=timezone.now() - timedelta(minutes=3)
    )
    VerificationToken.objects.filter(outcome="PENDIENTE").update(outcome="SIN_RESPUESTA", finished_at=timezone.now())
    return person


VERIFIED = {"state": "VALIDADO", "proved_via": "S", "proved_destination": PHONE}
STATES = {
    "never asked": (make_applicant, {BY_C}),
    "a live code": (lambda: asked(1), {FORGIVE, CANCEL, *RESEND}),
    "a wait that runs": (_twice, {FORGIVE, *RESEND}),
    "asked two days ago": (lambda: asked(60 * 49), RESEND),
    "verified": (lambda: changed(asked(30), **VERIFIED, validated_at=timezone.now()), set()),
    "verified, never asked": (lambda: changed(make_applicant(), **VERIFIED, validated_at=timezone.now()), set()),
    "locked": (lambda: changed(asked(30), locked_at=timezone.now()), {UNLOCK}),
    "locked, never asked": (lambda: changed(make_applicant(), locked_at=timezone.now()), {UNLOCK}),
    "authorised": (AuthorizedClientFactory, {REMOVE}),
    "removed": (lambda: AuthorizedClientFactory(deauthorized_at=timezone.now()), set()),
    "external": (ExternalClientFactory, set()),
}


def case_of(row):
    kind = {"Applicant": "cliente", "AuthorizedClient": "autorizado", "ExternalClient": "externo"}[type(row).__name__]
    return f"/soporte/caso/{kind}/{row.pk}/"


def offered(page):
    """Acts whose buttons are on a case's page."""
    found = re.findall(r'<button(?: name="(\w+)" value="(\w+)")?[^>]*formaction="[^"]*/(\w+)/">', page)
    return {f"{slug} {value}" if name == "via" else slug for name, value, slug in found} - {"mostrar"}


def send(http, row, act):
    what, _, via = act.partition(" ")
    form = {"motivo": "lo pidió", "via": via, "autorizado": str(row.pk)}
    return http.post(f"{case_of(row)}{what}/", form, follow=True)


@pytest.mark.parametrize("state", STATES)
def test_only_what_applies_is_offered(agent, state):
    make, expected = STATES[state]
    row = make()
    assert offered(agent.get(case_of(row)).content.decode()) == expected


NOT_OFFERED = [(state, act) for state, (_, offers) in STATES.items() for act in ALL if act not in offers]
NOT_OFFERED.remove(("asked two days ago", FORGIVE))  # nothing counts any more: what it says is true


@pytest.mark.parametrize(("state", "act"), NOT_OFFERED)
def test_an_act_that_is_not_offered_is_refused_and_writes_nothing(agent, state, act):
    row = STATES[state][0]()
    before = (LadderForgiveness.objects.count(), AuditEntry.objects.count(), VerificationToken.objects.count())
    answer = send(agent, row, act)
    if answer.status_code == 200:
        assert 'class="note error"' in answer.content.decode(), act
    else:
        assert answer.status_code == 404
    after = (LadderForgiveness.objects.count(), AuditEntry.objects.count(), VerificationToken.objects.count())
    assert after == before


@pytest.mark.parametrize(
    ("state", "words"), [("verified", "Ya está verificado."), ("locked", "Está bloqueado: desbloquéelo primero.")]
)
def test_who_gets_no_code_is_not_promised_one_for_a_forgiven_wait(agent, state, words):
    answer = send(agent, STATES[state][0](), FORGIVE).content.decode()
    assert words in answer
    assert "puede pedir otro código" not in answer.split('class="diagnosis"')[0]


def test_without_a_gateway_a_via_is_not_offered_and_its_wait_is_not_forgiven(agent, settings):
    person = asked(1)
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "S": (), "I": ()}
    assert offered(agent.get(case_of(person)).content.decode()) == {CANCEL, BY_W, BY_C}
    assert "Esa vía no está disponible." in send(agent, person, FORGIVE).content.decode()
    assert not LadderForgiveness.objects.exists()


def test_the_admin_forgives_no_verified_and_no_locked_person(db):
    http = browser(StaffUserFactory(username="jefa", is_superuser=True))
    verified = STATES["verified"][0]()
    locked = changed(make_applicant("87654321", email="otra@example.com"), locked_at=timezone.now())
    form = {"action": "forgive_wait", "confirmed": "yes", "via": "S", "reason": "llamó"}
    answer = http.post(
        "/admin/clients/applicant/", {**form, "_selected_action": [str(verified.pk), str(locked.pk)]}, follow=True
    )
    page = answer.content.decode()
    assert "ya está verificado: no necesita otro código." in page
    assert "está bloqueado: desbloquéelo primero." in page
    assert "Perdonar espera: 0 de 2." in page
    assert not LadderForgiveness.objects.exists()
    for row in (verified, locked):
        assert "forgive_wait" not in http.get(f"/admin/clients/applicant/{row.pk}/change/").content.decode()


def test_enter_in_the_reason_presses_no_act(agent):
    """A browser presses a form's first submit button; one that is disabled is pressed by nobody (HTML, 4.10.22.2)."""
    page = agent.get(case_of(asked(1))).content.decode()
    form = re.search(r'<form method="post">(?=.*?id="motivo").*?</form>', page, re.DOTALL)[0]
    assert re.findall("<button[^>]*>", form)[0] == '<button type="submit" disabled hidden>'


@pytest.mark.parametrize("what", ["mostrar/", "perdonar/", "reenviar/", "no-hay/", "datos/exportar/"])
@pytest.mark.parametrize("rights", [("use_desk",), ("use_desk", "act_at_desk", "unmask_at_desk", "export_person")])
def test_the_address_of_an_act_shows_the_case(what, rights):
    person = make_applicant()
    answer = staff_browser(*rights).get(f"{case_of(person)}{what}")
    assert (answer.status_code, answer["Location"]) == (302, case_of(person))
    assert not AuditEntry.objects.exists()
