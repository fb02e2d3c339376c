"""Sealing anew, with the first key, of everything that is kept sealed, and a count of what still needs another key.

Rows are taken in batches with SKIP LOCKED, so that nobody waits; what was locked is still counted, and the next run
takes it. A run may be stopped at any point.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import BinaryField, F, Func, Model, QuerySet, Value

from clients import authenticators, sealing
from clients.authenticators import Authenticator
from external_api.frontdoor import idempotency
from external_api.models import IdempotentAnswer
from messaging import sql
from messaging.queue import sealing as code_seal
from staff import session_store
from webhooks import signing
from webhooks.models import Endpoint

BATCH = 100
"""Rows of a transaction."""
_NEWEST, _FORMER, _LOST = "newest", "former", "lost"


@dataclass(frozen=True)
class Found:
    """What is kept of one kind: sealed anew by this run, still of another accepted key, and of none."""

    name: str
    anew: int = 0
    former: int = 0
    lost: int = 0


@dataclass(frozen=True)
class SealedColumn:
    """A column that holds seals of `clients.sealing`. `rows`: those that have one."""

    name: str
    column: str
    purpose: str
    owner: Callable[[Any], object]
    rows: Callable[[], QuerySet[Any]]
    plain_until_now: bool = False  # rows of older versions are not sealed

    def is_newest(self, row: Model) -> bool:
        return sealing.is_newest(self.purpose, self._text(row), owner=str(self.owner(row)))

    def resealed(self, row: Model) -> str | bytes:
        """Raises CannotUnseal."""
        text, owner = self._text(row), str(self.owner(row))
        if self.plain_until_now and not sealing.is_sealed(text):
            return authenticators.sealed(text, user_id=cast(Authenticator, row).user_id)
        anew = sealing.seal(self.purpose, sealing.unseal(self.purpose, text, owner=owner), owner=owner)
        return anew if isinstance(getattr(row, self.column), str) else anew.encode()

    def _text(self, row: Model) -> str:
        value = getattr(row, self.column)
        return value if isinstance(value, str) else bytes(value).decode()


def _sealed_answers() -> QuerySet[IdempotentAnswer]:
    beginning = Func(F("body"), Value(1), Value(3), function="substr", output_field=BinaryField())
    return IdempotentAnswer.objects.alias(beginning=beginning).filter(beginning=idempotency.SEAL_MARK)


COLUMNS = (
    SealedColumn(
        "authenticator apps",
        "key",
        authenticators.PURPOSE,
        lambda row: row.user_id,
        Authenticator.objects.all,
        plain_until_now=True,
    ),
    SealedColumn(
        "webhook secrets", "secret", signing.PURPOSE, lambda row: row.pk, lambda: Endpoint.objects.exclude(secret="")
    ),
    SealedColumn(
        "former webhook secrets",
        "former_secret",
        signing.PURPOSE,
        lambda row: row.pk,
        lambda: Endpoint.objects.exclude(former_secret=""),
    ),
    SealedColumn("kept answers", "body", idempotency.PURPOSE, lambda row: row.pk, _sealed_answers),
)


def reseal(*, at: datetime) -> list[Found]:
    """Seal everything anew, then count what is still of another key. Sessions are counted only: each is sealed anew
    when it is used, and ends within hours."""
    resealed = [(column, _reseal_column(column)) for column in COLUMNS]
    found = [_counted(column.name, anew, _states_of_column(column)) for column, anew in resealed]
    found.append(_counted("codes in the queue", _reseal_codes(), _states_of_codes()))
    found.append(_counted("sessions of staff", 0, _states_of_sessions(at)))
    return found


def _reseal_column(column: SealedColumn) -> int:
    """Returns how many rows are sealed anew."""
    done, last = 0, None
    while True:
        with _unhurried():
            rows = list(_page(column.rows().select_for_update(skip_locked=True, no_key=True, of=("self",)), last))
            for row in rows:
                done += _reseal_row(column, row)
        if not rows:
            return done
        last = rows[-1].pk


def _reseal_row(column: SealedColumn, row: Any) -> bool:
    if _state(column.is_newest(row), partial(column.resealed, row)) != _FORMER:
        return False
    return bool(column.rows().filter(pk=row.pk).update(**{column.column: column.resealed(row)}))


def _page(rows: QuerySet[Any], last: Any) -> QuerySet[Any]:
    return (rows if last is None else rows.filter(pk__gt=last)).order_by("pk")[:BATCH]


def _rows_of(rows: QuerySet[Any]) -> Iterator[Any]:
    last = None
    while True:
        with _unhurried():
            page = list(_page(rows, last))
        yield from page
        if not page:
            return
        last = page[-1].pk


@contextmanager
def _unhurried() -> Iterator[None]:
    """Transaction whose statements may take a minute: the few sealed answers are among a day's answers."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '60s'")
        yield


def _counted(name: str, anew: int, states: Iterator[str]) -> Found:
    found = Counter(states)
    return Found(name, anew, found[_FORMER], found[_LOST])


def _state(is_newest: bool, unseal: Callable[[], object]) -> str:
    if is_newest:
        return _NEWEST
    try:
        unseal()
    except (sealing.CannotUnseal, code_seal.CannotUnseal):
        return _LOST
    return _FORMER


def _states_of_column(column: SealedColumn) -> Iterator[str]:
    for row in _rows_of(column.rows()):
        yield _state(column.is_newest(row), partial(column.resealed, row))


def _states_of_sessions(at: datetime) -> Iterator[str]:
    for row in _rows_of(Session.objects.filter(expire_date__gt=at)):
        purpose, data = session_store.PURPOSE, row.session_data
        yield _state(sealing.is_newest(purpose, data), partial(sealing.unseal, purpose, data))


def _sealed_codes() -> list[tuple[UUID, bytes]]:
    with connection.cursor() as cursor:
        cursor.execute(sql.SEALED)
        return [(key, bytes(sealed)) for key, sealed in cursor.fetchall()]


def _states_of_codes() -> Iterator[str]:
    for _, sealed in _sealed_codes():
        yield _state(code_seal.is_newest(sealed), partial(code_seal.unseal, sealed))


def _reseal_codes() -> int:
    """Each by a statement of its own: a worker that has read the former seal opens it all the same."""
    done = 0
    for key, former in _sealed_codes():
        if _state(code_seal.is_newest(former), partial(code_seal.unseal, former)) != _FORMER:
            continue
        with connection.cursor() as cursor:
            cursor.execute(sql.RESEAL, {"id": key, "former": former, "anew": code_seal.resealed(former)})
            done += cursor.rowcount
    return done
