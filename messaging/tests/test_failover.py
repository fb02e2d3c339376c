"""Which provider gets a message: set aside, probed, restored, passed over, asked to wait; by itself and by staff."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from clients.models import AuditEntry
from messaging.delivery import failover
from messaging.delivery import send as delivery
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.models import Message, MessageEvent, ProviderEvent, ProviderState
from messaging.tests.test_delivery import Provider, queue

pytestmark = pytest.mark.django_db

AWAY = GatewayError("no hay conexión", permanent=False)


@pytest.fixture
def two(monkeypatch):
    made = [Provider("primero"), Provider("segundo")]
    monkeypatch.setattr(delivery, "gateways_for", lambda via: made)
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


def aside(name="primero"):
    return ProviderState.objects.filter(name=name, set_aside_at__isnull=False).first()


def later(seconds, name="primero"):
    """The clock of the row, turned back: its time is up in `seconds`."""
    ProviderState.objects.filter(name=name).update(until=timezone.now() + timedelta(seconds=seconds))
    failover.local.read_at = float("-inf")


def test_three_failures_set_a_provider_aside_with_a_dated_reason_and_the_rest_goes_to_the_other(two):
    two[0].answers = [AWAY] * 9
    send(5)
    assert (len(two[0].got), len(two[1].got)) == (3, 5)
    state = aside()
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
    assert aside() is not None
    two[1].answers = [GatewayError("550", permanent=True)] * 9
    send(9)
    assert aside("segundo") is None
    two[1].answers = [GatewayError("429", permanent=False, throttled=True)] * 3
    for _ in range(3):
        failover.local.paused_until.clear()
        send()
    assert aside("segundo") is None


def test_when_its_time_is_up_one_message_tries_it_and_success_brings_it_back(two):
    two[0].answers = [AWAY] * 3
    send(3)
    later(-1)
    before = len(two[0].got)
    send(1)
    assert len(two[0].got) == before + 1
    assert aside() is None
    assert [each.what for each in ProviderEvent.objects.order_by("id")] == ["set_aside", "restored"]
    send(2)
    assert len(two[0].got) == before + 3


def test_a_probe_that_fails_keeps_it_away_twice_as_long_and_the_code_goes_elsewhere(two):
    two[0].answers = [AWAY] * 5
    send(3)
    for expected in (60, 120):
        later(-1)
        send(1)
        left = (aside().until - timezone.now()).total_seconds()
        assert expected - 5 < left <= expected
    assert Message.objects.filter(state="SENT").count() == 5
    ProviderState.objects.update(in_a_row=50)
    later(-1)
    two[0].answers = [AWAY]
    send(1)
    assert (aside().until - timezone.now()).total_seconds() <= 600


def test_of_many_messages_one_at_a_time_probes(two):
    failover.open_circuit("primero", "prueba", at=timezone.now())
    later(-1)
    at = timezone.now()
    first, second = queue(), queue()
    assert chosen(two, first, at=at) == "primero"
    assert chosen(two, second, at=at) == "segundo"
    assert chosen(two, second, at=at + failover.TRIAL_LEASE + timedelta(seconds=1)) == "primero"


def test_when_all_are_set_aside_the_preferred_one_is_asked_all_the_same(two):
    for each in two:
        failover.open_circuit(each.name, "prueba", at=timezone.now())
    send(1)
    assert len(two[0].got) == 1
    assert aside() is None, "and if it answers, it is back"


def test_what_staff_sets_aside_stays_until_staff_restores_it(two):
    now = timezone.now()
    failover.open_circuit("primero", "factura en disputa", at=now, by="ana", address="192.0.2.7")
    assert aside().until is None
    assert chosen(two, queue(), at=now + timedelta(days=30)) == "segundo"
    two[1].answers = [AWAY] * 30
    send(2)
    assert aside() is not None, "a good answer in need does not overrule a person"
    assert failover.restore("primero", at=now, by="ana", reason="pagada")
    assert not failover.restore("primero", at=now, by="ana")
    assert [each.action for each in AuditEntry.objects.order_by("id")] == ["provider.set_aside", "provider.restored"]
    assert AuditEntry.objects.first().reason == "factura en disputa"


def test_a_provider_with_all_its_places_taken_is_passed_over(two):
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
    assert aside().reason == "3 envíos sin respuesta desde hace más de 3 s"
    assert calls


def test_other_workers_hear_of_it_within_a_second(two):
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
