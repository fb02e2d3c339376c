"""Keyset pagination of the staff API, newest first. No page costs more than another, and no total is counted.

The cursor is a row's (created_at, id), the whole of the index. DRF's own pages by the first of the two and counts off
the rows that share it, up to a thousand: a campaign writes a hundred thousand messages at one moment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import QuerySet

from external_api.frontdoor.errors import InvalidFields
from external_api.frontdoor.keyset import Position


@dataclass(frozen=True)
class Cursor:
    """Cursor of a page beside a position: `n`, the older rows; `p`, the newer ones."""

    direction: str
    position: Position

    @classmethod
    def read(cls, text: str) -> "Cursor":
        direction, position = text[:1], Position.read(text[1:])
        if direction not in ("n", "p") or position is None:
            raise InvalidFields({"cursor": ["No es un cursor válido."]})
        return cls(direction, position)

    def __str__(self) -> str:
        return f"{self.direction}{self.position}"


def page(
    rows: QuerySet[Any], *, asked: dict[str, Any], given: dict[str, str], path: str, present: Callable[[Any], Any]
) -> dict[str, Any]:
    """The answer: one page of `rows`, each through `present`, and the links of the pages beside it.

    Links begin with PUBLIC_URL (any caller can set the Host header) and repeat the parameters in `given`.
    """
    cursor = Cursor.read(asked["cursor"]) if asked["cursor"] else None
    backwards = cursor is not None and cursor.direction == "p"
    found = list(_beside(rows, cursor)[: asked["limit"] + 1])
    more = len(found) > asked["limit"]
    shown = found[: asked["limit"]]
    if backwards:
        shown.reverse()

    def link(direction: str, row: Any) -> str:
        here = Cursor(direction, Position.of(row))
        return f"{settings.PUBLIC_URL}{path}?{urlencode({**given, 'cursor': str(here)})}"

    return {
        "data": [present(row) for row in shown],
        "next": link("n", shown[-1]) if shown and (more or backwards) else None,
        "previous": link("p", shown[0]) if shown and (more if backwards else cursor is not None) else None,
    }


def _beside(rows: QuerySet[Any], cursor: Cursor | None) -> QuerySet[Any]:
    """Rows after the cursor in its direction, the nearest first."""
    if cursor is None:
        return rows.order_by("-created_at", "-id")
    return cursor.position.newer(rows) if cursor.direction == "p" else cursor.position.older(rows)
