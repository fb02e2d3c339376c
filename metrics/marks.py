"""Marks: rows that say how far something was read, and whose lock makes one process at a time do it."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from metrics import sql


class MarkRow(NamedTuple):
    """A row of `metrics.models.Mark`."""

    name: str
    origin: str
    position: int
    until: datetime | None
    missing: list[dict[str, Any]]


def lock(cursor: Any, name: str) -> MarkRow | None:
    """The mark of a source, locked until the transaction ends; None: another process has it."""
    cursor.execute(sql.BEGIN_MARK, {"name": name})
    cursor.execute(sql.LOCK_MARK, {"name": name})
    row = cursor.fetchone()
    return None if row is None else MarkRow(name, row[0], row[1], row[2], json.loads(row[3]))


def keep(
    cursor: Any, name: str, origin: str, position: int, until: datetime | None, missing: list[dict[str, Any]]
) -> None:
    """Move a mark that is locked."""
    values = {"name": name, "origin": origin, "position": position, "until": until, "missing": json.dumps(missing)}
    cursor.execute(sql.KEEP_MARK, values)
