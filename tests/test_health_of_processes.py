"""Health of real processes: a frozen one is found, and an outage of the broker is over for beat too."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from clients import heartbeat
from config.run import health
from config.run.processes import wait_until
from config.variables import StartError
from testkit.stack import Stack


@pytest.fixture(autouse=True)
def of_the_stack(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the stack's processes from here, as the command does beside them."""
    monkeypatch.setenv("DATA_DIR", str(stack.folder))
    monkeypatch.setenv("DATABASE_URL", stack.environment["DATABASE_URL"])


@pytest.fixture
def last(stack: Stack) -> Callable[[str, str], float]:
    """When a program's one process last did a kind of work, by the monotonic clock."""

    def at(program: str, kind: str) -> float:
        (state,) = heartbeat.live(stack.folder / "health", program)
        return state.done[kind]

    return at


@pytest.fixture
def webhooks(stack: Stack) -> Iterator[None]:
    dispatcher = stack.program("webhooks")
    dispatcher.start()
    assert wait_until(lambda: bool(heartbeat.live(stack.folder / "health", "webhooks")), 30), dispatcher.log
    yield
    dispatcher.signal(signal.SIGTERM)
    assert dispatcher.process is not None
    dispatcher.process.wait(30)


def test_every_process_of_the_installation_is_healthy(stack: Stack, webhooks: None) -> None:
    for program in ("web", "worker", "periodic", "beat", "webhooks"):
        line = stack.command("config.run", "health", program)
        assert line.startswith(f"aval: {program} is healthy")


KINDS = [("worker", "loop"), ("periodic", "loop"), ("periodic", "task"), ("beat", "publish"), ("webhooks", "loop")]


@pytest.mark.parametrize(("program", "kind"), KINDS, ids=["-".join(each) for each in KINDS])
def test_what_a_process_does_moves_its_heartbeat(stack: Stack, webhooks: None, last, program: str, kind: str) -> None:
    before = last(program, kind)
    assert wait_until(lambda: last(program, kind) > before, 10)


@pytest.mark.parametrize("program", ["worker", "periodic", "beat"])
def test_a_frozen_process_is_found_within_a_minute(stack: Stack, program: str) -> None:
    """Its age grows by the clock: the test looks from half a minute later instead of waiting for it."""
    frozen = getattr(stack, program)
    try:
        frozen.freeze()
        time.sleep(6)
        with pytest.raises(StartError, match=f"process {frozen.pid} did its last"):
            health.check(program, at=time.monotonic() + 25)
    finally:
        frozen.thaw()
    others = {"worker", "periodic", "beat"} - {program}
    assert all("healthy" in health.check(each, at=time.monotonic() + 20) for each in others)
    assert wait_until(lambda: "healthy" in health.check(program, at=time.monotonic() + 20), 20)


def test_after_an_outage_of_the_broker_beat_and_the_workers_go_on(stack: Stack, last) -> None:
    with stack.redis.down():
        time.sleep(1)
    back = time.monotonic()
    for program, kind in (("beat", "publish"), ("periodic", "task"), ("worker", "loop")):
        assert wait_until(lambda p=program, k=kind: last(p, k) > back, 20), program


def test_a_probe_by_address_is_answered_while_the_database_is_frozen(stack: Stack) -> None:
    probe = {"Host": "10.1.2.3"}
    assert httpx.get(f"{stack.url}/health/ready", headers=probe).status_code == 200
    stack.postgres.freeze()
    try:
        time.sleep(1.1)  # for so long an answer is given again
        assert httpx.get(f"{stack.url}/health/live", headers=probe).status_code == 200
        ready = httpx.get(f"{stack.url}/health/ready", headers=probe)
        assert (ready.status_code, ready.json()["parts"]["database"]) == (503, "no answer")
    finally:
        stack.postgres.thaw()


def test_live_is_answered_at_once_though_many_ask_for_the_status_of_a_frozen_database(stack: Stack) -> None:
    statuses: list[int] = []
    until = time.monotonic() + 4

    def ask() -> None:
        while time.monotonic() < until:
            statuses.append(httpx.get(f"{stack.url}/v1/api/status", timeout=20).status_code)

    stack.postgres.freeze()
    try:
        with ThreadPoolExecutor(12) as callers:
            for _ in range(12):
                callers.submit(ask)
            while time.monotonic() < until:
                began = time.monotonic()
                assert httpx.get(f"{stack.url}/health/live", timeout=20).status_code == 200
                assert time.monotonic() - began < 2, f"after {len(statuses)} other answers"
    finally:
        stack.postgres.thaw()
    assert len(statuses) > 50
    assert set(statuses) == {503}


def test_no_probe_is_in_the_access_log(stack: Stack) -> None:
    before = len(stack.logs()["web.log"])
    for path in ("/health/live", "/health/ready"):
        httpx.get(f"{stack.url}{path}")
    httpx.get(f"{stack.url}/robots.txt")
    assert wait_until(lambda: "robots" in stack.logs()["web.log"][before:], 10)
    said = stack.logs()["web.log"][before:]
    assert "health" not in said
