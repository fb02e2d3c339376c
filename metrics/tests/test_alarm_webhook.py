"""Alarms at ALARM_URL: signed, once, again where they were not taken, also without a database."""

import json
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier, BrokenBarrierError, Event

import pytest
from django.db import OperationalError
from standardwebhooks.webhooks import Webhook

from conftest import at_once, wait_until
from messaging.models import ProviderState
from metrics import alarm_webhook, gauges
from metrics.alarm_webhook import evaluate
from metrics.management.commands import serve_metrics
from metrics.models import AlarmState
from tests.factories import MessageFactory
from webhooks.signing import new_secret
from webhooks.tests.receiver import receiving

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
SECRET = new_secret()


@pytest.fixture
def at():
    return datetime.now(UTC)  # receivers refuse what is signed at another time


@pytest.fixture
def receiver(settings, monkeypatch):
    settings.SANDBOX = True
    settings.AVAL_GATEWAYS = {via: ("sandbox://",) for via in "SWIC"}
    settings.ALARM_SECRET = SECRET
    monkeypatch.setattr(alarm_webhook, "_remembered", {})
    with receiving() as found:
        settings.ALARM_URL = found.url
        yield found


def set_aside(at):
    ProviderState.objects.create(name="sandbox", set_aside_at=at)


def told(receiver):
    bodies = [json.loads(each.body) for each in receiver.received]
    return [(body["type"], body["data"]["alarm"]) for body in bodies]


def test_an_alarm_and_its_end_are_told_signed(receiver, at):
    assert evaluate(at=at) == 0
    set_aside(at)
    assert evaluate(at=at + SECOND) == 1
    ProviderState.objects.all().delete()
    assert evaluate(at=at + 2 * SECOND) == 1
    assert told(receiver) == [("alarm.firing", "AvalProviderSetAside"), ("alarm.resolved", "AvalProviderSetAside")]
    for each in receiver.received:
        Webhook(SECRET).verify(each.body, each.headers)
    body = json.loads(receiver.received[0].body)
    assert body["data"]["severity"] == "page"
    assert body["data"]["value"] == 1
    assert body["data"]["runbook"] == "docs/runbook.md#avalprovidersetaside"


def test_while_it_goes_on_it_is_told_every_four_hours(receiver, at):
    set_aside(at)
    for minutes in range(0, 481, 10):
        evaluate(at=at + timedelta(minutes=minutes))
    assert told(receiver) == [("alarm.firing", "AvalProviderSetAside")] * 3
    assert len(set(receiver.ids)) == 3


def test_what_was_not_taken_comes_again_a_minute_later_with_the_same_id(receiver, at):
    receiver.answer = 503
    set_aside(at)
    assert [evaluate(at=at + seconds * SECOND) for seconds in (0, 15, 30, 59)] == [0, 0, 0, 0]
    assert len(receiver.received) == 1
    receiver.answer = 204
    assert evaluate(at=at + 60 * SECOND) == 1
    assert len(receiver.received) == 2
    assert len(set(receiver.ids)) == 1


def test_a_receiver_that_cannot_be_reached_fails_nothing(settings, receiver, at):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        settings.ALARM_URL = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    set_aside(at)
    assert evaluate(at=at) == 0
    assert AlarmState.objects.get(name="AvalProviderSetAside").told == ""


def test_a_message_that_waits_is_an_alarm_once_it_lasts(receiver, at):
    MessageFactory(created_at=at - 20 * SECOND)
    assert [evaluate(at=at + seconds * SECOND) for seconds in (0, 14, 15)] == [0, 0, 1]
    assert told(receiver) == [("alarm.firing", "AvalCodesWait")]


def test_without_a_url_nothing_is_judged(settings, receiver, at):
    settings.ALARM_URL = ""
    set_aside(at)
    assert evaluate(at=at) == 0
    assert not AlarmState.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_several_processes_tell_it_once(receiver, at, monkeypatch):
    evaluate(at=at - SECOND)
    set_aside(at)
    everybody_has_judged, keep = Barrier(4), alarm_webhook._keep

    def keep_together(states):
        judged = list(states)
        with suppress(BrokenBarrierError):
            everybody_has_judged.wait(1)  # the others found the lock taken: nobody else comes
        keep(judged)

    monkeypatch.setattr(alarm_webhook, "_keep", keep_together)
    at_once([lambda: evaluate(at=at)] * 4)
    assert len(receiver.received) == 1


def test_a_database_that_is_away_is_told_and_so_is_its_return(receiver, at, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(gauges, "_rows", away)
        patch.setattr(alarm_webhook, "_judge", away)
        assert [evaluate(at=at + seconds * SECOND) for seconds in (0, 10, 15, 30)] == [0, 0, 1, 0]
    assert told(receiver) == [("alarm.firing", "AvalDatabaseDown")]
    assert evaluate(at=at + 45 * SECOND) == 1
    assert told(receiver)[1:] == [("alarm.resolved", "AvalDatabaseDown")]


def test_an_alarm_is_not_told_while_the_one_that_explains_it_fires(receiver, at, monkeypatch):
    MessageFactory(created_at=at - 20 * SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(gauges, "_is_redis_up", lambda: False)
        assert [evaluate(at=at + seconds * SECOND) for seconds in (0, 15, 30, 90)] == [0, 1, 0, 0]
        assert told(receiver) == [("alarm.firing", "AvalBrokerDown")]
    later = at + 100 * SECOND
    assert evaluate(at=later) == 1, "the end of the outage"
    assert [evaluate(at=later + seconds * SECOND) for seconds in (14, 15)] == [0, 1], "it counts from there"
    assert told(receiver)[1:] == [("alarm.resolved", "AvalBrokerDown"), ("alarm.firing", "AvalCodesWait")]


@pytest.fixture
def database(monkeypatch):
    """What the probe of the process says of the database."""
    says = {"answers": True}
    monkeypatch.setattr(serve_metrics, "select_one", lambda: says["answers"])
    monkeypatch.setattr(serve_metrics, "close_old_connections", lambda: None)
    return says


def test_the_process_evaluates_again_after_a_fault(monkeypatch, settings, database):
    calls, stopping = [], Event()
    settings.ALARM_URL = "https://alarmas.example.com/aval"

    def faulty(**_):
        calls.append(1)
        if len(calls) > 2:
            stopping.set()
        raise RuntimeError("a fault")

    monkeypatch.setattr(serve_metrics, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(serve_metrics.alarm_webhook, "evaluate", faulty)
    serve_metrics.evaluate_until(stopping)
    assert len(calls) >= 3


def test_a_database_that_hangs_is_told_while_an_evaluation_waits_for_it(monkeypatch, database):
    thawed, evaluations, told_at = Event(), [], []

    def hanging(**_):
        evaluations.append(1)
        assert thawed.wait(20)

    monkeypatch.setattr(serve_metrics.alarm_webhook, "evaluate", hanging)
    monkeypatch.setattr(serve_metrics.alarm_webhook, "tell_without_database", lambda *, at: told_at.append(at))
    evaluator = serve_metrics.Evaluator()
    evaluator.step()
    evaluator.step()
    assert evaluator.is_busy
    assert (len(evaluations), told_at) == (1, []), "it is slow, and the database answers"
    database["answers"] = False
    evaluator.step()
    assert len(told_at) == 1
    database["answers"] = True
    thawed.set()
    assert wait_until(lambda: not evaluator.is_busy, 5)
    evaluator.step()
    assert wait_until(lambda: len(evaluations) == 2, 5)


def test_without_an_address_the_process_evaluates_nothing_and_shows_that_it_runs(monkeypatch, settings):
    done, stopping = [], Event()
    settings.ALARM_URL = ""

    def did(kind):
        done.append(kind)
        if len(done) > 3:
            stopping.set()

    monkeypatch.setattr(serve_metrics, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(serve_metrics.heartbeat, "did", did)
    monkeypatch.setattr(serve_metrics.alarm_webhook, "evaluate", lambda **_: done.append("evaluated"))
    serve_metrics.evaluate_until(stopping)
    assert set(done) == {"loop"}
