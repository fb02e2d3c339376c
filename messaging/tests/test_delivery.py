"""Claim, act, record: each step with a gateway of the test's own."""

from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from conftest import NOW
from messaging.delivery import failover as registry
from messaging.delivery import send as delivery
from messaging.delivery import sweeper
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.models import Message, MessageEvent, SandboxMessage
from messaging.queue import outbox, wakeup
from messaging.tests.queued import queue
from messaging.twins import routing
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def providers(monkeypatch):
    made = [FakeGateway("primero"), FakeGateway("segundo")]
    monkeypatch.setattr(routing, "gateways_for", lambda via: made)
    return made


def test_a_message_leaves_with_its_code_and_keeps_none(providers):
    message = queue()
    assert b"A1B2" not in bytes(message.sealed)
    assert delivery.deliver_due("codes") == 1
    assert providers[0].got == [("clave A1B2", message.id)]
    message.refresh_from_db()
    assert (message.state, message.attempts, message.provider, message.provider_id) == ("SENT", 1, "primero", "ref")
    assert message.sealed is None
    assert message.text == "clave ••••"
    assert message.sent_at is not None
    assert [event.state for event in MessageEvent.objects.order_by("id")] == ["SENDING", "SENT"]


def test_two_workers_never_claim_the_same_message(providers):
    queue()
    assert len(delivery.claim("codes", at=timezone.now())) == 1
    assert delivery.claim("codes", at=timezone.now()) == []


def test_a_claim_takes_ten_codes_the_oldest_first_and_a_full_one_wakes_another_worker(providers, monkeypatch):
    wakeups = []
    monkeypatch.setattr(wakeup, "wake_another", wakeups.append)
    made = [queue(at=timezone.now() - timedelta(seconds=30 - each)) for each in range(12)]
    assert delivery.deliver_due("codes") == 10
    assert wakeups == ["codes"]
    assert [each for _, each in providers[0].got] == [message.id for message in made[:10]]
    assert delivery.deliver_due("codes") == 2
    assert wakeups == ["codes"]


def test_a_refusal_for_now_goes_back_to_the_queue_and_on_to_the_next_provider(providers):
    message = queue()
    providers[0].answers = [GatewayError("451 later", permanent=False)]
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert message.state == "QUEUED"
    assert message.claim_id is None
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert (message.state, message.attempts, message.provider) == ("SENT", 2, "segundo")


@pytest.mark.parametrize(("number", "expected"), [(1, [5, 15, 30]), (2, [0, 5, 15, 30])])
def test_the_next_provider_at_once_then_again_after_5_15_and_30_seconds(providers, number, expected):
    del providers[number:]
    message = queue()
    for provider in providers:
        provider.answers = [GatewayError("451 later", permanent=False)] * 5
    waits = []
    for _ in range(len(expected) + 1):
        delivery.deliver_due("codes")
        message.refresh_from_db()
        waits.append((message.next_attempt_at - timezone.now()).total_seconds())
        Message.objects.update(next_attempt_at=timezone.now())
    for wait, least in zip(waits, expected, strict=False):
        assert least - 0.5 < wait <= least * 1.1, "a tenth of spread at most"
    assert (message.state, message.attempts) == ("FAILED", len(expected) + 1)
    assert [len(provider.got) for provider in providers] == ([4] if number == 1 else [3, 2])


def test_a_worker_paused_between_hand_over_and_call_sends_no_expired_code(providers, monkeypatch):
    message = queue()
    hand_over = delivery.hand_over_all

    def hand_over_and_sleep(*args, **more):
        done = hand_over(*args, **more)
        monkeypatch.setattr(delivery, "timezone", SimpleNamespace(now=lambda: message.send_before))
        return done

    monkeypatch.setattr(delivery, "hand_over_all", hand_over_and_sleep)
    assert delivery.deliver_due("codes") == 1
    assert [provider.got for provider in providers] == [[], []]
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("QUEUED", 0)
    sweeper.sweep(at=message.send_before)
    message.refresh_from_db()
    assert message.state == "EXPIRED"


def test_retry_after_is_honoured(providers):
    del providers[1:]
    message = queue()
    providers[0].answers = [GatewayError("503", permanent=False, retry_after=60)]
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert (message.next_attempt_at - timezone.now()).total_seconds() > 59


def test_waiting_for_a_rate_limit_costs_no_attempt(providers):
    del providers[1:]
    message = queue()
    for _ in range(9):
        providers[0].answers = [GatewayError("429", permanent=False, retry_after=2, throttled=True)]
        delivery.deliver_due("codes")
        message.refresh_from_db()
        assert (message.state, message.attempts) == ("QUEUED", 0)
        assert 1.5 < (message.next_attempt_at - timezone.now()).total_seconds() <= 2
        Message.objects.update(next_attempt_at=timezone.now())
        assert delivery.deliver_due("codes") == 1
        assert len(providers[0].got) == 1, "it asked us to wait, and we do, whatever is due"
        Message.objects.update(next_attempt_at=timezone.now())
        registry.local.paused_until.clear()
        providers[0].got.clear()
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("SENT", 1)


def test_while_one_provider_asks_us_to_wait_the_other_one_is_asked_at_once(providers):
    first, second = queue(), queue()
    providers[0].answers = [GatewayError("429", permanent=False, retry_after=60, throttled=True)]
    delivery.deliver_due("codes")
    delivery.deliver_due("codes")
    for message in (first, second):
        message.refresh_from_db()
        assert (message.state, message.provider, message.attempts) == ("SENT", "segundo", 1)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (GatewayError("550 no such user", permanent=True), "FAILED"),
        (OutcomeUnknown("cut after the body"), "UNKNOWN"),
        (ZeroDivisionError("a fault of the gateway's own code"), "UNKNOWN"),
    ],
)
def test_what_is_final_at_once(providers, answer, state):
    message = queue()
    providers[0].answers = [answer]
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert (message.state, message.sealed) == (state, None)
    assert "ZeroDivision" not in message.provider_reply
    assert delivery.deliver_due("codes") == 0


def test_a_code_that_expired_between_claim_and_hand_over_is_not_sent(providers):
    message = queue()
    [claimed] = delivery.claim("codes", at=timezone.now())
    Message.objects.update(send_before=timezone.now())
    delivery.deliver(claimed)
    assert providers[0].got == []
    sweeper.sweep(at=timezone.now())
    message.refresh_from_db()
    assert message.state == "EXPIRED"


def test_a_message_cancelled_after_its_claim_does_not_leave(providers):
    message = queue()
    [claimed] = delivery.claim("codes", at=timezone.now())
    assert len(outbox.cancel([message.reference], at=timezone.now(), detail="")) == 1
    delivery.deliver(claimed)
    assert providers[0].got == []


def test_a_worker_that_wakes_after_its_lease_overwrites_nothing(providers):
    queue()
    [first] = delivery.claim("codes", at=timezone.now())
    later = timezone.now() + delivery.LEASE + timedelta(seconds=1)
    sweeper.sweep(at=later)
    [second] = delivery.claim("codes", at=later)
    delivery.deliver(first)
    assert providers[0].got == [], "its claim is gone: it hands nothing over"
    delivery.deliver(second)
    assert len(providers[0].got) == 1


def test_a_hand_over_of_a_killed_worker_is_unknown_and_a_late_answer_of_its_claim_settles_it(providers):
    message = queue()
    [claimed] = delivery.claim("codes", at=timezone.now())
    assert delivery.hand_over(claimed, providers[0], at=timezone.now())
    sweeper.sweep(at=timezone.now() + timedelta(seconds=29))
    message.refresh_from_db()
    assert message.state == "SENDING"
    sweeper.sweep(at=timezone.now() + timedelta(seconds=31))
    message.refresh_from_db()
    assert (message.state, message.sealed) == ("UNKNOWN", None)
    sweeper.sweep(at=timezone.now() + timedelta(hours=1))
    assert delivery.deliver_due("codes") == 0, "never sent again by itself"
    delivery.record_taken([(claimed, Receipt("ref", "202"))], at=timezone.now())
    message.refresh_from_db()
    assert message.state == "SENT"


def test_a_lapsed_claim_that_was_never_handed_over_is_sent_by_another_worker(providers):
    message = queue()
    delivery.claim("codes", at=timezone.now())
    sweeper.sweep(at=timezone.now() + timedelta(seconds=4))
    assert delivery.deliver_due("codes") == 0
    sweeper.sweep(at=timezone.now() + timedelta(seconds=6))
    assert delivery.deliver_due("codes") == 1
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("SENT", 1), "a released claim costs no attempt"


def test_without_a_gateway_or_with_a_foreign_seal_a_message_fails_and_is_not_retried(providers, monkeypatch, settings):
    settings.SEAL_KEYS = [b"k" * 32]
    message = queue()
    settings.SEAL_KEYS = [b"z" * 32]
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert (message.state, message.provider_reply) == ("FAILED", "CannotUnseal")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [])
    message = queue()
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert message.state == "FAILED"


def test_the_sweep_wakes_workers_only_for_due_messages(monkeypatch):
    wakeups = []
    monkeypatch.setattr(wakeup, "wake", wakeups.append)
    sweeper.sweep(at=NOW)
    assert wakeups == []
    message = queue(at=NOW, send_before=NOW + timedelta(minutes=2))
    sweeper.sweep(at=NOW)
    assert wakeups == ["codes"]
    Message.objects.filter(pk=message.pk).update(next_attempt_at=NOW + timedelta(seconds=5))
    sweeper.sweep(at=NOW)
    assert wakeups == ["codes"]


@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_the_sandbox_delivers_every_via_to_its_outbox(via):
    queue(via=via, recipient="987654321" if via != "C" else "juan@example.com", html="<b>••••</b>")
    delivery.deliver_due("codes")
    assert SandboxMessage.objects.get().text == "clave A1B2"


@pytest.mark.django_db(transaction=True)
def test_a_session_that_went_while_the_provider_answered_costs_no_record(providers):
    """A real database connection that PostgreSQL ends from outside, as a restart or an operator does."""
    message = queue()

    def send(letter, secret):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return Receipt("ref", "250 ok")

    providers[0].send = send
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert (message.state, message.provider_id) == ("SENT", "ref")
