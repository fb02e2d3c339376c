"""Diagnosis of bulletins: the last one's fate, a suppressed mailbox, and a code that was not sent because of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from conftest import NOW, make_applicant
from messaging.delivery import send as delivery
from messaging.models import Message
from messaging.twins import routing
from support.cases import timeline
from support.cases.diagnosis import Why, diagnose
from support.cases.person_search import person_of
from testkit.codes import request_code
from tests.factories import (
    AuthorizedClientFactory,
    MessageEventFactory,
    MessageFactory,
    PartnerFactory,
    SuppressionFactory,
)
from tests.gateways import FakeGateway
from tokens import codes, services
from tokens.models import VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
ANA = "anabel@dominio.com"
MASKED = "a•••@dominio.com"


@pytest.fixture
def client():
    return AuthorizedClientFactory(
        partner=PartnerFactory(name="Banco"), email=ANA, created_at=NOW, subscribed_at=NOW - timedelta(days=1)
    )


def bulletin(client, state, **changes):
    fields = {"attempts": 1, "handed_over_at": NOW, "provider": "smtp:uno", "subject": "Abril", **changes}
    return MessageFactory(
        **{"kind": "boletin", "via": "C", "recipient": ANA, "authorized_client": client, "created_at": NOW, **fields},
        state=state,
    )


def told(row, *, at=NOW):
    return diagnose(person_of(row), at=at)[0]


def test_a_refused_bulletin_is_told_with_the_answer(client):
    bulletin(client, "FAILED", provider_reply=f"550 5.1.1 <{ANA}> does not exist")
    found = told(client)
    assert found.why is Why.BULLETIN_REFUSED
    assert found.sentence.startswith(
        "El último mensaje (boletín «Abril») fue rechazado el 12/02/2026 a las 10:30:00: 550"
    )
    assert ANA not in found.sentence
    assert MASKED in found.sentence


def test_a_full_mailbox_is_told_with_the_next_attempt(client):
    bulletin(client, "QUEUED", provider_reply="452 4.2.2 mailbox full", next_attempt_at=NOW + timedelta(minutes=30))
    found = told(client)
    assert found.why is Why.BULLETIN_REFUSED
    assert "452 4.2.2 mailbox full" in found.sentence
    assert "12/02/2026 a las 11:00:00" in found.next_step


def test_a_bounce_after_the_hand_over_is_told_with_its_reason(client):
    MessageEventFactory(
        message=bulletin(client, "UNDELIVERED", sent_at=NOW), at=NOW, state="UNDELIVERED", detail="el buzón lo devolvió"
    )
    found = told(client)
    assert found.why is Why.BULLETIN_REFUSED
    assert "no se pudo entregar: el buzón lo devolvió" in found.sentence


@pytest.mark.parametrize(("state", "words"), [("DELIVERED", "se entregó"), ("SENT", "salió"), ("UNKNOWN", "puede")])
def test_a_bulletin_that_left_is_told_as_such(client, state, words):
    bulletin(client, state, sent_at=NOW, delivered_at=NOW)
    found = told(client)
    assert found.why is Why.SUBSCRIBED
    assert words in found.sentence
    assert "no deseado" in found.next_step


def test_the_newest_one_that_was_tried_counts(client):
    bulletin(client, "SENT", sent_at=NOW)
    bulletin(client, "FAILED", provider_reply="550 no", created_at=NOW + timedelta(hours=1))
    bulletin(client, "QUEUED", attempts=0, created_at=NOW + timedelta(hours=2))
    assert told(client).why is Why.BULLETIN_REFUSED


def test_a_client_without_bulletins_is_told_so(client):
    assert "Todavía no se le envió ninguno" in told(client).sentence


def test_another_company_s_bulletin_does_not_count(client):
    other = AuthorizedClientFactory(partner=PartnerFactory(name="Otro"), email=ANA, created_at=NOW - timedelta(days=9))
    bulletin(other, "FAILED", provider_reply="550 no")
    assert told(client).why is Why.SUBSCRIBED


@pytest.mark.parametrize(
    ("reason", "words"),
    [("HARD_BOUNCE", "devolvió un correo"), ("COMPLAINT", "correo no deseado"), ("MANUAL", "lo pidió")],
)
def test_a_suppressed_mailbox_is_told_with_its_evidence(client, reason, words):
    SuppressionFactory(mailbox=ANA, reason=reason, evidence=f"550 <{ANA}>", created_at=NOW)
    found = told(client)
    assert found.why is Why.SUPPRESSED
    assert words in found.sentence
    assert ANA not in found.sentence + found.next_step


def test_a_suppression_for_another_company_is_not_told(client):
    SuppressionFactory(mailbox=ANA, reason="COMPLAINT", partner=PartnerFactory(name="Otro"))
    assert told(client).why is Why.SUBSCRIBED


def test_the_timeline_has_a_suppression_and_its_end(client):
    SuppressionFactory(
        mailbox=ANA, evidence=f"550 <{ANA}>", created_at=NOW, lifted_at=NOW, lifted_because="verificó un código"
    )
    lines = [line for line in timeline.of(person_of(client)) if line.kind == "buzón"]
    assert {line.title for line in lines} == {"Sin envío de boletines: rebote", "El sistema levantó la suspensión"}
    assert ANA not in str(lines)


def test_a_code_that_is_not_sent_to_a_bounced_mailbox_has_its_own_diagnosis(monkeypatch):
    now = timezone.now()
    ana = make_applicant(email=ANA)
    SuppressionFactory(mailbox=ANA, created_at=now - timedelta(days=3))
    gateway = FakeGateway("lejano")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [gateway])
    token = request_code(ana.pk, via="C", origin=Origin(), at=now)
    delivery.deliver_due("codes")
    token.refresh_from_db()
    assert (token.outcome, bool(token.returned_at), gateway.got) == ("NO_ENVIADO", True, [])
    found = told(ana, at=timezone.now())
    assert found.why is Why.SUPPRESSED
    assert found.sentence.startswith(f"El código no se envió: {MASKED} devolvió un correo el ")
    assert "550 5.1.1 user unknown" in found.sentence
    assert "se intenta otra vez desde el" in found.next_step
    assert "Puede pedir otro código ahora." in found.next_step


def test_a_verified_code_lifts_the_bounce():
    ana = make_applicant(email=ANA)
    bounced = SuppressionFactory(mailbox=ANA, created_at=NOW - timedelta(days=40))
    token = request_code(ana.pk, via="C", origin=Origin(), at=NOW)
    secret = "A1B2"
    VerificationToken.objects.filter(pk=token.pk).update(code_hmac=codes.digest(token.pk, secret))
    Message.objects.filter(reference=token.pk).update(state="SENT", sealed=None)
    services.verify(ana.pk, secret, origin=Origin(), at=NOW + timedelta(seconds=5))
    bounced.refresh_from_db()
    assert bounced.lifted_at == NOW + timedelta(seconds=5)
