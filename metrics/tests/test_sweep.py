"""Counts of settled rows: each once, late ones too, whatever retention and erasure do in between."""

from datetime import timedelta

import pytest
from django.db import connections

from conftest import NOW, at_once, make_applicant
from messaging.models import MessageEvent
from metrics import folding, retention, sweep
from metrics.catalog import CODES, DELIVERED, HAND_OVER, MESSAGES, VERIFIED
from metrics.models import Mark, MetricMinute, MetricTotal
from tests.factories import MessageEventFactory, MessageFactory, VerificationTokenFactory

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def gateways(settings):
    settings.SANDBOX = True
    settings.AVAL_GATEWAYS = {via: ("sandbox://",) for via in "SWIC"}


def total(metric, **labels):
    rows = MetricTotal.objects.filter(metric=metric.name, labels__contains=labels)
    return sum(row.count for row in rows)


def event(state, *, after=0, attempt=1, provider="sandbox", message=None, **fields):
    message = message or MessageFactory(state="SENT", created_at=NOW, via="S", **fields)
    return MessageEventFactory(
        message=message, state=state, attempt=attempt, provider=provider, at=NOW + after * SECOND, detail=""
    )


def begin():
    sweep.sweep(at=NOW)


def test_the_first_sweep_counts_no_history():
    event("SENT")
    begin()
    assert MetricTotal.objects.count() == 0


def test_changes_of_messages_are_counted_once_by_via_provider_and_state():
    begin()
    event("SENT")
    event("FAILED", provider="")
    event("SENT", provider="twilio:S:+12025550123")
    for _ in range(3):
        sweep.sweep(at=NOW + 10 * SECOND)
    assert total(MESSAGES, via="S", provider="sandbox", state="SENT") == 1
    assert total(MESSAGES, provider="none", state="FAILED") == 1
    assert total(MESSAGES, provider="other", state="SENT") == 1, "a provider that is not in the settings has no name"
    assert total(MESSAGES) == 3


def test_the_times_of_a_code_go_into_their_buckets():
    begin()
    event("SENDING", after=1.5)
    event("SENDING", after=31, attempt=2)
    event("DELIVERED", after=4)
    sweep.sweep(at=NOW + 40 * SECOND)
    assert (total(HAND_OVER), total(HAND_OVER, le="2.0")) == (1, 1), "the first hand-over alone"
    assert (total(DELIVERED), total(DELIVERED, le="5.0")) == (1, 1)
    assert MetricTotal.objects.get(metric=HAND_OVER.name).sum == pytest.approx(1.5)


@pytest.mark.parametrize("state", ["EXPIRED", "FAILED"])
def test_a_code_that_was_never_handed_over_is_beyond_every_bucket(state):
    begin()
    event(state, after=1, attempt=0)
    sweep.sweep(at=NOW + 10 * SECOND)
    assert (total(HAND_OVER), total(HAND_OVER, le="+Inf")) == (1, 1)


def test_a_bulletin_has_no_times():
    begin()
    event("SENDING", after=1, kind="boletin")
    sweep.sweep(at=NOW + 10 * SECOND)
    assert (total(MESSAGES), total(HAND_OVER)) == (1, 0)


@pytest.mark.usefixtures("no_other_writers")
def test_a_test_twin_is_in_no_figure(twin):
    begin()
    event("SENT", partner=twin.partner)
    sweep.sweep(at=NOW + 10 * SECOND)
    assert MetricTotal.objects.count() == 0


def code(after=0, outcome="VALIDADO"):
    applicant = make_applicant(f"{40000000 + after}")
    return VerificationTokenFactory(applicant=applicant, created_at=NOW + after * SECOND, outcome=outcome)


def sweeps(*seconds):
    for each in seconds:
        sweep.sweep(at=NOW + each * SECOND)


@pytest.mark.usefixtures("no_other_writers")
def test_codes_are_counted_when_all_of_their_time_are_closed():
    begin()
    code(1)
    code(2, "SIN_RESPUESTA")
    sweeps(100, 110)
    assert total(CODES) == 0, "they may still be verified"
    sweeps(300, 310, 320)
    assert (total(CODES, outcome="VALIDADO"), total(CODES, outcome="SIN_RESPUESTA")) == (1, 1)
    assert total(VERIFIED, le="20.0") == 1


@pytest.mark.usefixtures("no_other_writers")
def test_a_code_that_is_closed_late_is_not_lost():
    begin()
    late = code(1, "PENDIENTE")
    code(2)
    sweeps(300, 310, 320)
    assert total(CODES) == 0
    late.outcome, late.finished_at = "SIN_RESPUESTA", NOW + 500 * SECOND
    late.save()
    sweeps(510, 520)
    assert total(CODES) == 2


@pytest.mark.usefixtures("no_other_writers")
def test_codes_after_an_outage_of_hours_are_all_counted():
    begin()
    for hour in range(4):
        code(hour * 3600 + 5)
    sweeps(*range(20_000, 20_500, 10))
    assert total(CODES) == 4


def scraped():
    return {(row.metric, str(row.labels)): (row.count, row.sum) for row in MetricTotal.objects.all()}


@pytest.mark.usefixtures("no_other_writers")
def test_totals_never_fall_whatever_is_erased_folded_and_removed():
    begin()
    made = [event("SENT", after=n) for n in range(5)]
    sweeps(10)
    before = scraped()
    MessageEvent.objects.filter(pk__in=[each.pk for each in made[:3]]).update(detail="borrado")  # as an erasure does
    MessageEvent.objects.filter(pk=made[0].pk).delete()  # as retention does
    folding.fold(at=NOW + 3 * DAY, seconds=5)
    assert MetricMinute.objects.filter(is_hour=False).count() == 0
    assert sum(MetricMinute.objects.values_list("count", flat=True)) == 5
    for rule in retention.RULES:
        rule.batch(at=NOW + 100 * DAY)
    assert MetricMinute.objects.count() == 0
    sweep.sweep(at=NOW + 100 * DAY)
    assert scraped() == before, "and an event that was blanked is not counted a second time"


def test_minutes_of_the_last_six_hours_are_not_folded():
    begin()
    event("SENT")
    sweeps(10)
    assert folding.fold(at=NOW + timedelta(hours=6), seconds=5) == 0
    assert MetricMinute.objects.get().at == NOW


def test_a_restored_database_is_not_counted_again():
    begin()
    event("SENT")
    sweeps(10)
    Mark.objects.filter(name="message_events").update(origin="another server", position=0, missing=[])
    sweeps(20, 30)
    assert total(MESSAGES) == 1


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_behind_the_mark_is_counted():
    message = MessageFactory(state="SENT", created_at=NOW, via="S")
    begin()
    other = connections.create_connection("default")
    insert = (
        "INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)"
        " VALUES (%s, %s, 'SENDING', 1, '', '')"
    )
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(insert, [message.pk, NOW])  # has its id, and is not visible
        event("SENT", message=message)
        sweeps(10)
        assert total(MESSAGES) == 1
        sweeps(200)
        other.commit()
    finally:
        other.close()
    sweeps(210, 220)
    assert (total(MESSAGES), total(MESSAGES, state="SENDING")) == (2, 1)


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_count_once():
    begin()
    for n in range(20):
        event("SENT", after=n)
    at_once([lambda: sweep.count_messages(at=NOW + 10 * SECOND)] * 4)
    assert total(MESSAGES) == 20


def test_a_sweep_that_breaks_off_counts_nothing_and_moves_no_mark(monkeypatch):
    begin()
    event("SENT")

    def broken(*args):
        raise RuntimeError("broken off")

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "keep", broken)
        with pytest.raises(RuntimeError):
            sweep.count_messages(at=NOW + 10 * SECOND)
    assert MetricTotal.objects.count() == 0
    sweeps(20)
    assert total(MESSAGES) == 1
