"""Service levels by day: what was counted, and whether the objectives were reached."""

from datetime import date, timedelta

import pytest

from conftest import NOW
from metrics import catalog, gauges
from metrics import service_levels as levels
from metrics.counting import Counts, add
from metrics.models import ServiceDay
from tests.factories import MessageFactory, RecipientFeedbackFactory

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TODAY = date(2026, 2, 12)


def counted(at=NOW, seconds=(), statuses=(), mails=0):
    counts = Counts()
    for each in seconds:
        counts.observe(catalog.HAND_OVER, at, each, "S")
    for status in statuses:
        counts.observe(catalog.REQUESTS, at, 0.1, "registry", str(status))
    if mails:
        counts.count(catalog.MESSAGES, at, "C", "smtp", "SENDING", number=mails)
        counts.count(catalog.MESSAGES, at, "C", "smtp", "SENT", number=mails)
        counts.count(catalog.MESSAGES, at, "S", "smtp", "SENDING", number=mails)
    add(counts)
    levels.keep(at=NOW)
    return ServiceDay.objects.get(day=at.date())


def test_codes_count_by_the_time_to_their_hand_over_and_those_that_never_left_count_too():
    day = counted(seconds=[0.3, 2.0, 2.1, 10.0, 10.1, None])
    assert (day.codes, day.within_2s, day.within_10s) == (6, 2, 4)


def test_calls_count_and_only_5xx_are_faults():
    day = counted(statuses=[200, 404, 429, 500, 503])
    assert (day.calls, day.faults) == (5, 2)


def test_a_day_is_limas():
    late = NOW.replace(hour=4, minute=59)  # 23:59 of the day before in Lima
    counts = Counts()
    counts.observe(catalog.HAND_OVER, late, 1, "S")
    add(counts)
    levels.keep(at=NOW)
    assert ServiceDay.objects.get(day=TODAY - DAY).codes == 1
    assert ServiceDay.objects.get(day=TODAY).codes == 0


def test_a_day_is_counted_anew_and_an_old_one_stays():
    assert counted(seconds=[1]).codes == 1
    assert counted(seconds=[1]).codes == 2
    ServiceDay.objects.create(
        day=TODAY - 30 * DAY, codes=7, within_2s=7, within_10s=7, calls=0, faults=0, mails=0, bounces=0, complaints=0
    )
    levels.keep(at=NOW)
    assert ServiceDay.objects.get(day=TODAY - 30 * DAY).codes == 7


@pytest.mark.parametrize(
    ("good", "number", "is_kept"), [(99, 100, True), (989, 1000, False), (0, 0, True), (1, 1, True)]
)
def test_the_objective_of_two_seconds_is_99_percent(good, number, is_kept):
    assert levels.within_2s(ServiceDay(codes=number, within_2s=good)).is_kept == is_kept


@pytest.mark.parametrize(("good", "number", "is_kept"), [(999, 1000, True), (998, 1000, False)])
def test_the_objective_of_ten_seconds_is_99_9_percent(good, number, is_kept):
    assert levels.within_10s(ServiceDay(codes=number, within_10s=good)).is_kept == is_kept


@pytest.mark.parametrize(("faults", "calls", "is_kept"), [(4, 10_000, True), (5, 10_000, False), (0, 0, True)])
def test_faults_must_be_less_than_a_twentieth_of_a_percent(faults, calls, is_kept):
    assert levels.faults(ServiceDay(calls=calls, faults=faults)).is_kept == is_kept


def test_complaints_and_bounces_are_shares_of_the_mails_handed_over():
    message = MessageFactory(via="C", kind="boletin")
    RecipientFeedbackFactory(message=message, kind="COMPLAINT", at=NOW)
    RecipientFeedbackFactory(message=message, kind="HARD_BOUNCE", at=NOW)
    RecipientFeedbackFactory(message=message, kind="UNSUBSCRIBED", at=NOW)
    day = counted(mails=1000)
    assert (day.mails, day.complaints, day.bounces) == (1000, 1, 1)
    found = gauges.read_all(at=NOW).values
    assert (found[gauges.COMPLAINTS][()], found[gauges.BOUNCES][()]) == (0.001, 0.001)


def test_few_mails_are_not_judged():
    RecipientFeedbackFactory(message=MessageFactory(via="C"), kind="COMPLAINT", at=NOW)
    counted(mails=499)
    assert levels.mail_ratios(at=NOW) == (0.0, 0.0)


def test_an_erased_mailbox_stays_counted():
    feedback = RecipientFeedbackFactory(message=MessageFactory(via="C"), kind="COMPLAINT", at=NOW)
    counted(mails=1000)
    feedback.mailbox = ""
    feedback.save()
    assert counted().complaints == 1
