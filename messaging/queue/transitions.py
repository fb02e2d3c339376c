"""State machine of messages: every change of state is one conditional UPDATE that also writes the event
(messaging.transitions_sql).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from clients.postgresql import Statement, exchange, execute_with_commit
from messaging.models import Message
from messaging.transitions_sql import RECORD_SENT

S = Message.State

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


def move(
    to: str, statements: Mapping[str, str], params: dict[str, Any], *, at: datetime, detail: str = ""
) -> list[Moved]:
    """Move messages to the state `to`, if TRANSITIONS allows it. Returns the messages moved.

    `statements`: one of the constants of `messaging.transitions_sql`, which says which messages; `params` are its
    parameters. `detail` goes into the event.
    """
    (rows,) = exchange(_statement(to, statements, params, at=at, detail=detail))
    moved = [Moved(*row) for row in rows]
    if moved and to in NOT_TAKEN:
        for listener in _listeners:
            listener(moved, to, at)
    return moved


def move_with_commit(
    to: str, statements: Mapping[str, str], params: dict[str, Any], *, at: datetime, detail: str = ""
) -> None:
    """`move` to a state that no listener waits for, in the exchange that commits the caller's transaction."""
    if to in NOT_TAKEN:
        raise ValueError(f"listeners wait for {to}, after the statement that moved to it")
    execute_with_commit(_statement(to, statements, params, at=at, detail=detail))


def _statement(
    to: str, statements: Mapping[str, str], params: dict[str, Any], *, at: datetime, detail: str
) -> Statement:
    return statements[to], {**params, "at": at, "detail": detail[:300]}


@dataclass(frozen=True)
class Sent:
    """A message that a provider took, with the claim under which it was handed over."""

    id: UUID
    claim: UUID | None
    provider_id: str
    reply: str
    at: datetime


def sent_together(batch: Sequence[Sent]) -> set[UUID]:
    """Move messages to SENT. Returns the ids of those that moved.

    Like `move`, in one statement for all: a commit for each mail would cost more than sending it.
    """
    answers = [
        {
            "id": str(each.id),
            "claim": str(each.claim) if each.claim else None,
            "provider_id": each.provider_id[:200],
            "reply": each.reply[:300],
            "at": each.at.isoformat(),
        }
        for each in batch
    ]
    (rows,) = exchange((RECORD_SENT, {"answers": json.dumps(answers)}))
    return {row[0] for row in rows}
