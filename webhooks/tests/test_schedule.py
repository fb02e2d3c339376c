from datetime import timedelta
from itertools import pairwise

import pytest

from webhooks.schedule import TRIES, WAITS, wait_after

HOUR = timedelta(hours=1)


def test_there_are_ten_tries_over_three_days():
    waits = [wait_after(tries, jitter=0) for tries in range(1, TRIES)]
    assert waits == [
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        *(hours * HOUR for hours in (2, 5, 10, 14, 20, 24)),
    ]
    assert all(one < other for one, other in pairwise(WAITS))
    assert TRIES == 10
    assert wait_after(TRIES, jitter=0) is None
    assert wait_after(TRIES + 1, jitter=1, retry_after=HOUR) is None


def test_jitter_makes_a_wait_a_tenth_longer_at_most():
    assert wait_after(4, jitter=1) == 2.2 * HOUR
    assert wait_after(4, jitter=0.5) == 2.1 * HOUR


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [(timedelta(0), 2 * HOUR), (3 * HOUR, 3 * HOUR), (24 * HOUR, 24 * HOUR), (99 * HOUR, 24 * HOUR)],
)
def test_retry_after_makes_a_wait_longer_up_to_a_day_and_never_shorter(retry_after, expected):
    assert wait_after(4, jitter=0, retry_after=retry_after) == expected
