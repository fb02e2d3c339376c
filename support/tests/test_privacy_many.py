"""Erasure of a person with more messages than one statement takes."""

from uuid import UUID, uuid4

import pytest

import messaging.retention
from conftest import NOW
from messaging.models import Message, MessageEvent, ProviderReceipt
from messaging.retention import MessageBeingSent
from tests.factories import MessageEventFactory, MessageFactory

pytestmark = pytest.mark.django_db
MORE_THAN_A_STATEMENT_TAKES = 65_536
"""PostgreSQL binds 65,535 parameters at most."""


def message(number, state="SENT"):
    made = MessageFactory(
        id=UUID(int=number),
        kind="alerta",
        via="C",
        recipient="ana@dominio.com",
        state=state,
        handed_over_at=NOW if state == "SENDING" else None,
        provider="smtp",
        provider_id=f"id-{number}",
        created_at=NOW,
    )
    MessageEventFactory(message=made, state="SENT", detail="250 ok <ana@dominio.com>")
    ProviderReceipt.objects.create(provider="smtp", provider_id=made.provider_id, state="DELIVERED", at=NOW)
    return made.pk


def test_more_messages_than_one_statement_takes_are_erased():
    real = [message(number) for number in (1, 2**127)]  # the first and the last of their order
    others = [uuid4() for _ in range(MORE_THAN_A_STATEMENT_TAKES)]
    assert messaging.retention.erase([real[1], *others, real[0]], to=[], at=NOW) == 2
    assert set(Message.objects.values_list("recipient", "provider_id")) == {("", "")}
    assert set(MessageEvent.objects.values_list("detail", flat=True)) == {""}
    assert not ProviderReceipt.objects.exists()


def test_the_messages_of_every_batch_are_cancelled_or_blanked(monkeypatch):
    monkeypatch.setattr(messaging.retention, "BATCH", 3)
    ids = [message(number, "SENT" if number % 2 else "QUEUED") for number in range(1, 11)]
    assert messaging.retention.erase(ids, to=[], at=NOW) == 10
    assert Message.objects.filter(state="CANCELLED").count() == 5
    assert not Message.objects.exclude(recipient="").exists()


@pytest.mark.parametrize("place", [1, 10])
def test_a_message_with_a_provider_in_any_batch_stops_the_erasure(monkeypatch, place):
    monkeypatch.setattr(messaging.retention, "BATCH", 3)
    ids = [message(number, "SENDING" if number == place else "SENT") for number in range(1, 11)]
    with pytest.raises(MessageBeingSent):
        messaging.retention.erase(ids, to=[], at=NOW)
