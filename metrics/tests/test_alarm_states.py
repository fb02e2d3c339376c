"""States of an alarm: when its receiver is told, and when not."""

from datetime import timedelta

import pytest

from conftest import NOW
from metrics.alarm_states import FIRING, REPEAT_AFTER, RESOLVED, RETRY_AFTER, State

SECOND = timedelta(seconds=1)
LASTING = 30 * SECOND


def after(*judgements, lasting=LASTING, state=None):
    """The state after the condition was judged at some seconds."""
    state = state or State("AvalTest")
    for seconds, holds in judgements:
        state = state.judged(holds, lasting, at=NOW + seconds * SECOND)
    return state


def told(state, what, seconds=0):
    return state.claimed(at=NOW + seconds * SECOND).taken(what, at=NOW + seconds * SECOND)


def test_it_fires_when_its_condition_has_held_for_long_enough():
    assert after((0, True), (29, True)).message(at=NOW) is None
    fired = after((0, True), (30, True))
    assert (fired.message(at=NOW), fired.since) == (FIRING, NOW)


def test_an_alarm_without_a_time_fires_at_once():
    assert after((0, True), lasting=timedelta(0)).message(at=NOW) == FIRING


def test_a_condition_that_ends_in_between_begins_anew():
    assert not after((0, True), (20, False), (25, True), (54, True)).is_firing
    assert after((0, True), (20, False), (25, True), (55, True)).since == NOW + 25 * SECOND


def test_what_cannot_be_judged_changes_nothing():
    fired = after((0, True), (30, True))
    assert after((60, None), state=fired) == fired
    assert after((60, None)) == State("AvalTest")


def test_it_is_told_once_and_again_after_four_hours():
    fired = told(after((0, True), (30, True)), FIRING, 30)
    assert fired.message(at=NOW + 31 * SECOND) is None
    assert fired.message(at=NOW + 30 * SECOND + REPEAT_AFTER - SECOND) is None
    assert fired.message(at=NOW + 30 * SECOND + REPEAT_AFTER) == FIRING


def test_its_end_is_told_once():
    over = after((90, False), state=told(after((0, True), (30, True)), FIRING, 30))
    assert over.message(at=NOW + 90 * SECOND) == RESOLVED
    assert told(over, RESOLVED, 90).message(at=NOW + 91 * SECOND) is None


def test_the_end_of_an_alarm_that_nobody_was_told_of_is_not_told():
    assert after((0, True), (30, True), (40, False)).message(at=NOW + 40 * SECOND) is None


@pytest.mark.parametrize(("later", "what"), [(RETRY_AFTER - SECOND, None), (RETRY_AFTER, FIRING)])
def test_a_message_that_was_not_taken_is_sent_again_after_a_minute(later, what):
    claimed = after((0, True), (30, True)).claimed(at=NOW)
    assert claimed.message(at=NOW + later) == what


def test_an_alarm_that_comes_back_is_told_again():
    over = told(after((90, False), state=told(after((0, True), (30, True)), FIRING, 30)), RESOLVED, 90)
    again = after((100, True), (130, True), state=over)
    assert (again.message(at=NOW + 130 * SECOND), again.since) == (FIRING, NOW + 100 * SECOND)
