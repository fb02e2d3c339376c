"""Counters between two scrapes: they never fall, whatever the retention and an erasure do meanwhile."""

from datetime import timedelta

import pytest
from django.db import transaction
from prometheus_client.parser import text_string_to_metric_families

import messaging.retention
from conftest import NOW, make_applicant
from messaging.models import Message, MessageEvent
from metrics import folding, sweep
from metrics.scrape import scraped
from support.privacy import retention
from tests.factories import MessageEventFactory, MessageFactory, VerificationTokenFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_other_writers")]
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
COUNTED = ("_total", "_bucket", "_count", "_sum")


def counters():
    families = text_string_to_metric_families(scraped("")[0].decode())
    samples = [each for family in families for each in family.samples if each.name.endswith(COUNTED)]
    return {(each.name, str(sorted(each.labels.items()))): each.value for each in samples}


def sweeps(*seconds):
    for each in seconds:
        sweep.sweep(at=NOW + each * SECOND)


@pytest.fixture
def counted(settings):
    """Messages and codes that were settled and counted."""
    settings.SANDBOX = True
    settings.AVAL_GATEWAYS = {via: ("sandbox://",) for via in "SWIC"}
    sweeps(0)
    token = VerificationTokenFactory(applicant=make_applicant(), created_at=NOW, outcome="VALIDADO")
    message = MessageFactory(sent=True, created_at=NOW, reference=token.pk)
    for state in ("SENDING", "SENT", "DELIVERED"):
        MessageEventFactory(message=message, state=state, at=NOW + SECOND, provider="sandbox", detail="a 987654321")
    sweeps(10, 300, 310, 320)
    return message


def test_they_stand_still_while_an_erasure_blanks_what_was_just_counted(counted):
    before = counters()
    assert {name for name, _ in before} >= {"aval_messages_total", "aval_codes_total", "aval_code_handover_seconds_sum"}
    with transaction.atomic():
        messaging.retention.erase([counted.pk], to=["987654321"], at=NOW + 330 * SECOND)
    assert Message.objects.get(pk=counted.pk).recipient == ""
    assert set(MessageEvent.objects.values_list("detail", flat=True)) == {""}
    sweeps(330, 340, 600)
    assert counters() == before


def test_they_stand_still_while_the_retention_removes_rows_and_minutes(counted):
    before = counters()
    later = NOW + 800 * DAY
    folding.fold(at=NOW + 3 * DAY, seconds=5)
    done = retention.run(at=later, seconds=30)
    assert {"codes", "metric_minutes"} <= set(done)
    assert not MessageEvent.objects.exists(), "with the code's message"
    sweep.sweep(at=later)
    assert counters() == before


def test_what_comes_afterwards_is_added(counted):
    before = counters()
    retention.run(at=NOW + 800 * DAY, seconds=30)
    MessageEventFactory(message=MessageFactory(created_at=NOW), state="SENT", provider="sandbox")
    sweeps(400, 410)
    after = counters()
    assert {name: value - before[name] for name, value in after.items() if value != before.get(name)} == {
        ("aval_messages_total", "[('provider', 'sandbox'), ('state', 'SENT'), ('via', 'S')]"): 1
    }
