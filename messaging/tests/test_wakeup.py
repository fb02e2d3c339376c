"""One ring while a ring is waiting; a Redis that is away costs the caller a second at most, and no error."""

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
    rung = []
    monkeypatch.setattr(wakeup, "_publish", rung.append)
    return rung


def test_at_most_one_ring_waits(published):
    assert wakeup.wake("codes") is True
    assert wakeup.wake("codes") is False
    assert published == ["codes"]
    wakeup.acknowledge("codes")
    assert wakeup.wake("codes") is True
    assert published == ["codes", "codes"]


def test_a_lost_ring_lapses_by_itself(published):
    wakeup.wake("codes")
    assert 0 < redis_client.connection().pttl(wakeup._key("codes")) <= 1000 * wakeup.PENDING_SECONDS


@pytest.fixture
def frozen(monkeypatch, tmp_path):
    """A server that takes connections and never says a word, as a stopped Redis does."""
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


def test_the_breaker_lets_somebody_try_again_after_its_pause():
    breaker.trip(OSError("away"))
    with pytest.raises(RedisUnavailable):
        breaker.call(lambda: 1)
    breaker.closed_until = time.monotonic() - 0.001
    assert breaker.call(lambda: 1) == 1


def test_rabbitmq_is_rung_while_redis_is_away(published, settings):
    """One task too many finds nothing to do; none at all would keep every code until Redis is back."""
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
    assert breaker.call(lambda: 1) == 1
    assert wakeup.wake("bulk") is False
    assert len(caplog.records) == 1, "nobody asks again during the pause"


class Line(SimpleNamespace):
    """A kept connection to a broker, and what reading it brings."""

    left = False

    def drain_events(self, timeout):
        raise self.brings

    def collect(self):
        self.left = True


@pytest.mark.parametrize(
    ("kind", "connected", "brings", "left"),
    [
        ("amqp", True, TimeoutError(), False),  # it is silent: it is well
        ("amqp", True, OSError("Server unexpectedly closed connection"), True),
        ("amqp", True, ConnectionForced("shutdown"), True),
        ("amqp", False, AssertionError("read"), False),  # it is opened anew anyway
        ("redis", True, AssertionError("read"), False),
    ],
)
def test_a_connection_that_rabbitmq_has_closed_is_left_before_it_costs_a_ring(kind, connected, brings, left):
    line = Line(connected=connected, transport=SimpleNamespace(driver_type=kind), brings=brings)
    wakeup._drop_if_closed(line)
    assert line.left is left
