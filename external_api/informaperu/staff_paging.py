"""Pages of the staff API: by cursor, newest first. No page costs more than another, and none is counted.

The cursor is a row's (created_at, id), the whole of the index. DRF's own pages by the first of the two and counts off
the rows that share it, up to a thousand: a campaign writes a hundred thousand messages at one moment.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from external_api.frontdoor.refusals import InvalidFields

_CURSOR = re.compile(r"([np])([0-9]{15,17})-([0-9a-f]{32})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Cursor:
    """A page begins beside this row: `n`, the older ones; `p`, the newer ones."""

    direction: str
    at: datetime
    id: UUID

    @classmethod
    def read(cls, text: str) -> "Cursor":
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise InvalidFields({"cursor": ["No es un cursor válido."]})
        direction, microseconds, id_ = match.groups()
        return cls(direction, _EPOCH + int(microseconds) * _MICROSECOND, UUID(id_))

    def __str__(self) -> str:
        return f"{self.direction}{(self.at - _EPOCH) // _MICROSECOND}-{self.id.hex}"


def page(
    rows: QuerySet[Any], *, asked: dict[str, Any], kept: dict[str, str], path: str, present: Callable[[Any], Any]
) -> dict[str, Any]:
    """The answer: one page of `rows`, each put into words by `present`, and where the pages beside it are.

    Links begin with PUBLIC_URL (a Host header is anybody's word) and repeat the parameters in `kept`.
    """
    cursor = Cursor.read(asked["cursor"]) if asked["cursor"] else None
    backwards = cursor is not None and cursor.direction == "p"
    found = list(_beside(rows, cursor)[: asked["limit"] + 1])
    more = len(found) > asked["limit"]
    shown = found[: asked["limit"]]
    if backwards:
        shown.reverse()

    def link(direction: str, row: Any) -> str:
        here = Cursor(direction, row.created_at, row.pk)
        return f"{settings.PUBLIC_URL}{path}?{urlencode({**kept, 'cursor': str(here)})}"

    return {
        "data": [present(row) for row in shown],
        "next": link("n", shown[-1]) if shown and (more or backwards) else None,
        "previous": link("p", shown[0]) if shown and (more if backwards else cursor is not None) else None,
    }


def _beside(rows: QuerySet[Any], cursor: Cursor | None) -> QuerySet[Any]:
    """What follows the cursor in its direction, the nearest first: one range of the index (created_at, id)."""
    newest_first = rows.order_by("-created_at", "-id")
    if cursor is None:
        return newest_first
    row, here = (F("created_at"), F("id")), (cursor.at, cursor.id)
    if cursor.direction == "p":
        return rows.filter(TupleGreaterThan(row, here)).order_by("created_at", "id")
    return newest_first.filter(TupleLessThan(row, here))
