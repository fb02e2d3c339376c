"""A campaign of which some mails have left, some wait and some are not made yet; for tests of restores."""

from collections import Counter

import pytest
from django.utils import timezone

from messaging.campaigns import lifecycle
from messaging.delivery import bulk, send, sweeper
from messaging.models import Campaign, Message
from messaging.tests.campaign_steps import campaign, launch, subscriber
from messaging.twins import routing
from tests.factories import PartnerFactory
from tests.gateways import FakeGateway

CLIENTS, BEFORE = 30, 10
"""Recipients of the campaign, and those who got their mail at first."""


def record_mails(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Everything that a provider was asked to send; it is outside the database."""
    gateway = FakeGateway("correo")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [gateway])
    return gateway.messages


def begin(mails: list[Message], monkeypatch: pytest.MonkeyPatch) -> Campaign:
    partner = PartnerFactory(name="Uno")
    for number in range(CLIENTS):
        subscriber(partner, f"c{number}@dominio.com")
    one = campaign()
    one.partners.add(partner)
    monkeypatch.setattr(lifecycle, "BATCH_SIZE", BEFORE)
    monkeypatch.setattr(lifecycle, "MAX_WAITING", BEFORE)
    monkeypatch.setattr(lifecycle, "refill", lambda *, at: None)
    launch(one)
    bulk.deliver_due()
    lifecycle.run(at=timezone.now())
    assert (len(mails), one.messages.filter(state="QUEUED").count()) == (BEFORE, BEFORE)
    return one


def go_on() -> None:
    """What processes do within a minute."""
    for _ in range(5):
        sweeper.sweep(at=timezone.now())
        lifecycle.run(at=timezone.now())
        while bulk.deliver_due():
            pass
        send.deliver_due("codes")


def times_mailed(mails: list[Message]) -> Counter[str]:
    return Counter(message.recipient for message in mails)
