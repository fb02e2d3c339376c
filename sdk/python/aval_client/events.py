"""Feed of events as an iterator that reads page after page and waits for news by itself."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aval_client.errors import CursorGone
from aval_client.shapes.partners import Event, EventsPage

OnGone = Literal["raise", "oldest"]


@dataclass(frozen=True)
class FeedPage:
    """Page of the feed, and how many seconds to wait after it if it is up to date."""

    body: EventsPage
    retry_after: float


class Events:
    """Iterator over events. It has no end unless `follow` is False or `stop` is set.

    Store `cursor` when the event at hand is processed, and give it as `after` the next time. Within a page it is still
    the one before that page, because a cursor has no place inside of it: what comes again has the same `id`. After an
    exception the iterator can be used on; it continues where it was.
    """

    def __init__(
        self,
        read: Callable[[str | None], FeedPage],
        sleep: Callable[[float], object],
        *,
        after: str | None,
        follow: bool,
        on_gone: OnGone,
        stop: threading.Event | None,
    ) -> None:
        self.cursor = after
        """What to store once the event at hand is processed."""
        self.up_to_date = False
        """Whether the last page that was read was the end of the feed."""
        self._read = read
        self._sleep = sleep if stop is None else stop.wait
        self._follow = follow
        self._on_gone = on_gone
        self._stop = stop
        self._waiting: deque[Event] = deque()
        self._next = after
        self._retry_after = 0.0

    def __iter__(self) -> "Events":
        return self

    def __next__(self) -> Event:
        while not self._is_stopped():
            if self._waiting:
                event = self._waiting.popleft()
                if not self._waiting:
                    self.cursor = self._next
                return event
            if self.up_to_date:
                if not self._follow:
                    break
                self._sleep(self._retry_after)
                self.up_to_date = False
            else:
                self._load()
        raise StopIteration

    def _load(self) -> None:
        page = self._page()
        self._waiting.extend(page.body["events"])
        self._next, self.up_to_date = page.body["next"], page.body["up_to_date"]
        self._retry_after = page.retry_after
        if not self._waiting:
            self.cursor = self._next

    def _page(self) -> FeedPage:
        try:
            return self._read(self._next)
        except CursorGone as gone:
            if self._on_gone == "raise":
                raise
            self._next = self.cursor = gone.oldest
        return self._read(self._next)

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()
