"""Destination keys: one mailbox is one destination on the ladder, however it is spelled.

`+tag` is dropped, and for Gmail also dots and its other domain. What is stored and answered is as it was given. The key
is a function of PostgreSQL (migration 0007), so that an index over it bounds the ladder without a column.
"""

from collections.abc import Iterable

from django.db import connection
from django.db.models import F, Func, Value

KEY = "tokens_destination_key"


def key_of(name: str = "destination") -> Func:
    return Func(F(name), function=KEY)


def key_of_text(destination: str) -> Func:
    return Func(Value(destination), function=KEY)


def is_to(via: str, parameter: str = "%(destination)s") -> str:
    """SQL condition: the row has the parameter's destination. Mail's via is a literal, for its partial index."""
    if via == "C":
        return f"via = 'C' AND {KEY}(destination) = {KEY}({parameter})"
    return f"via = %(via)s AND destination = {parameter}"


def advisory_lock(via: str, destination: str) -> str:
    """SQL of an advisory lock, held to the end of the transaction. Both parameters are SQL."""
    return f"pg_advisory_xact_lock(hashtextextended({via} || ':' || {KEY}({destination}), 0))"


def lock(via: str, destination: str) -> None:
    """Lock a destination to the end of the transaction: 20 clients asking for one number take one rung, not 20."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {advisory_lock('%s', '%s')}", [via, destination])


def lock_all(destinations: Iterable[tuple[str, str]]) -> None:
    """Lock pairs of via and key, as `key_of` gives them, in one order: so two callers cannot deadlock."""
    for via, key in sorted(set(destinations)):
        lock(via, key)
