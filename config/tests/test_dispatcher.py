"""Threads of a web process: one is kept for urgent paths, and for others once all threads were busy for a while."""

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from config.run.processes import wait_until
from config.webserver import dispatcher
from config.webserver.dispatcher import Dispatcher

NORMAL = "/v1/api/client"


class Task:
    """A connection with one request, which is served until it may end."""

    def __init__(self, path: str | None, served: list["Task"], *, ends: bool = True) -> None:
        self.requests = [SimpleNamespace(path=path) if path else SimpleNamespace()]
        self.served = served
        self.may_end = threading.Event()
        self.is_cancelled = False
        self.thread = ""
        if ends:
            self.may_end.set()

    def service(self) -> None:
        self.thread = threading.current_thread().name
        self.served.append(self)
        self.may_end.wait(20)

    def cancel(self) -> None:
        self.is_cancelled = True


Start = Callable[..., Task]


@pytest.fixture
def threads() -> Iterator[Dispatcher]:
    running = Dispatcher(2)
    yield running
    running.shutdown(timeout=5)
    assert not running.threads


@pytest.fixture
def start(threads: Dispatcher) -> Iterator[Start]:
    served: list[Task] = []
    made: list[Task] = []

    def add(path: str | None = NORMAL, **options: Any) -> Task:
        task = Task(path, served, **options)
        made.append(task)
        threads.add_task(task)
        return task

    yield add
    for task in made:
        task.may_end.set()


def test_requests_are_served_by_the_other_threads(start: Start) -> None:
    tasks = [start() for _ in range(50)] + [start(None)]
    assert wait_until(lambda: all(each.thread for each in tasks), 5)
    assert {each.thread for each in tasks} <= {"waitress-1", "waitress-2"}


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/x", "/v1/api/status//", "/v1/api/statu", None])
def test_what_no_probe_answers_does_not_get_its_thread(start: Start, path: str | None) -> None:
    tasks = [start(path) for _ in range(20)]
    assert wait_until(lambda: all(each.thread for each in tasks), 5)
    assert {each.thread for each in tasks} <= {"waitress-1", "waitress-2"}


@pytest.mark.parametrize("path", ["/v1/api/status", "/v1/api/status/", "/health/live", "/health/ready"])
def test_an_urgent_path_is_answered_at_once_while_all_other_threads_hang(start: Start, path: str) -> None:
    hanging = [start(ends=False) for _ in range(2)]
    assert wait_until(lambda: all(each.thread for each in hanging), 5)
    waiting, began = start(), time.monotonic()
    urgent = start(path)
    assert wait_until(lambda: bool(urgent.thread), 5)
    assert time.monotonic() - began < dispatcher.PATIENCE
    assert (urgent.thread, waiting.thread) == ("waitress-0", "")


def test_a_request_that_all_threads_are_too_busy_for_is_taken_by_the_kept_one_in_time(start: Start) -> None:
    hanging = [start(ends=False) for _ in range(2)]
    assert wait_until(lambda: all(each.thread for each in hanging), 5)
    began, others = time.monotonic(), [start(), start()]
    assert wait_until(lambda: all(each.thread for each in others), 5)
    assert {each.thread for each in others} == {"waitress-0"}
    assert dispatcher.PATIENCE <= time.monotonic() - began < 3 * dispatcher.PATIENCE + 1


def test_an_urgent_path_is_answered_by_a_free_thread_while_the_kept_one_serves_a_slow_request(start: Start) -> None:
    slow = [start(ends=False) for _ in range(3)]
    assert wait_until(lambda: all(each.thread for each in slow), 5)
    assert slow[2].thread == "waitress-0"
    slow[0].may_end.set()
    urgent = start("/health/live")
    assert wait_until(lambda: bool(urgent.thread), 5)
    assert urgent.thread == slow[0].thread


def test_an_urgent_path_goes_first_whichever_thread_is_free_first(start: Start) -> None:
    slow = [start(ends=False) for _ in range(3)]
    assert wait_until(lambda: all(each.thread for each in slow), 5)
    waiting, urgent, next_one = start(ends=False), start("/health/live", ends=False), start("/health/ready", ends=False)
    slow[2].may_end.set()
    assert wait_until(lambda: bool(urgent.thread), 5)
    assert (urgent.thread, next_one.thread, waiting.thread) == ("waitress-0", "", "")
    urgent.may_end.set()
    assert wait_until(lambda: bool(next_one.thread), 5)
    assert (next_one.thread, waiting.thread) == ("waitress-0", "")


def test_a_second_probe_does_not_wait_for_the_first(start: Start) -> None:
    slow, probe = start("/health/ready", ends=False), start("/health/live")
    assert wait_until(lambda: bool(probe.thread), 5)
    assert wait_until(lambda: bool(slow.thread), 5)
    assert "waitress-0" in {slow.thread, probe.thread}


def test_a_task_that_fails_ends_no_thread(threads: Dispatcher, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(threads, "logger", SimpleNamespace(exception=lambda *words: logged.append(words)))

    def fail() -> None:
        raise SystemExit

    for path in (NORMAL, NORMAL, "/health/live"):
        failing = Task(path, [])
        monkeypatch.setattr(failing, "service", fail)
        threads.add_task(failing)
    assert wait_until(lambda: len(logged) == 3, 5)
    others = [start(NORMAL), start("/health/live")]
    assert wait_until(lambda: all(each.thread for each in others), 5)


def test_what_waits_at_the_end_is_cancelled() -> None:
    served: list[Task] = []
    running = Dispatcher(1)
    hanging = [Task(NORMAL, served, ends=False), Task("/health/live", served, ends=False)]
    for each in hanging:
        running.add_task(each)
    assert wait_until(lambda: len(served) == 2, 5)
    waiting = [Task(NORMAL, served), Task("/v1/api/status", served)]
    for each in waiting:
        running.add_task(each)
    running.shutdown(timeout=0.1)
    assert [each.is_cancelled for each in waiting] == [True, True]
    for each in hanging:
        each.may_end.set()
    assert wait_until(lambda: not running.threads, 5)
