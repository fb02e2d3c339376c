"""State machine of messages: every change of state is one conditional UPDATE that also writes the event.

States are literals in the SQL, not parameters: with a bound state the planner never uses the partial indexes for a
prepared statement (docs/adr/0003).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from messaging.models import TRANSITIONS, Message

S = Message.State

_HELD = "claim_id = NULL, lease_until = NULL, handed_over_at = NULL"
_SPENT = "lease_until = NULL, sealed = CASE WHEN kept_until IS NOT NULL THEN sealed END"
_OVER = "sealed = NULL, kept_until = NULL"
_CHANGES = {
    S.QUEUED: _HELD,
    S.SENT: _SPENT + ", sent_at = %(at)s",
    S.DELIVERED: _OVER + ", lease_until = NULL, sent_at = coalesce(sent_at, %(at)s), delivered_at = %(at)s",
    S.UNDELIVERED: _SPENT + ", sent_at = coalesce(sent_at, %(at)s)",
    S.FAILED: _SPENT,
    S.UNKNOWN: _SPENT,  # the claim stays: a late answer of its own may still settle it
    S.EXPIRED: f"{_OVER}, {_HELD}",
    S.CANCELLED: f"{_OVER}, {_HELD}",
}
"""SET clauses of each new state. A code is kept (`kept_until`) only while a fallback may need it."""
_ONLY_BEFORE_HAND_OVER = {S.EXPIRED, S.CANCELLED}

NOT_TAKEN = frozenset({S.FAILED, S.UNKNOWN, S.EXPIRED})
"""States in which no provider is known to have taken the message: the person who asked for it gets the attempt back."""


@dataclass(frozen=True)
class Moved:
    """A message whose state was changed."""

    id: UUID
    kind: str
    reference: UUID | None


_listeners: list[Callable[[Sequence[Moved], str, datetime], None]] = []


def when_not_taken(listener: Callable[[Sequence[Moved], str, datetime], None]) -> None:
    """Register a listener for messages that end FAILED, UNKNOWN or EXPIRED.

    It is called outside the statement that moved them, so that a listener's locks are never taken after a message's.
    A call that is lost in a crash must be made up for by the listener (`Message.reference` and the index
    `message_went_wrong`).
    """
    _listeners.append(listener)


def _guard(to: str) -> str:
    """SQL condition: a state that may change to `to`; for EXPIRED and CANCELLED also that there was no hand-over."""
    sources = [state for state, targets in TRANSITIONS.items() if to in targets]
    allowed = ", ".join(f"'{state}'" for state in sources)
    if to in _ONLY_BEFORE_HAND_OVER:
        return f"state IN ({allowed}) AND (state <> 'SENDING' OR handed_over_at IS NULL)"
    return f"state IN ({allowed})"


def move(
    to: str, where: str, params: dict[str, Any], *, at: datetime, detail: str = "", also: str = "", limit: int = 0
) -> list[Moved]:
    """Move the messages that match `where` (SQL over messaging_message) to the state `to`, if TRANSITIONS allows it.

    `params` are the named parameters of `where` and of `also`, further SET clauses. `detail` goes into the event.
    With a `limit`, locked rows are skipped: that is for sweeps. Returns the messages moved.
    """
    if to == S.SENDING:
        raise ValueError("a message becomes SENDING by a claim (messaging.delivery.send), which writes no event")
    where = f"{_guard(to)} AND {where}"
    if limit:
        # An array, read once: as a join, PostgreSQL may run the inner query for each row while its statistics say that
        # nothing is queued. The locked rows meet the guard, so the update does not check it again.
        rows = f"SELECT id FROM messaging_message WHERE {where} LIMIT {limit:d} FOR UPDATE SKIP LOCKED"  # noqa: S608  as below
        where = f"id = ANY (ARRAY({rows}))"
    changes = ", ".join(part for part in (f"state = '{to}'", _CHANGES[Message.State(to)], also) if part)
    sql = f"""
        WITH moved AS (
            UPDATE messaging_message SET {changes} WHERE {where}
            RETURNING id, kind, reference, attempts, provider
        ), logged AS (
            INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
            SELECT id, %(at)s, '{to}', attempts, provider, %(detail)s FROM moved
        )
        SELECT id, kind, reference FROM moved
    """  # noqa: S608  every piece of the text is a constant of this project; values are bound
    with connection.cursor() as cursor:
        cursor.execute(sql, {**params, "at": at, "detail": detail[:300]})
        moved = [Moved(*row) for row in cursor.fetchall()]
    if moved and to in NOT_TAKEN:
        for listener in _listeners:
            listener(moved, to, at)
    return moved


def sent_together(claim: UUID | None, rows: Sequence[tuple[UUID, str, str]], *, at: datetime) -> set[UUID]:
    """Move messages of one claim to SENT. `rows`: (id, provider's id, reply) of each. Returns the ids that moved.

    Like `move`, in one statement for all: a commit for each mail would cost more than sending it.
    """
    answers = [{"id": str(each), "provider_id": name[:200], "reply": reply[:300]} for each, name, reply in rows]
    sql = f"""
        WITH answer AS (
            SELECT * FROM json_to_recordset(%(answers)s::json) AS each(id uuid, provider_id text, reply text)
        ), moved AS (
            UPDATE messaging_message AS message
            SET state = 'SENT', {_CHANGES[S.SENT]}, lane = '', provider_reply = answer.reply,
                provider_id = answer.provider_id
            FROM answer WHERE message.id = answer.id AND message.claim_id = %(claim)s AND {_guard(S.SENT)}
            RETURNING message.id, message.attempts, message.provider, answer.reply
        )
        INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
        SELECT id, %(at)s, 'SENT', attempts, provider, reply FROM moved RETURNING message_id
    """  # noqa: S608  as above
    with connection.cursor() as cursor:
        cursor.execute(sql, {"answers": json.dumps(answers), "claim": claim, "at": at})
        return {row[0] for row in cursor.fetchall()}
