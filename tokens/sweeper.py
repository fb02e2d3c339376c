"""Sweeper for verification codes: expires overdue ones and gives back the rungs of messages that were never sent."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import connection

from messaging.delivery.sweeper import none_taken, not_taken_lately
from messaging.models import Message
from messaging.queue import channel_fallback
from messaging.queue.transitions import Moved
from messaging.steps import run_each
from tokens import channel_fallback as fallback
from tokens import sql


def give_back(moved: Sequence[Moved], state: str, at: datetime) -> None:
    """Free the rungs, on both ladders, of messages that no provider is known to have taken.

    Where a message certainly never left (FAILED, EXPIRED) a live code ends NO_ENVIADO; with UNKNOWN it may still
    arrive, so the code stays live and can be answered.
    """
    references = [each.reference for each in moved if each.kind == Message.Kind.VERIFICATION and each.reference]
    if channel_fallback.is_enabled():
        references = none_taken(references)
    _return_rungs(references, certainly=state != Message.State.UNKNOWN, at=at)


def sweep(*, at: datetime) -> None:
    """Start due fallbacks, give back rungs that a crash left taken, close codes whose time is up."""
    steps: dict[str, Callable[..., object]] = {
        "fallback": fallback.sweep,
        "catch_up": catch_up,
        "close_expired": close_expired,
    }
    run_each("tokens.sweep", [(name, partial(act, at=at)) for name, act in steps.items()])


def catch_up(*, at: datetime) -> None:
    """Give back the rungs of recent messages that no provider took, where a crash prevented `give_back`."""
    by_certainty: dict[bool, list[UUID]] = {True: [], False: []}
    lately = dict(not_taken_lately(Message.Kind.VERIFICATION, at=at))
    for reference in none_taken(list(lately)) if channel_fallback.is_enabled() else lately:
        by_certainty[lately[reference] != Message.State.UNKNOWN].append(reference)
    for certainly, references in by_certainty.items():
        _return_rungs(references, certainly=certainly, at=at)


def close_expired(*, at: datetime) -> int:
    """End PENDIENTE codes past their 150 s: SIN_RESPUESTA without tries, EXPIRADO with. Return how many."""
    with connection.cursor() as cursor:
        cursor.execute(sql.CLOSE_EXPIRED, {"at": at})
        return int(cursor.fetchone()[0])


def _return_rungs(references: Sequence[UUID], *, certainly: bool, at: datetime) -> None:
    if not references:
        return
    with connection.cursor() as cursor:
        cursor.execute(sql.RETURN_RUNGS, {"at": at, "certainly": certainly, "ids": list(references)})
