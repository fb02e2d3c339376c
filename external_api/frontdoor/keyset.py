"""Keyset cursor: a position in a list that is paged newest first, made of a row's creation time and id.

The rows beside a position are one range of the index (created_at, id), so that no page costs more than another; many
rows may have the same time.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import F, Model, QuerySet
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleGreaterThanOrEqual, TupleLessThan

M = TypeVar("M", bound=Model)

_POSITION = re.compile(r"([0-9]{15,17})-([0-9a-f]{32})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Position:
    """Position of a row in the list; written as `microseconds since 1970-id`."""

    at: datetime
    id: UUID

    @classmethod
    def of(cls, row: Any) -> "Position":
        return cls(row.created_at, row.pk)

    @classmethod
    def read(cls, text: str) -> "Position | None":
        """Parse a position; None for a malformed one."""
        match = _POSITION.fullmatch(text)
        return cls(_EPOCH + int(match[1]) * _MICROSECOND, UUID(match[2])) if match else None

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // _MICROSECOND}-{self.id.hex}"

    def older(self, rows: QuerySet[M]) -> QuerySet[M]:
        """Rows after it in the list, the nearest first."""
        return rows.filter(TupleLessThan(_ROW, (self.at, self.id))).order_by("-created_at", "-id")

    def newer(self, rows: QuerySet[M]) -> QuerySet[M]:
        """Rows before it in the list, the nearest first, and so the oldest."""
        return rows.filter(TupleGreaterThan(_ROW, (self.at, self.id))).order_by("created_at", "id")

    def same_or_newer(self, rows: QuerySet[M]) -> QuerySet[M]:
        """The row at the position and newer ones; their order stays."""
        return rows.filter(TupleGreaterThanOrEqual(_ROW, (self.at, self.id)))


_ROW = (F("created_at"), F("id"))
