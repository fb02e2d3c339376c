"""Group commit: what several threads write at the same moment goes into one statement."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from messaging import group_commit
from messaging.group_commit import GroupCommit


class Statement:
    """What is written, in batches. The first statement waits until `go_on`; an item "wrong" fails its statement."""

    def __init__(self):
        self.batches = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, batch):
        self.batches.append(batch)
        if not self.begun.is_set():
            self.begun.set()
            assert self.go_on.wait(10)
        if "wrong" in batch:
            raise ValueError("refused")


@pytest.fixture
def statement():
    found = Statement()
    yield found
    found.go_on.set()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(20) as found:
        yield found


def behind_a_first(group, statement, threads, items):
    """Add these items, each in its thread, while the statement of a first one runs; returns all results to come."""
    results = [threads.submit(group.add, "first")]
    assert statement.begun.wait(5)
    results += [threads.submit(group.add, item) for item in items]
    end = time.monotonic() + 5
    while len(group._waiting) < len(items):
        assert time.monotonic() < end
        time.sleep(0.001)
    return results


def test_one_item_is_written_at_once(statement):
    statement.go_on.set()
    GroupCommit(statement.write).add("one")
    assert statement.batches == [["one"]]


def test_what_waits_for_a_statement_goes_into_the_next_one(statement, threads):
    group, items = GroupCommit(statement.write), [f"item {n}" for n in range(10)]
    results = behind_a_first(group, statement, threads, items)
    assert not any(each.done() for each in results), "nobody is told before it is written"
    statement.go_on.set()
    assert [each.result(5) for each in results] == [None] * 11
    assert [sorted(batch) for batch in statement.batches] == [["first"], sorted(items)]


def test_a_statement_has_a_most(statement, threads, monkeypatch):
    monkeypatch.setattr(group_commit, "MOST", 4)
    results = behind_a_first(GroupCommit(statement.write), statement, threads, [str(n) for n in range(10)])
    statement.go_on.set()
    for each in results:
        each.result(5)
    assert [len(batch) for batch in statement.batches] == [1, 4, 4, 2]


def test_a_statement_that_fails_fails_for_all_of_its_items_and_for_no_other(statement, threads):
    group = GroupCommit(statement.write)
    first, *others = behind_a_first(group, statement, threads, ["right", "wrong", "right too"])
    statement.go_on.set()
    assert first.result(5) is None
    for each in others:
        with pytest.raises(ValueError, match="refused"):
            each.result(5)
    group.add("after it")
    assert statement.batches[-1] == ["after it"]


def test_a_thread_without_patience_writes_beside_a_statement_that_is_stuck(statement, threads):
    group = GroupCommit(statement.write)
    stuck = threads.submit(group.add, "first", patience=0.01)
    assert statement.begun.wait(5)
    threads.submit(group.add, "second", patience=0.01).result(5)
    assert statement.batches == [["first"], ["second"]]
    assert not stuck.done()
    statement.go_on.set()
    assert stuck.result(5) is None
