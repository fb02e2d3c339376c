"""Positions in a table by ascending ids: every id is counted once, however late it becomes visible."""

import random
from datetime import timedelta

from conftest import NOW
from metrics.positions import KEPT_FOR, Missing, Position

LATER = NOW + KEPT_FOR


def read(position, seen, *, oldest_running=10, next_xid=20, at=NOW):
    return position.after(seen, oldest_running=oldest_running, next_xid=next_xid, at=at)


def test_without_gaps_nothing_is_missing():
    assert read(Position(3), [4, 5, 6]) == Position(6)


def test_an_id_that_was_not_visible_is_looked_for():
    position = read(Position(3), [4, 7])
    assert (position.highest, position.missing_ids) == (7, [5, 6])


def test_a_late_row_is_no_longer_missing_once_it_was_read():
    position = read(read(Position(3), [4, 7]), [5])
    assert (position.highest, position.missing_ids) == (7, [6])


def test_an_id_is_given_up_when_all_transactions_of_its_time_are_over_and_a_minute_has_passed():
    position = Position(7, (Missing((5,), 20, NOW),))
    assert read(position, [], oldest_running=20, at=LATER).missing_ids == []
    assert read(position, [], oldest_running=19, at=LATER).missing_ids == [5], "a transaction of that time still runs"
    assert read(position, [], oldest_running=20, at=LATER - timedelta(seconds=1)).missing_ids == [5]


def test_a_read_that_finds_nothing_moves_nothing():
    assert read(Position(7), []) == Position(7)


def test_what_is_missing_survives_being_kept():
    missing = Missing((5, 6), 20, NOW)
    assert Missing.from_json(missing.as_json()) == missing


def test_each_id_is_read_once_whatever_the_order_in_which_transactions_commit():
    chance = random.Random(17)
    for _ in range(50):
        visible, counted, position, now = set(), [], Position(0), NOW
        waiting = list(range(1, 60))
        chance.shuffle(waiting)
        while waiting or len(counted) < 59:
            for _ in range(chance.randrange(8)):
                if waiting:
                    visible.add(waiting.pop())
            seen = sorted(n for n in visible if n > position.highest or n in position.missing_ids)
            counted += seen
            now += timedelta(seconds=10)
            position = read(position, seen, oldest_running=10, next_xid=20, at=now)
        assert sorted(counted) == list(range(1, 60))
