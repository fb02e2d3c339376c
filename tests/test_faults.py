"""Crashes, freezes and outages cost seconds, but never a code, and never send a code twice.

Crashes are `kill -9` of real processes. To kill a worker at a certain step, a database lock stops it there: the sandbox
gateway writes a row, so a lock on its table acts as a provider that does not answer.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median

import httpx
import pytest

from config.run.processes import wait_until
from testkit.stack import Asked, Call, Stack

RECOVERY = 10.0
"""Seconds within which every code arrives although its worker died (docs/architecture.md, Failures)."""
AFTER_REDIS = 30.0
"""The same after an outage of Redis."""
KILLS = 3
THREADS = 16
"""Of a worker, by default (WORKER_THREADS): each may be at a provider, or at its record, when the worker dies."""


def test_the_claims_of_a_dead_worker_are_sent_and_its_hand_overs_are_not(stack: Stack) -> None:
    """Rows as a worker leaves them that died between two statements: claimed, and handed over."""
    stack.worker.kill()
    claimed, handed_over = stack.many_asked(5), stack.many_asked(5)
    claim = "UPDATE messaging_message SET state = 'SENDING', claim_id = gen_random_uuid(), lease_until = now() + %s"
    stack.sql(f"{claim}::interval WHERE recipient = ANY(%s)", "5 s", [each.phone for each in claimed])
    stack.sql(
        f"{claim}::interval, handed_over_at = now() - '29 s'::interval, attempts = 1 WHERE recipient = ANY(%s)",
        *("1 s", [each.phone for each in handed_over]),
    )
    stack.worker.start()
    assert wait_until(lambda: stack.all_arrived(claimed), RECOVERY)
    assert wait_until(lambda: set(stack.states(handed_over).values()) == {"UNKNOWN"}, RECOVERY)
    assert set(stack.arrivals(claimed).values()) == {1}
    assert set(stack.arrivals(handed_over).values()) == {0}
    assert _rungs_given_back(stack, handed_over) == 5, "they may ask again at once"


def test_a_worker_killed_in_the_middle_of_its_calls_loses_none_and_repeats_none(stack: Stack) -> None:
    stack.worker.kill()
    asked = stack.many_asked(60)
    with _silent_provider(stack):
        stack.worker.start()
        assert wait_until(lambda: len(_handed_over(stack, asked)) >= 4, 20)
        stack.worker.kill()
    handed_over = _handed_over(stack, asked)
    claimed = [each for each in asked if each not in handed_over]
    stack.worker.start()
    assert wait_until(lambda: stack.all_arrived(claimed), RECOVERY)
    assert set(stack.arrivals(claimed).values()) == {1}
    _lapse(stack, handed_over)
    assert wait_until(lambda: set(stack.states(handed_over).values()) == {"UNKNOWN"}, RECOVERY)
    assert max(stack.arrivals(handed_over).values()) <= 1, "they may have arrived; they are not sent again"
    assert _rungs_given_back(stack, handed_over) == len(handed_over)


def test_a_worker_killed_between_a_providers_answer_and_its_record_repeats_nothing(stack: Stack) -> None:
    stack.worker.kill()
    asked = stack.many_asked(1)
    with stack.database(autocommit=False) as record:
        with _silent_provider(stack):
            stack.worker.start()
            assert wait_until(lambda: len(_handed_over(stack, asked)) == 1, 20)
            record.execute("SELECT FROM messaging_message WHERE recipient = %s FOR UPDATE", [asked[0].phone])
        assert wait_until(lambda: stack.all_arrived(asked), 2), "the provider took it"
        stack.worker.kill()
        _terminate_waiting_sessions(stack)
    stack.worker.start()
    _lapse(stack, asked)
    assert wait_until(lambda: set(stack.states(asked).values()) == {"UNKNOWN"}, RECOVERY + 10)
    assert set(stack.arrivals(asked).values()) == {1}


def test_a_worker_that_wakes_after_its_lease_sends_nothing_again(stack: Stack) -> None:
    stack.worker.kill()
    asked = stack.many_asked(10)
    second = stack.program("worker", "second-worker")
    with _silent_provider(stack):
        stack.worker.start()
        assert wait_until(lambda: bool(_handed_over(stack, asked)), 20)
        stack.worker.freeze()
        time.sleep(0.5)  # codes go side by side: hand-overs that PostgreSQL already has still go through
    _lapse(stack, asked)
    second.start()
    try:
        time.sleep(5)  # it takes over what may be taken over, before the first one wakes with its calls in hand
        stack.worker.thaw()
        assert wait_until(lambda: stack.all_arrived(asked), 45)
    finally:
        second.kill()
    assert set(stack.arrivals(asked).values()) == {1}


def test_a_wakeup_lost_in_a_frozen_worker_costs_one_sweep(stack: Stack) -> None:
    """Redis gives a wake-up to the worker that has waited longest for one, which may be frozen."""
    second = stack.program("worker", "second-worker")
    second.start()
    try:
        for _ in range(4):
            stack.worker.freeze()
            asked = stack.many_asked(1)
            assert wait_until(lambda asked=asked: stack.all_arrived(asked), RECOVERY)  # type: ignore[misc]
            stack.worker.thaw()
            time.sleep(1.2)  # until it waits for a wake-up again
    finally:
        second.kill()


def test_workers_killed_at_random_lose_none_and_repeat_none(stack: Stack) -> None:
    rng = random.Random(20260212)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(stack.many_asked, 200)
        for _ in range(KILLS):
            before = _sent(stack)
            assert wait_until(lambda before=before: _sent(stack) > before, 30)  # type: ignore[misc]  it is at work
            time.sleep(rng.uniform(0, 0.2))  # to hit any step of its work
            stack.worker.restart()
        asked = asking.result()
    assert wait_until(lambda: not _unsettled(stack, asked), 3 * RECOVERY)  # on a machine that does other things as well
    states, arrivals = stack.states(asked), stack.arrivals(asked)
    assert set(states.values()) <= {"SENT", "SENDING", "UNKNOWN"}
    assert {arrivals[phone] for phone, state in states.items() if state == "SENT"} == {1}
    assert max(arrivals.values()) == 1
    assert len(asked) - list(states.values()).count("SENT") <= KILLS * THREADS, "at most one for each thread that died"


def test_a_frozen_redis_costs_an_answer_less_than_two_seconds(stack: Stack) -> None:
    with stack.redis.frozen():
        asked = _asked_during(stack, 8)
    assert wait_until(lambda: stack.all_arrived(asked), AFTER_REDIS)
    assert set(stack.arrivals(asked).values()) == {1}


def test_a_redis_that_is_down_for_20_seconds_costs_no_code(stack: Stack) -> None:
    with stack.redis.down():
        asked = _asked_during(stack, 20)
    assert wait_until(lambda: stack.all_arrived(asked), AFTER_REDIS)
    assert set(stack.arrivals(asked).values()) == {1}


def test_a_redis_that_forgets_everything_costs_no_code(stack: Stack) -> None:
    stack.worker.freeze()
    asked = stack.many_asked(10)
    with stack.keys() as keys:
        keys.flushall()
    stack.worker.thaw()
    assert wait_until(lambda: stack.all_arrived(asked), AFTER_REDIS)
    later = stack.many_asked(10)  # and queues, limits and wake-ups work as before
    assert wait_until(lambda: stack.all_arrived(later), AFTER_REDIS)
    assert set(stack.arrivals(asked + later).values()) == {1}


def test_two_beats_send_nothing_twice(stack: Stack) -> None:
    (stack.folder / "second").mkdir(exist_ok=True)
    second = stack.program("beat", "second-beat", DATA_DIR=str(stack.folder / "second"))
    second.start()
    try:
        for each in (stack.worker, stack.periodic):
            each.freeze()
        asked = stack.many_asked(30)
        assert wait_until(lambda: len(_senders_of_sweeps(stack)) == 2, 20), "both send sweeps"
        for each in (stack.worker, stack.periodic):
            each.thaw()
        assert wait_until(lambda: stack.all_arrived(asked), RECOVERY)
        assert wait_until(lambda: set(stack.states(asked).values()) == {"SENT"}, RECOVERY)
    finally:
        second.kill()
    assert set(stack.arrivals(asked).values()) == {1}


def test_codes_leave_at_once_without_a_beat(stack: Stack) -> None:
    stack.beat.kill()
    asked = stack.many_asked(10)
    assert wait_until(lambda: stack.all_arrived(asked), 3)
    assert set(stack.arrivals(asked).values()) == {1}


def test_cut_database_connections_heal_by_themselves(stack: Stack) -> None:
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(_register_until, stack, time.monotonic() + 3) for _ in range(4)]
        for _ in range(3):
            time.sleep(0.7)  # between two answers, or in the middle of one
            stack.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = 'aval' AND pid <> pg_backend_pid()"
            )
        answers = [each for call in calls for each in call.result()]
    statuses = [each.status_code for each in answers]
    assert set(statuses) <= {201, 503}, sorted(set(statuses))
    assert statuses.count(503) <= 3 * 12, "one for each connection at most"
    assert all(each.headers["Retry-After"] for each in answers if each.status_code == 503)
    asked = stack.many_asked(10)
    assert wait_until(lambda: stack.all_arrived(asked), RECOVERY)


def test_status_tells_of_a_frozen_database_within_a_second(stack: Stack) -> None:
    with stack.postgres.frozen():
        statuses, seconds = _timed_status(stack)
    assert statuses == {503}
    assert seconds < 1
    assert wait_until(stack.is_up, 10)


def test_status_answers_within_a_second_while_every_thread_hangs(stack: Stack) -> None:
    """Two seconds after the database froze, with more calls waiting than there are threads."""
    call = Call("GET", f"/client/{stack.register()}/cooldown/S")
    with ThreadPoolExecutor(80) as pool:
        with stack.postgres.frozen():
            hanging = [pool.submit(stack.send, call) for _ in range(40)]
            time.sleep(2)
            hanging += [pool.submit(stack.send, call) for _ in range(40)]
            statuses, seconds = _timed_status(stack)
        answers = {each.result().status_code for each in hanging}
    assert answers <= {200, 503}
    assert (statuses, seconds < 1) == ({503}, True), f"{statuses} after {seconds:.1f} s"


# --- helpers ---


@pytest.fixture(autouse=True)
def queue_is_empty_afterwards(stack: Stack) -> Iterator[None]:
    """Check that nothing stays in the queue; messages handed over have 30 s to be answered."""
    yield
    stack.heal()
    left = (
        "SELECT count(*) FROM messaging_message WHERE state = 'QUEUED' OR (state = 'SENDING' AND lease_until < now())"
    )
    assert wait_until(lambda: stack.sql(left) == [(0,)], 15), stack.sql(left)


@contextmanager
def _silent_provider(stack: Stack) -> Iterator[None]:
    """Let no gateway get an answer before the block ends (or PostgreSQL's lock_timeout of 2 s)."""
    with stack.database(autocommit=False) as connection:
        connection.execute("LOCK TABLE messaging_sandboxmessage IN EXCLUSIVE MODE")
        yield


def _terminate_waiting_sessions(stack: Stack) -> None:
    """Terminate sessions of a killed worker: PostgreSQL would complete a waiting statement without its client."""
    waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND starts_with(application_name, 'aval')"
    assert wait_until(lambda: stack.sql(f"SELECT count(pg_terminate_backend(pid)) {waiting}") == [(0,)], 5)


def _handed_over(stack: Stack, asked: Sequence[Asked]) -> list[Asked]:
    rows = stack.sql(
        "SELECT recipient FROM messaging_message"
        " WHERE recipient = ANY(%s) AND state = 'SENDING' AND handed_over_at IS NOT NULL",
        [each.phone for each in asked],
    )
    return [each for each in asked if (each.phone,) in rows]


def _lapse(stack: Stack, asked: Sequence[Asked]) -> None:
    """End the leases of hand-overs."""
    phones = [each.phone for each in asked]
    stack.sql("UPDATE messaging_message SET lease_until = now() WHERE recipient = ANY(%s)", phones)


def _unsettled(stack: Stack, asked: Sequence[Asked]) -> int:
    rows = stack.sql(
        "SELECT count(*) FROM messaging_message WHERE recipient = ANY(%s)"
        " AND (state = 'QUEUED' OR (state = 'SENDING' AND handed_over_at IS NULL))",
        [each.phone for each in asked],
    )
    return int(rows[0][0])


def _rungs_given_back(stack: Stack, asked: Sequence[Asked]) -> int:
    rows = stack.sql(
        "SELECT count(*) FROM tokens_verificationtoken WHERE destination = ANY(%s) AND returned_at IS NOT NULL",
        [each.phone for each in asked],
    )
    return int(rows[0][0])


def _asked_during(stack: Stack, seconds: float) -> list[Asked]:
    """Ask for codes with four clients at a time; each must be answered with 200 within two seconds."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(_ask_one_by_one, stack, until) for _ in range(4)]
        return [each for one in asking for each in one.result()]


def _ask_one_by_one(stack: Stack, until: float) -> list[Asked]:
    asked = []
    while time.monotonic() < until:
        began = time.monotonic()
        client = stack.register()
        registered = time.monotonic()
        each = Asked(client, stack.phone())
        answer = stack.ask(*each)
        assert answer.status_code == 200, answer.text
        assert max(registered - began, time.monotonic() - registered) < 2
        asked.append(each)
        time.sleep(0.2)  # so that requests are spread over the whole outage
    return asked


def _register_until(stack: Stack, until: float) -> list[httpx.Response]:
    answers = []
    while time.monotonic() < until:
        answers.append(stack.send(Call("POST", "/client", stack.person())))
    return answers


def _sent(stack: Stack) -> int:
    return int(stack.sql("SELECT count(*) FROM messaging_sandboxmessage")[0][0])


def _senders_of_sweeps(stack: Stack) -> set[str]:
    """Senders of the sweeps that wait for a worker."""
    with stack.keys() as keys:
        waiting = keys.lrange("aval:celery:periodic", 0, -1)
    return {json.loads(each)["headers"]["origin"] for each in waiting}  # type: ignore[union-attr]


def _timed_status(stack: Stack) -> tuple[set[int], float]:
    """Statuses of three sequential calls of /status (0: no answer), and the median of their seconds."""
    statuses, seconds = set(), []
    for _ in range(3):
        began = time.monotonic()
        try:
            statuses.add(stack.http.get("/v1/api/status", timeout=5).status_code)
        except httpx.TimeoutException:
            statuses.add(0)
        seconds.append(time.monotonic() - began)
    return statuses, median(seconds)
