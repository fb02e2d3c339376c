"""Rate limits over several processes, with Redis, without it, and while it comes and goes."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection as database

from clients.rate_limits import counters, leases, postgres_counters
from clients.rate_limits.redis_client import breaker, connection
from conftest import NOW, at_once
from messaging.models import RateCount

CAP = 100


def stop_redis():
    breaker.trip(OSError("away"))


def restore_redis():
    breaker.closed_until = 0.0


def let_through(times, key="k", cap=CAP):
    """Number of calls that are within the cap of the day."""
    passed = 0
    for _ in range(times):
        if counters.add_today(key, 1, at=NOW, cap=cap) <= cap:
            passed += 1
        else:
            counters.add_today(key, -1, at=NOW, cap=cap)
    return passed


def hits(times, key="k", allowed=CAP):
    return sum(counters.hit_hour(key, allowed) == 0 for _ in range(times))


OTHER_PROCESS = """
import django, sys
django.setup()
from conftest import NOW
from clients.rate_limits import counters
day = sum(counters.add_today("k", 1, at=NOW, cap=60) <= 60 for _ in range(50))
print(day, sum(counters.hit_hour("k", 60) == 0 for _ in range(50)))
"""


@pytest.mark.django_db(transaction=True)
def test_processes_without_redis_let_the_cap_through_together():
    name = database.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"]
    path, _, query = url.partition("?")
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "REDIS_URL": "unix:///nowhere/at/all",
        "DATABASE_URL": path.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else ""),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", OTHER_PROCESS],
            cwd=settings.BASE_DIR,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(3)
    ]
    said = [tuple(map(int, each.communicate(timeout=60)[0].split())) for each in running]
    assert all(len(each) == 2 for each in said)
    assert sum(day for day, _ in said) == 60
    assert sum(hour for _, hour in said) in range(60, 67), "an hour may begin in between"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("away", [False, True])
def test_threads_let_the_cap_through_together(away):
    if away:
        stop_redis()
    assert sum(at_once([lambda: let_through(10, cap=40)] * 8)) <= 40
    assert sum(at_once([lambda: hits(10, allowed=40)] * 8)) == 40


@pytest.mark.django_db
@pytest.mark.parametrize("before", [1, 30, 52, 99, 100])
def test_what_redis_had_counted_today_is_known_when_it_goes(before):
    assert let_through(before) == before
    stop_redis()
    counters.forget()  # a process that counts on has seen none of it
    assert CAP - before <= let_through(200) <= CAP * 1.1 - before


@pytest.mark.django_db
def test_what_was_counted_without_redis_is_added_to_it_when_it_is_back():
    total = let_through(30)
    stop_redis()
    total += let_through(40)
    restore_redis()
    total += let_through(200)
    assert CAP <= total <= CAP * 1.1
    assert RateCount.objects.get().added == 0


@pytest.mark.django_db
def test_a_redis_that_comes_and_goes_all_day_lets_no_more_through():
    total = 0
    for _ in range(20):
        total += let_through(8)
        stop_redis()
        total += let_through(3)
        restore_redis()
    total += let_through(100)
    assert CAP <= total <= CAP * 1.1


@pytest.mark.django_db
def test_a_redis_that_lost_its_data_gets_the_counts_of_the_day():
    assert let_through(80) == 80
    connection().flushdb()
    assert CAP - 80 <= let_through(200) <= CAP * 1.1 - 80


@pytest.mark.django_db
def test_what_is_taken_and_put_back_many_times_counts_for_nothing():
    for _ in range(300):
        counters.add_today("k", 1, at=NOW, cap=10)
        counters.add_today("k", -1, at=NOW, cap=10)
    stop_redis()
    for _ in range(300):
        counters.add_today("k", 1, at=NOW, cap=10)
        counters.add_today("k", -1, at=NOW, cap=10)
    restore_redis()
    assert let_through(20, cap=10) in (9, 10)


@pytest.mark.django_db
def test_the_hits_of_the_last_minutes_are_known_when_redis_goes():
    assert hits(60) == 60
    stop_redis()
    assert hits(100) in range(39, 42)
    assert hits(5) == 0


@pytest.mark.django_db
def test_the_hits_without_redis_are_known_to_it_when_it_is_back():
    assert hits(40) == 40
    stop_redis()
    assert hits(30) in range(29, 32)
    with pytest.MonkeyPatch.context() as patch:  # it looks whether Redis is back, and it is not
        patch.setattr(counters, "_shared", lambda: (_ for _ in ()).throw(OSError("still away")))
        restore_redis()
        assert hits(1) == 1
    restore_redis()
    assert hits(100) in range(29, 32)
    stop_redis()
    assert hits(100) in range(2)
    restore_redis()
    assert hits(100) in range(2)


@pytest.mark.django_db
def test_a_window_before_weighs_in_by_what_is_left_of_it():
    now = 1_000_000 * 60.0
    assert [postgres_counters.hit("k", 10, seconds=60, now=now + 59) for _ in range(11)].count(0) == 10
    assert [postgres_counters.hit("k", 10, seconds=60, now=now + 90) for _ in range(11)].count(0) == 5
    assert [postgres_counters.hit("k", 10, seconds=60, now=now + 181) for _ in range(11)].count(0) == 10
    wait = postgres_counters.hit("k", 10, seconds=60, now=now + 190)
    assert 1 <= wait <= 60


@pytest.mark.django_db
def test_no_caller_stands_in_the_table():
    stop_redis()
    hits(1, key="req:a192.0.2.1")
    counters.add_today("paid:S:a192.0.2.1", 1, at=NOW, cap=5)
    assert not [key for key in RateCount.objects.values_list("key", flat=True) if "192" in key and "." in key]


@pytest.mark.django_db
def test_the_counts_of_a_day_go_by_themselves():
    for _ in range(3):
        counters.add_today("alone", 1, at=NOW, cap=10)
        counters.add_all_today({"one": 10, "two": 10}, 1, at=NOW)
    left = [connection().ttl(key) for key in connection().scan_iter("*day:*")]
    assert len(left) == 3
    assert all(0 < seconds <= 2 * counters.DAY_SECONDS for seconds in left)


def test_a_rough_count_is_added_a_fiftieth_of_its_cap_at_a_time(monkeypatch):
    calls = []
    monkeypatch.setattr(counters, "add_today", lambda key, amount, **_: calls.append(amount))
    for _ in range(45):
        counters.add_one_roughly("k", at=NOW, cap=1_000)
    assert calls == [20, 20]
    assert counters.counts_today(["k"], at=NOW) == [5], "with what this process has not added yet"
    assert counters.counts_today(["k"], at=NOW + timedelta(days=1)) == [0]
    counters.add_one_roughly("k", at=NOW + timedelta(days=1), cap=49)
    assert calls == [20, 20, 1]


@pytest.fixture
def asked(monkeypatch):
    """Costs of the hits that Redis was asked for."""
    costs, hit = [], counters.SlidingWindowCounterRateLimiter.hit

    def counted(self, item, *keys, cost=1):
        costs.append(cost)
        return hit(self, item, *keys, cost=cost)

    monkeypatch.setattr(counters.SlidingWindowCounterRateLimiter, "hit", counted)
    return costs


def test_a_busy_key_is_leased_in_blocks_and_its_limit_is_exact(asked):
    assert [counters.hit_minute("k", 600) == 0 for _ in range(603)] == [True] * 600 + [False] * 3
    assert sum(each for each in asked[:-3]) >= 600
    assert max(asked) == 600 // leases.SHARE
    assert len(asked) < 600 / 4, "most hits ask nobody"


def test_a_key_that_is_seldom_used_is_counted_hit_by_hit(asked):
    assert [counters.hit_minute("k", 600) for _ in range(5)] == [0] * 5
    assert asked == [1] * 5


def test_processes_with_leases_never_let_more_than_the_limit_through(monkeypatch):
    passed, processes = 0, [{}, {}, {}]
    for number in range(700):
        monkeypatch.setattr(leases, "_leases", processes[number % 3])
        passed += counters.hit_minute("k", 600) == 0
    assert 600 - 3 * 600 // leases.SHARE <= passed <= 600


def test_a_lease_ends():
    assert leases.take_or_size("k", most=10, now=0.0) == 1
    leases.add("k", 3, now=0.0)
    assert [leases.take_or_size("k", most=10, now=at) for at in (1.0, leases.SECONDS, leases.SECONDS)] == [0, 1, 1]
    assert leases.give_back("k", now=leases.SECONDS) is False


def test_a_hit_that_is_given_back_goes_into_the_lease():
    leases.take_or_size("k", most=10, now=0.0)
    assert leases.give_back("k", now=0.0) is False
    leases.add("k", 1, now=0.0)
    assert leases.give_back("k", now=1.0) is True
    assert [leases.take_or_size("k", most=10, now=1.0) for _ in range(3)] == [0, 0, 1]


@pytest.mark.django_db
def test_a_count_that_was_read_serves_for_a_second_with_what_this_process_added(monkeypatch):
    monkeypatch.setattr(counters, "RECENT_SECONDS", 60.0)
    assert counters.count_roughly("k", at=NOW) == 0
    counters.add_today("k", 2, at=NOW, cap=CAP)
    assert counters.count_roughly("k", at=NOW) == 2
    [name] = connection().keys("*day:*:k")
    connection().incrby(name, 5)  # by another process
    assert counters.count_roughly("k", at=NOW) == 2
    monkeypatch.setattr(counters, "RECENT_SECONDS", 0.0)
    assert counters.count_roughly("k", at=NOW) == 7


@pytest.fixture
def added(monkeypatch):
    """Amounts of the day that Redis was asked to add."""
    amounts, add = [], counters._add_in_redis
    monkeypatch.setattr(counters, "_add_in_redis", lambda names, amount: amounts.append(amount) or add(names, amount))
    return amounts


BUSY = {"one": 600, "all": 900}


def reserved():
    counts = counters.reserve_today(BUSY, at=NOW)
    if all(counts[key] <= cap for key, cap in BUSY.items()):
        return True
    counters.give_back_today(BUSY, at=NOW)
    return False


def count_of_the_day():
    return counters.counts_today(["one", "all"], at=NOW)


@pytest.mark.django_db
def test_reservations_of_the_day_are_leased_and_their_cap_is_exact(added):
    assert [reserved() for _ in range(603)] == [True] * 600 + [False] * 3
    assert max(added) == 600 // leases.SHARE
    assert len(added) < 600 / 4, "most reservations ask nobody"
    assert count_of_the_day() == [600, 600]


@pytest.mark.django_db
def test_a_small_cap_is_counted_one_by_one(added):
    assert [counters.reserve_today({"k": 50}, at=NOW)["k"] for _ in range(55)] == list(range(1, 56))
    assert added == [1] * 55


@pytest.mark.django_db
def test_processes_with_leases_never_let_more_than_the_cap_through(monkeypatch):
    passed, processes = 0, [({}, {}) for _ in range(3)]
    for number in range(700):
        monkeypatch.setattr(leases, "_leases", processes[number % 3][0])
        monkeypatch.setattr(counters, "_reserved", processes[number % 3][1])
        passed += reserved()
    assert 600 - 3 * 600 // leases.SHARE <= passed <= 600


@pytest.mark.django_db
def test_what_is_given_back_counts_for_nothing():
    for _ in range(100):
        assert reserved()
        counters.give_back_today(BUSY, at=NOW)
    assert max(count_of_the_day()) <= 600 // leases.SHARE, "what is left of a lease"


@pytest.mark.django_db
def test_what_is_left_of_a_lease_is_used_after_its_end(monkeypatch):
    clock = iter(n * leases.SECONDS / 50 for n in range(100_000))
    for burst in range(1, 6):
        for _ in range(42):
            at = next(clock)
            monkeypatch.setattr(counters.time, "monotonic", lambda at=at: at)
            assert reserved()
        left = sum(each.left for each in leases._leases.values())
        assert count_of_the_day() == [burst * 42 + left] * 2, "what was counted is used, or can be"
        for _ in range(200):
            next(clock)


@pytest.mark.django_db
def test_a_cap_that_was_lowered_holds_at_once():
    for _ in range(100):
        assert reserved()
    assert counters.reserve_today({"one": 80, "all": 900}, at=NOW)["one"] > 80


@pytest.mark.django_db
def test_reservations_without_redis_keep_the_cap():
    stop_redis()
    assert sum(reserved() for _ in range(650)) == 600
