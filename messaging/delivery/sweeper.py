"""Sweeper for messages, run by beat every two seconds: recovers those of killed workers and of lost wake-ups.

Every statement is a claim or a conditional UPDATE over a partial index. So two sweeps at once do no harm, and the cost
depends on live messages, not on the history.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection

from messaging import sql
from messaging.delivery import failover
from messaging.queue import channel_fallback, wakeup
from messaging.queue.names import QUEUES
from messaging.queue.transitions import move
from messaging.steps import run_each
from messaging.transitions_sql import EXPIRE, GIVE_UP_LAPSED, RETURN_LAPSED
from messaging.twins import sandbox

GATEWAY_QUEUE_TIMEOUT = timedelta(seconds=5)
"""Time a message waits for the process of its gateway before it goes back to the queue of all workers."""
SILENT_PROCESS = "su proceso no recoge los mensajes"
"""Reason for which the circuit is then opened. The gateway's process closes it when it runs again (messaging.smpp)."""


def sweep(*, at: datetime) -> None:
    """Expire messages, return lapsed claims to the queue, make lapsed hand-overs UNKNOWN, and wake workers.

    A step that fails does not prevent the others (messaging.steps).
    """
    ways: tuple[tuple[str, dict[str, str], str], ...] = (
        ("EXPIRED", EXPIRE, "venció antes de salir"),
        ("QUEUED", RETURN_LAPSED, "reclamo vencido"),
        ("UNKNOWN", GIVE_UP_LAPSED, "sin respuesta"),
    )
    moves = [(to, partial(move, to, statements, {}, at=at, detail=detail)) for to, statements, detail in ways]
    wakes = [(queue, partial(_wake_if_due, queue, at=at)) for queue in QUEUES]
    late = partial(sandbox.report_late, at=at)
    gateway_queues, seals = partial(free_gateway_queues, at=at), partial(channel_fallback.drop_expired_seals, at=at)
    run_each("messaging.sweep", [*moves, ("lanes", gateway_queues), ("seals", seals), ("twins", late), *wakes])


def _wake_if_due(queue: str, *, at: datetime) -> None:
    if is_due(queue, at=at):
        wakeup.wake(queue)


def free_gateway_queues(*, at: datetime) -> None:
    """Move messages that a gateway's process does not take back to the queue of all workers; open its circuit."""
    with connection.cursor() as cursor:
        cursor.execute(sql.FREE_GATEWAY_QUEUES, {"late": at - GATEWAY_QUEUE_TIMEOUT, "at": at})
        silent = [name for (name,) in cursor.fetchall()]
    for name in silent:
        failover.open_circuit(name, SILENT_PROCESS, at=at)


def none_taken(references: Sequence[UUID]) -> list[UUID]:
    """References of which no message was taken by a provider, or may still be. A fallback counts as an attempt."""
    with connection.cursor() as cursor:
        cursor.execute(sql.NONE_TAKEN, {"references": list(references)})
        return [row[0] for row in cursor.fetchall()]


def is_due(queue: str, *, at: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql.IS_DUE[queue], {"at": at})
        return bool(cursor.fetchone()[0])


LOOKBACK = timedelta(hours=1)
"""Period in which a listener that missed a call searches by itself; far longer than any restart."""


def not_taken_lately(kind: str, *, at: datetime) -> list[tuple[UUID, str]]:
    """(reference, state) of messages of the last hour that no provider is known to have taken: the newest 1,000."""
    with connection.cursor() as cursor:
        cursor.execute(sql.NOT_TAKEN_LATELY, {"since": at - LOOKBACK, "kind": kind})
        return list(cursor.fetchall())
