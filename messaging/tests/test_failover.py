"""Failover: choice of a provider, and opening, trial and closing of its circuit, by itself and by staff."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from clients.models import AuditEntry
from messaging.delivery import failover
from messaging.delivery import send as delivery
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.models import Message, MessageEvent, ProviderEvent, ProviderState
from messaging.tests.queued import queue
from messaging.twins import routing
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db

NO_CONNECTION = GatewayError("no hay conexión", permanent=False)


@pytest.fixture
def two(monkeypatch):
    made = [FakeGateway("primero"), FakeGateway("segundo")]
    monkeypatch.setattr(routing, "gateways_for", lambda via: made)
    return made


def send(number=1):
    for _ in range(number):
        message = queue()
        delivery.deliver_due("codes")
        while Message.objects.filter(pk=message.pk, state="QUEUED").exists():
            Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())
            delivery.deliver_due("codes")


def chosen(two, message, *, at):
    gateway, call = failover.choose_provider(two, message, at=at)
    call.ended(failed=None)
    return gateway.name


def open_circuit_of(name="primero"):
    return ProviderState.objects.filter(name=name, set_aside_at__isnull=False).first()


def later(seconds, name="primero"):
    """Set the end of the provider's backoff to `seconds` from now."""
    ProviderState.objects.filter(name=name).update(until=timezone.now() + timedelta(seconds=seconds))
    failover.local.read_at = float("-inf")


def test_three_failures_set_a_provider_aside_with_a_dated_reason_and_the_rest_goes_to_the_other(two):
    two[0].answers = [NO_CONNECTION] * 9
    send(5)
    assert (len(two[0].got), len(two[1].got)) == (3, 5)
    state = open_circuit_of()
    assert state.reason == "3 fallas seguidas"
    assert timezone.now() - state.set_aside_at < timedelta(seconds=5)
    assert 25 < (state.until - timezone.now()).total_seconds() <= 30
    [event] = ProviderEvent.objects.all()
    assert (event.provider, event.what, event.by) == ("primero", "set_aside", "")
    assert not Message.objects.exclude(state="SENT").exists()


@pytest.mark.parametrize("answer", [OutcomeUnknown("silencio"), RuntimeError("boom")])
def test_silence_and_faults_count_refusals_of_a_recipient_and_throttling_do_not(two, answer, monkeypatch):
    monkeypatch.setattr(delivery, "THROTTLE_PAUSE", timedelta(0))
    two[0].answers = [answer] * 3
    send(3)
    assert open_circuit_of() is not None
    two[1].answers = [GatewayError("550", permanent=True)] * 9
    send(9)
    assert open_circuit_of("segundo") is None
    two[1].answers = [GatewayError("429", permanent=False, throttled=True)] * 3
    for _ in range(3):
        failover.local.paused_until.clear()
        send()
    assert open_circuit_of("segundo") is None


def test_after_the_backoff_one_message_tries_the_provider_and_success_closes_the_circuit(two):
    two[0].answers = [NO_CONNECTION] * 3
    send(3)
    later(-1)
    before = len(two[0].got)
    send(1)
    assert len(two[0].got) == before + 1
    assert open_circuit_of() is None
    assert [each.what for each in ProviderEvent.objects.order_by("id")] == ["set_aside", "restored"]
    send(2)
    assert len(two[0].got) == before + 3


def test_a_failed_trial_doubles_the_backoff_and_the_code_goes_to_another_provider(two):
    two[0].answers = [NO_CONNECTION] * 5
    send(3)
    for expected in (60, 120):
        later(-1)
        send(1)
        left = (open_circuit_of().until - timezone.now()).total_seconds()
        assert expected - 5 < left <= expected
    assert Message.objects.filter(state="SENT").count() == 5
    ProviderState.objects.update(in_a_row=50)
    later(-1)
    two[0].answers = [NO_CONNECTION]
    send(1)
    assert (open_circuit_of().until - timezone.now()).total_seconds() <= 600


def test_of_many_messages_one_at_a_time_is_the_trial(two):
    failover.open_circuit("primero", "prueba", at=timezone.now())
    later(-1)
    at = timezone.now()
    first, second = queue(), queue()
    assert chosen(two, first, at=at) == "primero"
    assert chosen(two, second, at=at) == "segundo"
    assert chosen(two, second, at=at + failover.TRIAL_LEASE + timedelta(seconds=1)) == "primero"


def test_when_all_circuits_are_open_the_preferred_provider_is_called_nevertheless(two):
    for each in two:
        failover.open_circuit(each.name, "prueba", at=timezone.now())
    send(1)
    assert len(two[0].got) == 1
    assert open_circuit_of() is None, "and if it answers, it is back"


def test_a_circuit_that_staff_open_stays_open_until_staff_close_it(two):
    now = timezone.now()
    failover.open_circuit("primero", "factura en disputa", at=now, by="ana", address="192.0.2.7")
    assert open_circuit_of().until is None
    assert chosen(two, queue(), at=now + timedelta(days=30)) == "segundo"
    two[1].answers = [NO_CONNECTION] * 30
    send(2)
    assert open_circuit_of() is not None, "a good answer in need does not overrule a person"
    assert failover.restore("primero", at=now, by="ana", reason="pagada")
    assert not failover.restore("primero", at=now, by="ana")
    assert [each.action for each in AuditEntry.objects.order_by("id")] == ["provider.set_aside", "provider.restored"]
    assert AuditEntry.objects.first().reason == "factura en disputa"


def test_a_provider_without_a_free_slot_is_skipped(two):
    calls = [failover.begin("primero") for _ in range(failover.CALLS_PER_PROVIDER)]
    assert chosen(two, queue(), at=timezone.now()) == "segundo"
    del two[1]
    message = queue()
    delivery.deliver_due("codes")
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("QUEUED", 0)
    assert 0.2 < (message.next_attempt_at - timezone.now()).total_seconds() <= 0.5
    event = MessageEvent.objects.filter(message=message).last()
    assert event.detail == "los proveedores están ocupados"
    for call in calls:
        call.ended(failed=False)
    assert chosen(two, message, at=timezone.now()) == "primero"


def test_a_silent_provider_is_set_aside_while_its_calls_still_hang(two):
    calls = [failover.begin("primero") for _ in range(3)]
    for window in failover.local.windows.values():
        window.running = {number: time.monotonic() - 3.1 for number in window.running}
    assert chosen(two, queue(), at=timezone.now()) == "segundo"
    assert open_circuit_of().reason == "3 envíos sin respuesta desde hace más de 3 s"
    assert calls


def test_other_workers_see_an_open_circuit_within_a_second(two):
    chosen(two, queue(), at=timezone.now())
    ProviderState.objects.create(
        name="primero", set_aside_at=timezone.now(), until=timezone.now() + timedelta(seconds=30), reason="otro"
    )
    failover.local.read_at -= failover.CACHE_SECONDS
    assert chosen(two, queue(), at=timezone.now()) == "segundo"


def test_the_second_try_asks_the_other_one_even_where_both_are_well(two):
    two[0].answers = [GatewayError("450", permanent=False)]
    send(1)
    assert [len(each.got) for each in two] == [1, 1]
