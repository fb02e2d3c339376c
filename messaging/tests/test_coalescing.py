"""Calls while a function runs are answered by one more run, and none is lost."""

import threading

import pytest

from messaging.delivery.coalescing import Coalesced


def test_calls_one_after_another_run_each():
    runs = []
    ask = Coalesced(lambda: runs.append(None))
    ask()
    ask()
    assert len(runs) == 2


def test_whoever_asks_is_seen_by_a_run_that_begins_after_it():
    """Many threads each add a piece of work and ask; a piece that is left lying would be a lost wake-up."""
    waiting, done, at_once, most = [], [], [], []

    def work():
        at_once.append(None)
        most.append(len(at_once))
        while waiting:
            done.append(waiting.pop())
        at_once.pop()

    ask = Coalesced(work)

    def add(number):
        for piece in range(300):
            waiting.append((number, piece))
            ask()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not waiting
    assert len(done) == 6 * 300
    assert set(most) == {1}, "one thread at a time"


def test_a_run_that_fails_does_not_swallow_what_was_asked_for_meanwhile():
    runs = []

    def work():
        runs.append(None)
        if len(runs) == 1:
            ask()
            raise ValueError("the first run")

    ask = Coalesced(work)
    with pytest.raises(ValueError, match="the first run"):
        ask()
    assert len(runs) == 2
    ask()
    assert len(runs) == 3


def test_a_process_that_ends_in_a_run_leaves_the_next_call_free():
    ends = [SystemExit()]

    def work():
        if ends:
            raise ends.pop()

    ask = Coalesced(work)
    with pytest.raises(SystemExit):
        ask()
    ask()
    assert not ends
