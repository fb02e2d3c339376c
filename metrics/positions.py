"""Position in an append-only table that is read by its ascending ids, without losing rows that commit late.

An id is given when a row is inserted, and the row becomes visible when its transaction commits: below the highest id
that was read there may be ids of transactions that still ran. They are remembered as missing and looked for each time,
until all transactions that ran then have ended (`pg_snapshot_xmin`): an id that is not there by then was rolled back.
An id is taken from the sequence a moment before its transaction has an id of its own, so that a missing one is also
kept for a minute in any case.

The rows themselves are not asked for their transactions (`xmin`): an erasure that blanks a row gives it another one.

Arithmetic only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

KEPT_FOR = timedelta(seconds=60)
"""Least time for which a missing id is looked for."""
MOST_MISSING = 50_000
"""Missing ids that are remembered; of more, which only a huge statement that was rolled back leaves, the newest."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Ids that were not visible at `at`. `xid`: the next transaction's id then."""

    ids: tuple[int, ...]
    xid: int
    at: datetime

    def as_json(self) -> dict[str, Any]:
        return {"ids": list(self.ids), "xid": self.xid, "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Missing":
        return cls(tuple(data["ids"]), int(data["xid"]), datetime.fromisoformat(data["at"]))


@dataclass(frozen=True, slots=True)
class Position:
    """Every row up to `highest` has been read, but for the missing ones."""

    highest: int
    missing: tuple[Missing, ...] = ()

    @property
    def missing_ids(self) -> list[int]:
        return [number for each in self.missing for number in each.ids]

    def after(self, seen: Iterable[int], *, oldest_running: int, next_xid: int, at: datetime) -> "Position":
        """The position after a read that has returned the rows `seen`.

        `oldest_running` was asked before the read, `next_xid` after it.
        """
        found = set(seen)
        highest = max(found, default=self.highest)
        highest = max(highest, self.highest)
        known = [_without(each, found) for each in self.missing if not _is_over(each, oldest_running, at)]
        gap = [number for number in _between(self.highest, highest) if number not in found][-MOST_MISSING:]
        if gap:
            known.append(Missing(tuple(gap), next_xid, at))
        return Position(highest, tuple(each for each in known if each.ids))


def _between(low: int, high: int) -> Sequence[int]:
    """Ids above `low` and up to `high`."""
    return range(max(low, high - 10 * MOST_MISSING) + 1, high + 1)


def _without(missing: Missing, found: set[int]) -> Missing:
    return Missing(tuple(number for number in missing.ids if number not in found), missing.xid, missing.at)


def _is_over(missing: Missing, oldest_running: int, at: datetime) -> bool:
    """Whether every transaction that may have these ids had ended before the read."""
    return oldest_running >= missing.xid and at - missing.at >= KEPT_FOR
