"""Cooldown ladder of contract 2 as arithmetic: no database, no clock but the one passed in."""

from datetime import UTC, datetime, timedelta

import pytest

from tokens.cooldown import CooldownState, applying, cooldown_state, format_wait, wait_before

T0 = datetime(2026, 2, 12, 8, 0, tzinfo=UTC)
MIN, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("nth", "wait"),
    [
        (1, timedelta(0)),
        (2, 2 * MIN),
        (3, 4 * MIN),
        (4, 30 * MIN),
        (5, HOUR),
        (6, 4 * HOUR),
        (7, 5 * HOUR),
        (8, 8 * HOUR),
        (9, 12 * HOUR),
        (10, 24 * HOUR),
        (11, 24 * HOUR),
        (12, 24 * HOUR),
    ],
)
def test_the_wait_before_each_request(nth, wait):
    assert wait_before(nth) == wait


@pytest.mark.parametrize("nth", range(1, 13))
def test_the_wait_over_requests_of_one_day_counts_from_the_last(nth):
    requests = [T0 + timedelta(seconds=each) for each in range(nth - 1)]
    if not requests:
        assert cooldown_state(requests, at=T0) == CooldownState(0, None)
        return
    now = requests[-1]
    ladder = cooldown_state(requests, at=now)
    assert ladder.attempts_24h == nth - 1
    assert ladder.available_at == requests[-1] + wait_before(nth)


def test_an_eager_client_over_72_hours_makes_at_most_eight_requests_in_any_24():
    made: list[datetime] = []
    now = T0
    while now < T0 + 72 * HOUR:
        free_at = cooldown_state(made, at=now).available_at
        if free_at is None:
            made.append(now)
        else:
            now = free_at
    since_start = [(each - T0) / MIN for each in made]
    assert since_start[:8] == [0, 2, 6, 36, 96, 336, 636, 1116]
    assert since_start[8] == 1116 + 12 * 60, "the ninth waits twelve hours, though only two requests are a day old"
    for request in made:
        assert sum(1 for each in made if request - 24 * HOUR <= each <= request) <= 8


def test_a_wait_ends_exactly_on_time():
    requests = [T0]
    assert cooldown_state(requests, at=T0 + 2 * MIN - timedelta(microseconds=1)).available_at == T0 + 2 * MIN
    assert cooldown_state(requests, at=T0 + 2 * MIN).available_at is None


def test_a_request_counts_to_the_very_end_of_its_24_hours():
    requests = [T0, T0 + 23 * HOUR]
    assert cooldown_state(requests, at=T0 + 24 * HOUR).attempts_24h == 2
    assert cooldown_state(requests, at=T0 + 24 * HOUR + timedelta(microseconds=1)).attempts_24h == 1


def test_a_wait_once_imposed_stands_though_earlier_requests_grow_older_than_a_day():
    requests = [T0 + each * MIN for each in range(8)]  # the last imposed twelve hours... of the ninth
    late = requests[-1] + 12 * HOUR
    assert cooldown_state(requests, at=late - MIN).available_at == late
    ten = [T0 + each * MIN for each in range(10)]
    assert cooldown_state(ten, at=T0 + 24 * HOUR + 5 * MIN).attempts_24h == 5
    assert cooldown_state(ten, at=T0 + 24 * HOUR + 5 * MIN).available_at == ten[-1] + 24 * HOUR


def test_the_longer_wait_applies():
    short, long = CooldownState(5, T0 + MIN), CooldownState(1, T0 + HOUR)
    assert applying(short, long) is long
    assert applying(long, short) is long
    assert applying(CooldownState(1, None), CooldownState(3, None)).attempts_24h == 3
    assert applying(CooldownState(7, None), CooldownState(0, T0)).available_at == T0


@pytest.mark.parametrize(
    ("remaining", "text"),
    [
        (2 * MIN, "2 minutos"),
        (4 * MIN, "4 minutos"),
        (30 * MIN, "30 minutos"),
        (HOUR, "1 hora"),
        (4 * HOUR, "4 horas"),
        (HOUR + 20 * MIN, "1 hora 20 minutos"),
        (24 * HOUR, "24 horas"),
        (MIN, "1 minuto"),
        (timedelta(seconds=1), "1 minuto"),
        (MIN + timedelta(microseconds=1), "2 minutos"),
        (2 * MIN - timedelta(seconds=1), "2 minutos"),
        (59 * MIN + timedelta(seconds=1), "1 hora"),
        (HOUR + MIN, "1 hora 1 minuto"),
        (24 * HOUR - timedelta(seconds=30), "24 horas"),
    ],
)
def test_a_wait_is_printed_rounded_up(remaining, text):
    assert format_wait(remaining) == text
