"""Delivery receipts: before our own record, twice, out of order, about unknown messages."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from messaging.delivery import receipts, send, sweeper
from messaging.delivery.receipts import Report
from messaging.gateways.base import Receipt
from messaging.models import MessageEvent, ProviderReceipt
from messaging.tests.queued import queue
from messaging.twins import routing
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(monkeypatch):
    made = FakeGateway("twilio:S:+1202")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [made])
    return made


def sent(provider):
    provider.answers = [Receipt("SM1", "queued")]
    message = queue()
    send.deliver_due("codes")
    return message


def report(state="DELIVERED", provider_id="SM1", **changes):
    return Report(**{"provider": "twilio", "provider_id": provider_id, "state": state, **changes})


def state_of(message):
    message.refresh_from_db()
    return message.state


@pytest.mark.parametrize("by_our_id", [True, False])
@pytest.mark.parametrize("state", ["DELIVERED", "UNDELIVERED"])
def test_a_report_settles_its_message(provider, state, by_our_id):
    message = sent(provider)
    other = queue()
    provider.answers = [Receipt("SM2", "queued")]
    send.deliver_due("codes")
    at = timezone.now()
    ours = message.pk if by_our_id else None
    assert receipts.receive(report(state, detail="apagado", message_id=ours), at=at)
    assert state_of(message) == state
    assert state_of(other) == "SENT"
    assert message.delivered_at == (at if state == "DELIVERED" else None)
    assert MessageEvent.objects.filter(message=message).last().detail == "apagado"


def test_twice_is_once(provider):
    message = sent(provider)
    assert receipts.receive(report(), at=timezone.now())
    assert not receipts.receive(report(), at=timezone.now())
    assert MessageEvent.objects.filter(message=message, state="DELIVERED").count() == 1
    assert ProviderReceipt.objects.count() == 1


def test_the_first_final_state_is_kept(provider):
    message = sent(provider)
    receipts.receive(report("DELIVERED"), at=timezone.now())
    assert not receipts.receive(report("UNDELIVERED"), at=timezone.now())
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize("by_our_id", [True, False])
def test_better_news_wins(provider, by_our_id):
    message = sent(provider)
    ours = message.pk if by_our_id else None
    assert receipts.receive(report("UNDELIVERED", detail="buzón lleno", message_id=ours), at=timezone.now())
    assert message.delivered_at is None
    at = timezone.now()
    assert receipts.receive(report("DELIVERED", message_id=ours), at=at)
    assert state_of(message) == "DELIVERED"
    assert message.delivered_at == at
    assert not receipts.receive(report("UNDELIVERED", message_id=ours), at=timezone.now())
    assert state_of(message) == "DELIVERED"
    assert [event.state for event in MessageEvent.objects.filter(message=message).order_by("id")] == [
        "SENDING",
        "SENT",
        "UNDELIVERED",
        "DELIVERED",
    ]


@pytest.mark.parametrize("order", [("UNDELIVERED", "DELIVERED"), ("DELIVERED", "UNDELIVERED")])
def test_better_news_wins_before_our_record_too_in_whatever_order_it_comes(provider, order):
    [claimed] = (queue() and send.claim("codes", at=timezone.now()),)[0]
    assert send.hand_over(claimed, provider, at=timezone.now())
    for state in order:
        receipts.receive(report(state), at=timezone.now())
    send.record_taken([(claimed, Receipt("SM1", "queued"))], at=timezone.now())
    assert state_of(claimed) == "DELIVERED"


def test_one_that_comes_before_our_record_counts_when_we_have_written_it(provider):
    [claimed] = (queue() and send.claim("codes", at=timezone.now()),)[0]
    assert send.hand_over(claimed, provider, at=timezone.now())
    assert not receipts.receive(report(), at=timezone.now()), "SM1 is not recorded yet"
    send.record_taken([(claimed, Receipt("SM1", "queued"))], at=timezone.now())
    assert state_of(claimed) == "DELIVERED"


def test_one_with_our_own_id_need_not_wait_for_our_record(provider):
    [claimed] = (queue() and send.claim("codes", at=timezone.now()),)[0]
    assert send.hand_over(claimed, provider, at=timezone.now())
    assert receipts.receive(report(message_id=claimed.pk), at=timezone.now())
    assert state_of(claimed) == "DELIVERED"
    send.record_taken([(claimed, Receipt("SM1", "queued"))], at=timezone.now())
    assert state_of(claimed) == "DELIVERED", "the record comes too late and changes nothing"


def test_what_was_unknown_is_known_by_its_report(provider):
    [claimed] = (queue() and send.claim("codes", at=timezone.now()),)[0]
    assert send.hand_over(claimed, provider, at=timezone.now())
    sweeper.sweep(at=timezone.now() + timedelta(seconds=31))
    assert state_of(claimed) == "UNKNOWN"
    receipts.receive(report(message_id=claimed.pk), at=timezone.now())
    assert state_of(claimed) == "DELIVERED"


def test_a_report_on_an_unknown_message_is_kept_and_expires(provider):
    message = sent(provider)
    assert not receipts.receive(report(provider_id="SM999"), at=timezone.now())
    assert not receipts.receive(report(provider="postmark"), at=timezone.now()), "another provider's SM1"
    assert state_of(message) == "SENT"


def test_a_message_that_never_left_takes_no_report(provider):
    message = queue()
    assert not receipts.receive(report(message_id=message.pk), at=timezone.now())
    assert state_of(message) == "QUEUED"


@pytest.mark.django_db(transaction=True)
def test_record_and_report_at_the_same_moment_never_miss_each_other(provider):
    for number in range(20):
        [claimed] = (queue() and send.claim("codes", at=timezone.now()),)[0]
        send.hand_over(claimed, provider, at=timezone.now())
        gate = threading.Barrier(2)

        def record(claimed=claimed, number=number, gate=gate):
            gate.wait()
            send.record_taken([(claimed, Receipt(f"SM{number}", "queued"))], at=timezone.now())
            connection.close()

        def report_it(number=number, gate=gate):
            gate.wait()
            receipts.receive(report(provider_id=f"SM{number}"), at=timezone.now())
            connection.close()

        both = [threading.Thread(target=act) for act in (record, report_it)]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert state_of(claimed) == "DELIVERED"
