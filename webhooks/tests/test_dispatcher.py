"""Rounds of the dispatcher: slow, failing and hanging receivers, an outage of the database, a restore, a stop."""

import threading
import time
from threading import Event

import pytest
from django.db import OperationalError
from django.utils import timezone

from conftest import wait_until
from tests.factories import DeliveryFactory, EndpointFactory
from webhooks import client, deliveries, dispatcher, takeover
from webhooks.client import Outcome
from webhooks.dispatcher import Dispatcher
from webhooks.models import Delivery, Endpoint
from webhooks.tests.receiver import receiving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_news(monkeypatch):
    """Nothing is taken over, and no event is of a restored database: the feed waits for the transaction of a test."""
    monkeypatch.setattr(takeover, "endpoints_with_news", list)
    monkeypatch.setattr(dispatcher.restore, "is_ahead", lambda: False)


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


def made(threads=8):
    return Dispatcher(Event(), threads=threads, sandbox=True)


def due(receiver, count=1, **fields):
    endpoint = EndpointFactory(url=receiver.url, **fields)
    for _ in range(count):
        DeliveryFactory(endpoint=endpoint, at=timezone.now())
    return endpoint


def statuses():
    return list(Delivery.objects.order_by("id").values_list("status", flat=True))


def rounds_until(found, done):
    def step():
        found.step()
        return done()

    return wait_until(step, 15)


def test_what_is_due_is_sent_and_recorded(receiver):
    due(receiver, 10)
    found = made()
    assert rounds_until(found, lambda: statuses() == ["DELIVERED"] * 10)
    assert len(receiver.received) == 10
    assert receiver.most_at_once <= Endpoint.MOST_CONCURRENT
    assert not found.running


def test_nothing_is_lost_while_the_database_is_away(receiver, monkeypatch):
    due(receiver)
    found, real = made(), deliveries.record

    def away(results):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(deliveries, "record", away)
    found.step()
    assert wait_until(lambda: len(receiver.received) == 1, 10)
    assert wait_until(lambda: not found._back.empty(), 10)
    for _ in range(3):
        with pytest.raises(OperationalError):
            found.step()
    monkeypatch.setattr(deliveries, "record", real)
    found.step()
    assert statuses() == ["DELIVERED"]
    assert len(receiver.received) == 1


def test_a_try_whose_thread_hangs_in_the_resolver_fails_and_gives_its_slot_back_late(receiver, monkeypatch):
    monkeypatch.setattr(dispatcher, "DEADLINE", 0.2)
    monkeypatch.setattr(dispatcher, "GRACE", 0.1)
    released = threading.Event()

    def hang(self, body, headers):
        self._began = time.monotonic()
        released.wait(20)
        return Outcome(204, "", 20.0)

    monkeypatch.setattr(client.Try, "post", hang)
    endpoint = due(receiver)
    found = made()
    assert rounds_until(found, lambda: Delivery.objects.get().tries == 1)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.last_error) == ("PENDING", client.TOO_LATE)
    assert (found.stuck, found.running) == (1, {})
    assert found._slots().prompt + found._slots().delayed == 7
    assert endpoint.pk in found.slow
    released.set()
    assert rounds_until(found, lambda: found.stuck == 0)
    assert Delivery.objects.get().tries == 1, "the late answer changes nothing"


def test_failing_and_slow_endpoints_get_half_of_the_threads(receiver, monkeypatch):
    release = threading.Event()
    receiver.answer = lambda got: (release.wait(10), 204)[1]
    for _ in range(6):
        due(receiver, 1, failing_since=timezone.now())
    found = made(threads=8)
    found.step()
    assert wait_until(lambda: len(receiver.received) == 4, 10)
    found.step()
    assert len(found.running) == 4
    with receiving() as prompt:
        due(prompt, 4)
        found.step()
        assert wait_until(lambda: len(prompt.received) == 4, 10)
    release.set()
    assert rounds_until(found, lambda: not found.running)


def test_a_slow_answer_makes_an_endpoint_slow_until_a_quick_one(receiver, monkeypatch):
    monkeypatch.setattr(dispatcher, "SLOW_SECONDS", 0.2)
    receiver.answer = lambda got: (time.sleep(0.3), 204)[1]
    endpoint, found = due(receiver), made()
    assert rounds_until(found, lambda: statuses() == ["DELIVERED"])
    assert found.slow == {endpoint.pk}
    receiver.answer = 204
    DeliveryFactory(endpoint=endpoint, at=timezone.now())
    assert rounds_until(found, lambda: statuses() == ["DELIVERED"] * 2)
    assert found.slow == set()


def test_nothing_is_taken_over_or_sent_in_a_restored_database(receiver, monkeypatch):
    monkeypatch.setattr(dispatcher.restore, "is_ahead", lambda: True)
    due(receiver)
    found = made()
    found.step()
    found.step()
    assert receiver.received == []
    monkeypatch.setattr(dispatcher.restore, "is_ahead", lambda: False)
    found._next_upkeep = 0
    assert rounds_until(found, lambda: statuses() == ["DELIVERED"])


def test_a_url_that_is_no_longer_allowed_is_a_failure_in_plain_words(receiver, caplog):
    due(receiver)
    Endpoint.objects.update(url="https://10.0.0.1/")
    found = made()
    assert rounds_until(found, lambda: Delivery.objects.get().tries == 1)
    assert Delivery.objects.get().last_error == "la URL ya no se admite"
    assert "cannot be tried" in caplog.text


def test_a_secret_that_cannot_be_read_is_a_failure_and_not_an_unsigned_request(receiver, caplog):
    due(receiver)
    Endpoint.objects.update(secret="s1:AAAA")
    found = made()
    assert rounds_until(found, lambda: Delivery.objects.get().tries == 1)
    assert Delivery.objects.get().last_error == "el secreto no se puede leer"
    assert receiver.received == []


def test_a_stop_records_what_is_being_tried(receiver):
    receiver.answer = lambda got: (time.sleep(0.5), 204)[1]
    due(receiver, 3)
    found = made()
    found.step()
    found.stopping.set()
    found._drain()
    assert statuses() == ["DELIVERED"] * 3
    assert Delivery.objects.filter(claimed_until=None).count() == 3


def test_a_stop_gives_back_what_does_not_end_in_time(receiver, monkeypatch):
    monkeypatch.setattr(dispatcher, "STOP_SECONDS", 0.2)
    receiver.answer = lambda got: (time.sleep(5), 204)[1]
    due(receiver)
    found = made()
    found.step()
    assert wait_until(lambda: len(receiver.received) == 1, 10)
    found._drain()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.claimed_until) == ("PENDING", None)


def test_its_log_names_no_url_and_no_secret(receiver, caplog):
    caplog.set_level("DEBUG")
    due(receiver)
    found = made()
    assert rounds_until(found, lambda: statuses() == ["DELIVERED"])
    (line,) = [each for each in caplog.records if each.getMessage() == "webhook tried"]
    assert line.status == 204
    assert receiver.url not in str(vars(line))
    assert "whsec_" not in caplog.text
