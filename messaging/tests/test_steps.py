"""A sweep runs all its steps, even if one fails."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from messaging import steps
from messaging.campaigns import lifecycle
from messaging.delivery import sweeper
from messaging.models import Message
from tests.factories import CampaignFactory, MessageFactory

pytestmark = pytest.mark.django_db


def fails(*_, **__):
    raise DatabaseError("canceling statement due to statement timeout")


def test_a_step_that_fails_keeps_no_other_from_its_work(monkeypatch, caplog):
    MessageFactory(send_before=timezone.now() - timedelta(seconds=1))
    MessageFactory(kind="boletin", via="C")
    wakeups = []
    monkeypatch.setattr(sweeper.wakeup, "wake", wakeups.append)
    monkeypatch.setattr(sweeper, "free_gateway_queues", fails)
    steps.failures.clear()
    for _ in range(2):
        sweeper.sweep(at=timezone.now())
    assert Message.objects.filter(state="EXPIRED").count() == 1
    assert wakeups == ["bulk", "bulk"], "the steps after it"
    said = [each for each in caplog.records if each.message == "a step of a sweep failed"]
    assert [(each.sweep, each.step, each.failures) for each in said] == [
        ("messaging.sweep", "lanes", 1),
        ("messaging.sweep", "lanes", 2),
    ]


def test_a_campaign_that_fails_holds_up_no_other(monkeypatch):
    at = timezone.now()
    made = CampaignFactory.create_batch(3, state="SENDING", fanned_out_at=at)
    waiting = lifecycle._waiting
    monkeypatch.setattr(lifecycle, "_waiting", lambda each: fails() if each.pk == made[1].pk else waiting(each))
    lifecycle.run(at=at)
    assert [each.state for each in lifecycle.Campaign.objects.order_by("pk")] == ["DONE", "SENDING", "DONE"]
