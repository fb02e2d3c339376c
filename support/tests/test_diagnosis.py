"""Each diagnosis of the closed list, from the acts of the domain and the answers of a provider that lead to it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clients.authorized_clients import Authorization, authorize, deauthorize
from clients.email_subscriptions import subscribe, unsubscribe
from clients.models import Applicant, AuthorizedClient
from conftest import make_applicant
from messaging.delivery import receipts, sweeper
from messaging.delivery import send as delivery
from messaging.delivery.receipts import Report
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.twins import routing
from support.cases.diagnosis import Why, diagnose
from support.cases.person_search import Person, person_of
from testkit.codes import request_code
from tests.factories import ApiRequestFactory, PartnerFactory
from tests.gateways import FakeGateway
from tokens import services
from tokens import sweeper as settling
from tokens.cooldown_overrides import forgive
from tokens.errors import TokenExpired, TriesUsedUp, WrongCode
from tokens.services import Origin

pytestmark = pytest.mark.django_db
CODE = "Q7ZX"
PHONE = "987654321"


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def ana(db, monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)
    return make_applicant()


@pytest.fixture
def ask(ana, now):
    def act(at=now):
        return request_code(ana.pk, via="S", phone=PHONE, operator="CLARO", origin=Origin(), at=at)

    return act


def send(monkeypatch, answer):
    monkeypatch.setattr(routing, "gateways_for", lambda via: [FakeGateway("lejano", always=answer)])
    delivery.deliver_due("codes")


def told(row, *, at):
    row.refresh_from_db()
    return diagnose(person_of(row), at=at)[0]


def test_an_applicant_who_never_asked_for_a_code_is_told_so(ana, now):
    found = told(ana, at=now)
    assert found.why is Why.NEVER_ASKED
    assert found.sentence.startswith("Se registró el ")


def test_a_message_that_waits_too_long_is_stuck(ana, ask, now):
    ask()
    assert told(ana, at=now + timedelta(seconds=3)).why is Why.ON_ITS_WAY
    found = told(ana, at=now + timedelta(seconds=40))
    assert found.why is Why.STUCK
    assert "espera en la cola desde" in found.sentence


def test_a_code_that_expired_in_the_queue_was_not_sent(ana, ask, now):
    ask()
    sweeper.sweep(at=now + timedelta(seconds=140))
    found = told(ana, at=now + timedelta(seconds=141))
    assert (found.why, found.sentence) == (Why.STUCK, "El mensaje venció en la cola: no salió a tiempo.")
    assert "ahora" in found.next_step, "its rung was given back"


def test_a_provider_s_refusal_is_told_with_its_reason(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, GatewayError("twilio 400/21211: el número no es válido", permanent=True))
    found = told(ana, at=now + timedelta(seconds=5))
    assert found.why is Why.REFUSED
    assert found.sentence == "El proveedor lejano rechazó el mensaje: twilio 400/21211: el número no es válido."


def test_an_undelivered_code_is_told_with_its_reason_and_a_masked_number(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    receipts.receive(Report("lejano", "SM1", "UNDELIVERED", "el celular está apagado o sin señal (30003)"), at=now)
    found = told(ana, at=now + timedelta(seconds=30))
    assert found.why is Why.NOT_DELIVERABLE
    assert "9•• ••• 321: el celular está apagado" in found.sentence


def test_a_code_delivered_after_an_undelivered_receipt_is_told_with_both(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    for state in ("UNDELIVERED", "DELIVERED"):
        receipts.receive(Report("lejano", "SM1", state), at=now)
    found = told(ana, at=now + timedelta(seconds=30))
    assert found.why is Why.NOT_ENTERED
    assert "se entregó a 9•• ••• 321" in found.sentence
    assert "aunque antes el proveedor informó que no pudo entregarlo" in found.sentence


def test_a_message_without_a_clear_answer_is_told_so(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, OutcomeUnknown("silencio"))
    assert told(ana, at=now + timedelta(seconds=30)).why is Why.UNCLEAR


def test_a_delivered_code_is_live_and_then_not_entered(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    receipts.receive(Report("lejano", "SM1", "DELIVERED"), at=now)
    found = told(ana, at=now + timedelta(seconds=50))
    assert (found.why, found.next_step) == (Why.NOT_ENTERED, "Puede ingresarlo ahora.")
    assert "se entregó a 9•• ••• 321" in found.sentence
    assert "aún vale 100 segundos" in found.sentence
    settling.sweep(at=now + timedelta(seconds=151))
    found = told(ana, at=now + timedelta(seconds=160))
    assert found.why is Why.NOT_ENTERED
    assert found.sentence.endswith("y no se ingresó.")


@pytest.mark.parametrize(("times", "words"), [(1, "1 vez"), (3, "3 veces"), (5, "5 veces")])
def test_wrong_codes_are_told_with_their_number(ana, ask, now, monkeypatch, times, words):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    for _ in range(times):
        with pytest.raises((WrongCode, TriesUsedUp)):
            services.verify(ana.pk, "AAAA", origin=Origin(), at=now + timedelta(seconds=20))
    settling.sweep(at=now + timedelta(seconds=151))
    found = told(ana, at=now + timedelta(seconds=200))
    assert (found.why, found.sentence) == (Why.WRONG, f"Ingresó mal el código {words}.")


@pytest.mark.parametrize(("seconds", "words"), [(151, "1 segundo tarde"), (197.2, "48 segundos tarde")])
def test_a_late_code_is_told_with_the_seconds(ana, ask, now, monkeypatch, seconds, words):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    with pytest.raises(TokenExpired):
        services.verify(ana.pk, CODE, origin=Origin(), at=now + timedelta(seconds=seconds))
    found = told(ana, at=now + timedelta(seconds=300))
    assert found.why is Why.LATE
    assert f"Ingresó el código correcto {words}: venció el " in found.sentence


def test_a_verified_code_is_told(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    services.verify(ana.pk, CODE, origin=Origin(), at=now + timedelta(seconds=9))
    found = told(ana, at=now + timedelta(hours=5))
    assert (found.why, found.next_step) == (Why.VERIFIED, "No necesita otro código.")
    assert "demostró 9•• ••• 321" in found.sentence


def test_a_cancelled_code_is_told(ana, ask, now):
    ask()
    services.cancel(ana.pk, origin=Origin(), at=now + timedelta(seconds=4))
    assert told(ana, at=now + timedelta(seconds=9)).why is Why.CANCELLED


def test_a_locked_applicant_is_told(ana, ask, now):
    ask()
    Applicant.objects.update(locked_at=now)
    assert told(ana, at=now).why is Why.LOCKED


def refused_request(ana, at):
    return ApiRequestFactory(subject=ana.pk, status=429, code="ERR_COOLDOWN_ACTIVE", created_at=at)


def test_a_refusal_by_the_ladder_is_told_until_its_wait_is_over_or_forgiven(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    settling.sweep(at=now + timedelta(seconds=151))
    ask(now + timedelta(seconds=160))
    refused_request(ana, now + timedelta(seconds=170))
    found = told(ana, at=now + timedelta(seconds=180))
    assert found.why is Why.WAITING
    assert "debe esperar hasta el" in found.sentence
    assert found.next_step == "Faltan 4 minutos. Puede perdonarle la espera."
    forgive(ana, "S", by="ana", reason="prueba", at=now + timedelta(seconds=181))
    assert told(ana, at=now + timedelta(seconds=182)).why is not Why.WAITING


def test_a_refusal_before_the_last_code_is_not_told(ana, ask, now):
    refused_request(ana, now - timedelta(hours=1))
    ask()
    assert told(ana, at=now + timedelta(seconds=1)).why is Why.ON_ITS_WAY


@pytest.fixture
def bank(db):
    return PartnerFactory(name="Banco Andino", contracts=["nopasanada"])


@pytest.fixture
def luis(bank, now):
    row = Authorization("luis@dominio.com", "Luis Paz", "DNI", "87654321", "", "C1", "A")
    authorize(bank, [row], request_id=1, at=now)
    return AuthorizedClient.objects.get()


def test_bulletins_are_told_from_authorisation_to_removal(luis, bank, now):
    assert told(luis, at=now).why is Why.NOT_SUBSCRIBED
    subscribe([luis], at=now)
    assert told(luis, at=now).why is Why.SUBSCRIBED
    unsubscribe(luis, everywhere=False, at=now)
    found = told(luis, at=now)
    assert found.why is Why.UNSUBSCRIBED
    assert "Banco Andino" in found.sentence
    deauthorize(bank, ["luis@dominio.com"], at=now)
    assert told(luis, at=now).why is Why.REMOVED


def test_a_mailbox_that_no_partner_authorised_is_diagnosed_so():
    [found] = diagnose(Person(mailbox="x@dominio.com"), at=timezone.now())
    assert found.why is Why.NOT_AUTHORIZED


def test_a_person_of_two_contracts_has_two_diagnoses(ana, luis, now):
    AuthorizedClient.objects.update(document_number=ana.document_number)
    luis.refresh_from_db()
    assert [each.why for each in diagnose(person_of(luis), at=now)] == [Why.NEVER_ASKED, Why.NOT_SUBSCRIBED]


def test_no_diagnosis_shows_a_whole_number_mailbox_or_code(ana, ask, now, monkeypatch):
    ask()
    send(monkeypatch, Receipt("SM1", "ok"))
    found = told(ana, at=now + timedelta(seconds=9))
    shown = found.sentence + found.next_step
    assert PHONE not in shown
    assert CODE not in shown
    assert ana.email not in shown
