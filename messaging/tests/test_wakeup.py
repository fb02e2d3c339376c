"""Wake-ups: at most one is pending; a Redis that is away costs the caller a second at most, and no error."""

import socket
import time
from types import SimpleNamespace

import pytest
import redis
from amqp.exceptions import ConnectionForced

from clients.rate_limits import redis_client
from clients.rate_limits.redis_client import RedisUnavailable, breaker
from messaging.queue import wakeup


@pytest.fixture
def published(monkeypatch):
    wakeups = []
    monkeypatch.setattr(wakeup, "_publish", wakeups.append)
    return wakeups


def test_at_most_one_wakeup_is_pending(published):
    assert wakeup.wake("codes") is True
    assert wakeup.wake("codes") is False
    assert published == ["codes"]
    wakeup.acknowledge("codes")
    assert wakeup.wake("codes") is True
    assert published == ["codes", "codes"]


def test_under_a_promise_redis_is_asked_once(published, monkeypatch):
    until = wakeup.promise_look("codes")
    assert wakeup.wake("codes") is True, "the first one in this process does not know of the promise"
    with monkeypatch.context() as forbidden:
        forbidden.setattr(wakeup, "connection", lambda: pytest.fail("Redis was asked"))
        assert wakeup.wake("codes") is False
    wakeup.acknowledge("codes")
    time.sleep(max(0.0, until - time.monotonic()))
    assert wakeup.wake("codes") is True, "the promise is over when the worker looks"
    assert published == ["codes", "codes"]


def test_a_promise_is_for_one_queue_and_for_its_time_alone(published):
    redis_client.connection().set(wakeup._promise_key("codes"), 1, px=3_600_000)  # the clock of Redis was put back
    assert wakeup.wake("bulk") is True
    assert wakeup.wake("bulk") is False
    wakeup.acknowledge("bulk")
    assert wakeup.wake("bulk") is True
    wakeup.wake("codes")
    wakeup.acknowledge("codes")
    time.sleep(wakeup.PROMISE_SECONDS)
    assert wakeup.wake("codes") is True


def test_without_redis_nothing_is_promised(monkeypatch):
    monkeypatch.setattr(breaker, "closed_until", time.monotonic() + 60)
    assert wakeup.promise_look("codes") == 0.0


def test_a_lost_wakeup_lapses_by_itself(published):
    wakeup.wake("codes")
    assert 0 < redis_client.connection().pttl(wakeup._key("codes")) <= 1000 * wakeup.PENDING_SECONDS


@pytest.fixture
def frozen(monkeypatch, tmp_path):
    """A server that accepts connections and sends nothing, as a stopped Redis does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "frozen.sock"))
    listener.listen()
    silent = redis.Redis.from_url(
        f"unix://{tmp_path}/frozen.sock",
        socket_timeout=1.0,
        socket_connect_timeout=1.0,
        retry=redis_client.Retry(redis_client.NoBackoff(), 0),
    )
    monkeypatch.setattr(redis_client, "connection", lambda: silent)
    monkeypatch.setattr(wakeup, "connection", lambda: silent)
    yield
    silent.close()
    listener.close()


def test_a_frozen_redis_costs_one_caller_a_second_and_the_next_ones_nothing(frozen, published):
    started = time.monotonic()
    assert wakeup.wake("codes") is False
    first = time.monotonic() - started
    started = time.monotonic()
    for _ in range(100):
        assert wakeup.wake("codes") is False
    assert 0.9 < first < 1.5
    assert time.monotonic() - started < 0.1
    assert published == []


def test_the_breaker_allows_another_attempt_after_its_pause():
    breaker.trip(OSError("away"))
    with pytest.raises(RedisUnavailable), breaker:
        pytest.fail("no call is made during the pause")
    breaker.closed_until = time.monotonic() - 0.001
    with breaker:
        assert wakeup.connection().ping()


def test_wakeups_go_to_rabbitmq_while_redis_is_away(published, settings):
    """A task too many finds nothing to do; no task at all would delay every code until Redis is back."""
    breaker.trip(OSError("away"))
    assert wakeup.wake("codes") is False
    settings.REDIS_IS_BROKER = False
    assert wakeup.wake("codes") is True
    assert published == ["codes"]


@pytest.mark.parametrize("fault", [ConnectionResetError, wakeup.AMQPError, redis.ConnectionError])
def test_a_broker_that_is_away_says_nothing_of_redis(monkeypatch, fault, caplog):
    def away(queue):
        raise fault

    monkeypatch.setattr(wakeup, "_publish", away)
    assert wakeup.wake("codes") is False
    assert [each.message for each in caplog.records] == ["the broker is away"]
    with breaker:
        assert wakeup.connection().ping()
    assert wakeup.wake("bulk") is False
    assert len(caplog.records) == 1, "no further call during the pause"


class BrokerConnection(SimpleNamespace):
    """A kept connection to a broker. `brings`: the result of reading from it."""

    left = False

    def drain_events(self, timeout):
        raise self.brings

    def collect(self):
        self.left = True


@pytest.mark.parametrize(
    ("kind", "connected", "brings", "left"),
    [
        ("amqp", True, TimeoutError(), False),  # nothing to read: open
        ("amqp", True, OSError("Server unexpectedly closed connection"), True),
        ("amqp", True, ConnectionForced("shutdown"), True),
        ("amqp", False, AssertionError("read"), False),  # it will be opened again
        ("redis", True, AssertionError("read"), False),
    ],
)
def test_a_connection_that_rabbitmq_has_closed_is_dropped_before_it_costs_a_wakeup(kind, connected, brings, left):
    kept = BrokerConnection(connected=connected, transport=SimpleNamespace(driver_type=kind), brings=brings)
    wakeup._drop_if_closed(kept)
    assert kept.left is left


def test_another_worker_is_woken_once_a_second_though_a_wakeup_is_pending(published):
    assert wakeup.wake("codes") is True
    for _ in range(5):
        wakeup.wake_another("codes")
    assert published == ["codes", "codes"]
    wakeup.wake_another("bulk")
    assert published == ["codes", "codes", "bulk"]


def test_without_redis_another_worker_is_woken_by_rabbitmq(published, settings):
    breaker.trip(OSError("away"))
    wakeup.wake_another("codes")
    assert published == []
    settings.REDIS_IS_BROKER = False
    wakeup.wake_another("codes")
    assert published == ["codes"]
