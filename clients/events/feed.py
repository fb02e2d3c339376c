"""Feed of a partner's events, without gaps.

Rows become visible when their transactions commit, which is not the order of their ids: a reader that remembers an id
loses what commits later with a lower one. So an event's place is (xid, id), and a page ends before the oldest
transaction that still runs (`pg_snapshot_xmin`): whatever commits afterwards has a place behind it.

A transaction that stays open, in any database of the server, holds the feed up; nothing is lost by it.

Transaction ids do not survive a dump: a restored server may give ids again that a reader has passed. So an epoch
belongs to one server; the first reader of another one begins a new epoch, and cursors of the one before are refused.
Events with ids that this server has not reached are hidden until it does, or until `clients.events.restore` gives them
new places.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clients.errors import Refused
from clients.events import sql
from clients.events.models import new_epoch
from clients.postgresql import exchange

SCANNED = 10_000
"""Most rows that one page looks at. With a filter by type a page may hold fewer, and the next one goes on there."""
MOST = 1000
"""Most events of a page."""
_LAST_ID = 2**63 - 1
_CURSOR = re.compile(r"([0-9a-f]{16})\.([0-9]{1,20})\.([0-9]{1,19})")


class NotACursor(Refused):
    """A text that is no cursor of ours."""


class CursorGone(Refused):
    """Events after this cursor have been removed, or the database was restored since; `oldest` is where to go on."""

    def __init__(self, oldest: "Cursor") -> None:
        super().__init__()
        self.oldest = oldest


@dataclass(frozen=True, slots=True)
class Cursor:
    """Place in the feed, right after an event. (0, 0) is before all that are kept, whatever was removed."""

    epoch: str
    xid: int
    event_id: int

    @property
    def is_start(self) -> bool:
        return not self.xid

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises NotACursor."""
        try:
            plain = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
        except (UnicodeError, binascii.Error):
            raise NotACursor from None
        match = _CURSOR.fullmatch(plain)
        if match is None or int(match[2]) >= 2**64 or int(match[3]) >= 2**63:
            raise NotACursor
        return cls(match[1], int(match[2]), int(match[3]))

    def __str__(self) -> str:
        plain = f"{self.epoch}.{self.xid}.{self.event_id}"
        return base64.urlsafe_b64encode(plain.encode()).decode()


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    type: str
    subject: str
    at: datetime
    data: dict[str, Any]
    test: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Events in their order; `up_to_date`: there was nothing more to read."""

    events: Sequence[Event]
    next: Cursor
    up_to_date: bool


def read(partner_id: int, after: Cursor | None, *, types: Sequence[str] | None = None, limit: int = MOST) -> Page:
    """Events of the partner after this place, at most `limit`; from the oldest that is kept without one.

    Raises CursorGone.
    """
    params = {
        "partner": partner_id,
        "xid": str(after.xid) if after else "0",
        "id": after.event_id if after else 0,
        "types": list(types) if types is not None else None,
        "limit": limit,
        "scanned": limit if types is None else SCANNED,
    }
    (rows,) = exchange((sql.PAGE, params))
    if rows[0][0] is None:  # nobody has read yet, or not since the database was restored
        _, rows = exchange((sql.BEGIN_EPOCH, {"epoch": new_epoch(), "anew": False}), (sql.PAGE, params))
    epoch, oldest_running, last_xid, last_id, looked_at, pruned_xid, pruned_id = rows[0][:7]
    if after is not None and (after.epoch != epoch or _has_missed(after, pruned_xid, pruned_id)):
        raise CursorGone(Cursor(epoch, 0, 0))
    found = [row[7:] for row in rows if row[7] is not None]
    events = [Event(key, kind, about, at, json.loads(data), test) for _, key, kind, about, at, data, test in found]
    is_full = len(found) == limit
    if is_full:
        following = Cursor(epoch, int(found[-1][0]), found[-1][1])
    elif last_xid is not None:
        following = Cursor(epoch, int(last_xid), last_id)
    elif after is None or after.is_start:
        following = Cursor(epoch, int(oldest_running) - 1, _LAST_ID)  # nothing is kept: right before what comes next
    else:
        following = after
    return Page(events, following, up_to_date=not is_full and looked_at < params["scanned"])


def _has_missed(after: Cursor, pruned_xid: str | None, pruned_id: int | None) -> bool:
    """Whether retention removed an event behind this place."""
    if after.is_start or pruned_xid is None or pruned_id is None:
        return False
    return (after.xid, after.event_id) < (int(pruned_xid), pruned_id)
