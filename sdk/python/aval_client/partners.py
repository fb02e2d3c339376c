"""API for partners: the partner itself, its usage, its messages, its codes and pages of its events."""

from collections.abc import Sequence
from datetime import date
from typing import Any, cast

from aval_client.events import FeedPage
from aval_client.shapes.partners import EventsPage, Grouping, Me, Message, Usage, Verification
from aval_client.transport import Call, Transport, segment

PATH = "/partners/v1"
RETRY_AFTER = 5.0
"""Seconds between two readings of a feed that is up to date, where the answer does not say."""


class Partners:
    """`/partners/v1`, with either credential."""

    def __init__(self, transport: Transport, credential: str) -> None:
        self._transport = transport
        self._credential = credential

    def me(self) -> Me:
        """The partner, its limits and its live credentials."""
        return cast(Me, self._get("/me"))

    def usage(self, *, since: date | str | None = None, until: date | str | None = None, by: Grouping = "day") -> Usage:
        """Messages and codes by day, via or outcome; days of Lima. This month where no day is given."""
        days = {name: str(day) for name, day in (("from", since), ("to", until)) if day is not None}
        return cast(Usage, self._get("/usage", **days, by=by))

    def message(self, message_id: str) -> Message:
        """State of a message."""
        return cast(Message, self._get(f"/messages/{segment(message_id)}"))

    def verification(self, token_id: str) -> Verification:
        """Outcome of a code."""
        return cast(Verification, self._get(f"/verifications/{segment(token_id)}"))

    def events_page(
        self, after: str | None = None, *, types: Sequence[str] | None = None, limit: int = 1000
    ) -> EventsPage:
        """One page of the feed. `Aval.events` reads page after page."""
        return self.feed_page(after, types, limit).body

    def feed_page(self, after: str | None, types: Sequence[str] | None, limit: int) -> FeedPage:
        """One page of the feed with the seconds to wait after it."""
        params: dict[str, Any] = {"limit": limit}
        if after is not None:
            params["after"] = after
        if types is not None:
            params["types"] = ",".join(types)
        body, answer = self._transport.json_and_answer(self._call("/events", params))
        wait = answer.retry_after
        return FeedPage(cast(EventsPage, body), RETRY_AFTER if wait is None else wait)

    def _get(self, path: str, **params: Any) -> Any:
        return self._transport.json(self._call(path, params))

    def _call(self, path: str, params: dict[str, Any]) -> Call:
        return Call("GET", PATH + path, self._credential, params=params, is_safe=True)
