"""Ladder keys: which codes count on one ladder of a destination.

For all but test twins the key is via and destination, where one mailbox is one destination however it is spelled:
`+tag` is dropped, and for Gmail also dots and its other domain. The key of a mailbox is a function of PostgreSQL
(migration 0007), so that an index over it bounds the ladder without a column. A twin's key is the twin, via and
destination as it is spelled, with its `+tag`, which may be a test recipient's. What is stored and answered is as it was
given.
"""

from collections.abc import Iterable

from django.db import connection
from django.db.models import Case, F, Func, Value, When

KEY = "tokens_destination_key"


def key_of(name: str = "destination") -> Func:
    return Func(F(name), function=KEY)


def key_of_text(destination: str) -> Func:
    return Func(Value(destination), function=KEY)


def key_on_its_ladder() -> Case:
    """The destination of a row as its ladder has it."""
    return Case(When(twin__isnull=False, then=F("destination")), default=key_of())


def is_to(via: str, parameter: str = "%(destination)s", *, twin: str = "") -> str:
    """SQL condition: the row is on the ladder of the parameter's destination, of a twin (SQL, too) where one is given.
    Mail's via is a literal, for its partial index."""
    if twin:
        return f"via = %(via)s AND destination = {parameter} AND twin_id = {twin}"
    if via == "C":
        return f"via = 'C' AND {KEY}(destination) = {KEY}({parameter}) AND twin_id IS NULL"
    return f"via = %(via)s AND destination = {parameter} AND twin_id IS NULL"


def advisory_lock(via: str, destination: str, *, twin: str = "") -> str:
    """SQL of an advisory lock, held to the end of the transaction. The arguments are SQL too."""
    key = f"'t' || {twin}::text || ':' || {via} || ':' || {destination}"
    if not twin:
        key = f"{via} || ':' || {KEY}({destination})"
    return f"pg_advisory_xact_lock(hashtextextended({key}, 0))"


def lock(via: str, destination: str, twin_id: int | None = None) -> None:
    """Lock a destination to the end of the transaction: 20 clients asking for one number take one rung, not 20."""
    with connection.cursor() as cursor:
        if twin_id is None:
            cursor.execute(f"SELECT {advisory_lock('%s', '%s')}", [via, destination])
        else:
            cursor.execute(f"SELECT {advisory_lock('%s', '%s', twin='%s')}", [twin_id, via, destination])


def lock_all(destinations: Iterable[tuple[str, str, int | None]]) -> None:
    """Lock triples of via, key on its ladder and twin, in one order: so two callers cannot deadlock."""
    for via, key, twin_id in sorted(set(destinations), key=lambda each: (each[0], each[1], each[2] or 0)):
        lock(via, key, twin_id)
