"""Rows of a test twin: how many it may hold, and how they go."""

from datetime import datetime

from django.db import connection, transaction

from clients.retention import erase_authorized
from clients.twins import MOST_ROWS, TwinIsFull
from tokens.twins import sql


def check_room(twin: int) -> None:
    """Raises TwinIsFull where the twin holds MOST_ROWS of any kind."""
    with connection.cursor() as cursor:
        cursor.execute(sql.IS_FULL, {"twin": twin, "most": MOST_ROWS})
        if cursor.fetchone()[0]:
            raise TwinIsFull


def empty(twin: int, *, at: datetime) -> int:
    """Delete the twin's clients, codes and messages with its outbox; return how many rows. Keys and events stay.

    A message that a worker has is deleted too: its answer then finds no row.
    """
    params = {"twin": twin}
    gone = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (sql.LOCK_APPLICANTS, sql.LOCK_CODES, sql.LOCK_MESSAGES):
            cursor.execute(statement, params)
        for statement in sql.EMPTY.values():
            cursor.execute(statement, params)
            gone += int(cursor.rowcount)
        cursor.execute(sql.CLIENTS, params)
        gone += erase_authorized([row[0] for row in cursor.fetchall()], at=at)
    return gone
