"""Nothing that a provider or a person wrote comes out of the API for partners: only words of closed lists."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.utils import timezone

from clients.events.models import PartnerEvent
from clients.models import Applicant
from messaging import transitions_sql
from messaging.models import Message, MessageEvent
from messaging.queue.transitions import Moved, move
from messaging.reasons import Reason
from tests.factories import (
    ApplicantFactory,
    CredentialFactory,
    MessageEventFactory,
    MessageFactory,
    PartnerFactory,
    VerificationTokenFactory,
)
from tokens import sweeper
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db

OURS = {
    Message: {"kind", "via", "state", "recipient"},
    VerificationToken: {"via", "outcome", "destination", "operator"},
    Applicant: {"state", "proved_via", "document_type"},
    MessageEvent: {"state"},
}
"""Texts of closed lists, and destinations, which have a test of their own (they come out masked)."""
MOST = 6
"""Characters of a mark: some columns are short."""


def marked(model: type[models.Model]) -> dict[str, str]:
    """A mark for every column of a model that holds free text."""
    return dict(_marks(model))


def _marks(model: type[models.Model]) -> Iterator[tuple[str, str]]:
    for number, field in enumerate(model._meta.concrete_fields):
        if isinstance(field, models.CharField | models.TextField) and field.name not in OURS[model]:
            mark = f"Zq{number:02}{model.__name__[:2]}"
            yield field.name, mark[: min(MOST, field.max_length or MOST)]


def everything_of_a_partner(state: str) -> tuple[Any, Any, str]:
    """A code with its message in this state, all texts marked, and the token of its partner."""
    partner = PartnerFactory()
    key = CredentialFactory(partner=partner, secret="a" * 32)
    applicant = ApplicantFactory(partner=partner, **{**marked(Applicant), "email": "zqmail@dominio.com"})
    token = VerificationTokenFactory(applicant=applicant, outcome="SIN_RESPUESTA", destination="987654321")
    message = MessageFactory(partner=partner, reference=token.pk, state=state, **marked(Message))
    MessageEventFactory(message=message, **marked(MessageEvent))
    assert key.pk
    return token, message, "a" * 32


def secrets_of() -> set[str]:
    found = {mark for model in OURS for mark in marked(model).values() if len(mark) >= 4}
    assert len(found) > 15, "then nothing is tried"
    return found | {"987654321", "zqmail"}


@pytest.mark.parametrize("state", Message.State)
def test_no_answer_holds_a_text_of_a_provider_or_of_a_person(client, state):
    token, message, secret = everything_of_a_partner(state)
    for path in (f"messages/{message.pk}", f"verifications/{token.pk}"):
        answer = client.get(f"/partners/v1/{path}", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200, answer.content
        text = json.dumps(answer.json(), ensure_ascii=False)
        assert not [each for each in secrets_of() if each in text]
        assert answer.json()["reason"] in {None, *Reason}


@pytest.mark.parametrize("to", ["DELIVERED", "UNDELIVERED"])
def test_no_event_holds_what_a_provider_reported(to):
    _, message, _ = everything_of_a_partner("SENT")
    Message.objects.filter(pk=message.pk).update(handed_over_at=timezone.now(), provider="")
    params = {"message": message.pk, "name": "Zqname", "spellings": []}
    assert move(to, transitions_sql.APPLY_REPORT, params, at=timezone.now(), detail="Zqdetail 30003 Ana Pérez")
    event = PartnerEvent.objects.get()
    text = json.dumps(event.data, ensure_ascii=False) + event.subject
    assert "Zq" not in text
    assert "30003" not in text
    assert event.data.get("reason") == ("not_deliverable" if to == "UNDELIVERED" else None)


def test_the_event_of_a_refused_code_holds_a_word_and_not_the_reply():
    token, message, _ = everything_of_a_partner("FAILED")
    VerificationToken.objects.filter(pk=token.pk).update(outcome="PENDIENTE", finished_at=None)
    sweeper.give_back([Moved(message.pk, "verificacion", token.pk)], "FAILED", timezone.now())
    event = PartnerEvent.objects.get()
    assert (event.type, event.data["reason"]) == ("verification.failed", "refused")
    assert not [each for each in secrets_of() if each in json.dumps(event.data)]
