"""Reasons why a message or a code came to nothing: a closed list of words, which partners read.

A word follows from our own states alone. What a provider wrote stays with staff: it may hold a number, a mailbox or a
name. `support.cases.diagnosis` uses the same words for what it explains to agents.
"""

from enum import StrEnum

from messaging.delivery.mail_bounces import NOT_TRIED
from messaging.models import Message

S = Message.State


class Reason(StrEnum):
    """The closed list. The words are the partners' API's (docs/contracts/partners.md, Reasons)."""

    REFUSED = "refused"  # no provider took it
    SUPPRESSED = "suppressed"  # it was not tried: the mailbox had bounced
    NOT_DELIVERABLE = "not_deliverable"  # a provider took it and could not deliver it
    UNCLEAR = "unclear"  # a provider gave no clear answer: perhaps it arrived
    STUCK = "stuck"  # it did not leave the queue in time
    CANCELLED = "cancelled"  # it was cancelled or replaced first
    NOT_ENTERED = "not_entered"  # of a code: it left, and nobody typed it
    WRONG = "wrong"  # of a code: what was typed was wrong
    LATE = "late"  # of a code: the right one was typed after its time


_BY_STATE = {
    S.FAILED: Reason.REFUSED,
    S.UNDELIVERED: Reason.NOT_DELIVERABLE,
    S.UNKNOWN: Reason.UNCLEAR,
    S.EXPIRED: Reason.STUCK,
    S.CANCELLED: Reason.CANCELLED,
}


def of_message(state: str, reply: str) -> Reason | None:
    """Why a message in this state did not arrive, as far as is known. None: it may still, or it did."""
    if state == S.FAILED and reply == NOT_TRIED:
        return Reason.SUPPRESSED
    return _BY_STATE.get(S(state))


def expression(state: str, reply: str) -> str:
    """SQL expression for `of_message`; the arguments are SQL, too."""
    words = " ".join(f"WHEN '{each}' THEN '{reason}'" for each, reason in _BY_STATE.items())
    return (
        f"CASE WHEN {state} = '{S.FAILED}' AND {reply} = '{NOT_TRIED}' THEN '{Reason.SUPPRESSED}'"
        f" ELSE CASE {state} {words} END END"
    )
