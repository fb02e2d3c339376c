"""Probes of a database that hangs."""

import threading
import time

import pytest

from clients.probes import DATABASE_TIMEOUT, Probe


@pytest.fixture
def hanging():
    """A question that is answered once this event is set."""
    free = threading.Event()
    yield free
    free.set()


def took(probe):
    began = time.monotonic()
    return probe.answers(), time.monotonic() - began


def test_who_asks_while_it_hangs_waits_for_the_rest_of_the_time_alone(hanging):
    probe = Probe(lambda: hanging.wait(10), "test")
    answer, seconds = took(probe)
    assert (answer, seconds >= DATABASE_TIMEOUT * 0.9) == (False, True)
    for _ in range(5):  # a stranger asks as often as they like, and behind them a supervisor
        answer, seconds = took(probe)
        assert (answer, seconds < DATABASE_TIMEOUT / 4) == (False, True)


def test_it_answers_again_once_the_database_does(hanging):
    probe = Probe(lambda: hanging.wait(10), "test")
    assert not probe.answers()
    hanging.set()
    deadline = time.monotonic() + 5
    while not probe.answers():
        assert time.monotonic() < deadline
    assert took(probe)[0]
