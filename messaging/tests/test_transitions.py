"""Messages change their state only as in the diagram of their docstring: every pair is tried."""

import itertools
import re
import uuid
from datetime import timedelta

import pytest

from conftest import NOW
from messaging.models import TRANSITIONS, Message, MessageEvent
from messaging.queue.transitions import move
from messaging.transitions_sql import moves
from tests.factories import MessageFactory

pytestmark = pytest.mark.django_db
STATES = list(Message.State.values)
NEVER_BY_MOVE = {"SENDING"}


def make(state, **changes):
    fields = {"created_at": NOW, "send_before": NOW + timedelta(minutes=2), "reference": uuid.uuid4()}
    return MessageFactory(state=state, **{**fields, **changes})


@pytest.mark.parametrize(("start", "end"), list(itertools.product(STATES, STATES)))
def test_every_pair(start, end):
    if end in NEVER_BY_MOVE:
        with pytest.raises(ValueError, match="claim"):
            move(end, moves(end, where="true"), {}, at=NOW)
        return
    message = make(start)
    moved = move(end, moves(end, where="id = %(id)s"), {"id": message.pk}, at=NOW, detail="porque sí")
    allowed = end in TRANSITIONS[start]
    assert bool(moved) == allowed
    message.refresh_from_db()
    assert message.state == (end if allowed else start)
    assert [(event.state, event.detail) for event in MessageEvent.objects.all()] == [(end, "porque sí")] * allowed


@pytest.mark.parametrize("end", ["EXPIRED", "CANCELLED"])
def test_what_was_handed_over_is_neither_expired_nor_cancelled(end):
    message = make("SENDING", handed_over_at=NOW)
    assert move(end, moves(end, where="id = %(id)s"), {"id": message.pk}, at=NOW) == []


@pytest.mark.parametrize("end", sorted(set(STATES) - {"QUEUED", "SENDING"}))
def test_whatever_settles_a_message_blanks_its_secret(end):
    start = "QUEUED" if end in TRANSITIONS["QUEUED"] else "SENDING"
    message = make(start, sealed=b"sealed")
    move(end, moves(end, where="true"), {}, at=NOW)
    message.refresh_from_db()
    assert message.sealed is None


@pytest.mark.parametrize("end", sorted(set(STATES) - {"SENDING"}))
def test_only_an_unclear_outcome_keeps_the_claim_which_a_late_answer_needs(end):
    message = make("SENDING")
    move(end, moves(end, where="true"), {}, at=NOW)
    message.refresh_from_db()
    assert (message.state, message.claim_id is not None) == (end, end == "UNKNOWN")


def test_the_docstring_names_every_state():
    doc = Message.__doc__
    assert {state for state in STATES if re.search(rf"\b{state}\b", doc)} == set(STATES)


def test_two_sweeps_at_once_skip_each_other_s_rows_instead_of_waiting():
    make("QUEUED")
    sweep = moves("EXPIRED", where="true", limit=10)
    assert len(move("EXPIRED", sweep, {}, at=NOW)) == 1
    assert move("EXPIRED", sweep, {}, at=NOW) == []
