"""Journal of erasures: a file outside the database, from which they are repeated after a restore.

A line is a JSON object with the moment and the erased row, by type and id. It holds no value of the person: to whoever
has no copy of the database it says nothing.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from django.db import OperationalError
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive

from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient
from messaging.retention import MessageBeingSent
from support.cases.actions import Agent
from support.cases.person_search import Registered
from support.privacy import erasure

_MODELS = {model._meta.label_lower: model for model in (Applicant, AuthorizedClient, ExternalClient)}


class NotAJournal(Exception):
    """A line that is none of a journal; `line` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line} is none of a journal of erasures")
        self.line = line


@dataclass(frozen=True)
class Erased:
    """One row of a person who was erased."""

    at: datetime
    type: str
    id: str

    def as_line(self) -> str:
        return json.dumps(asdict(self) | {"at": self.at.isoformat()})


@dataclass
class Repeated:
    """What became of the entries of a journal."""

    again: int = 0  # persons erased again, with all rows that the backup has of them
    nothing: int = 0  # rows that are erased already, or that the backup has not
    failed: int = 0  # rows whose person is busy: to be tried again


def erasures(*, since: datetime) -> Iterator[Erased]:
    """Erasures of the audit since a moment, oldest first."""
    entries = AuditEntry.objects.filter(action=erasure.ERASED, at__gte=since).order_by("at", "pk")
    for entry in entries.iterator(chunk_size=1000):
        yield Erased(entry.at, entry.object_type, entry.object_id)


def parse(lines: Iterable[str]) -> list[Erased]:
    """Entries of a journal, each once. Raises NotAJournal."""
    found: dict[Erased, None] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found[_parsed(line, number)] = None
    return list(found)


def _parsed(line: str, number: int) -> Erased:
    try:
        given = json.loads(line)
        at = parse_datetime(given["at"])
        if at is None or is_naive(at) or given["type"] not in _MODELS:
            raise NotAJournal(number)
        _MODELS[given["type"]]._meta.pk.to_python(given["id"])
    except (ValueError, TypeError, KeyError) as fault:
        raise NotAJournal(number) from fault
    except Exception as fault:  # ValidationError of a field
        raise NotAJournal(number) from fault
    return Erased(at, given["type"], str(given["id"]))


def repeat(entries: Iterable[Erased], *, by: str, at: datetime) -> Repeated:
    """Erase again who was erased, in the order of then. Each person in a transaction of their own; may be run again."""
    done = Repeated()
    for entry in entries:
        row = _row_of(entry)
        if row is None:
            done.nothing += 1
            continue
        reason = f"se repite el borrado del {entry.at.isoformat()}: la base fue restaurada de un respaldo"
        try:
            erased = erasure.erase(row, Agent(by=by, reason=reason, at=at, address=""))
        except (MessageBeingSent, OperationalError):
            done.failed += 1
            continue
        if erased is None:
            done.nothing += 1
        else:
            done.again += 1
    return done


def _row_of(entry: Erased) -> Registered | None:
    """The row, unless it is erased or was made after its erasure: then its id was given a second time, to another."""
    rows = cast(Any, _MODELS[entry.type]).objects.select_related("partner")
    row: Registered | None = rows.filter(pk=entry.id, created_at__lte=entry.at).first()
    return row
