"""Answer of an installation: status, headers and whole body."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx


@dataclass(frozen=True)
class Answer:
    """A complete answer."""

    status: int
    reason: str
    headers: httpx.Headers
    content: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds of `Retry-After`. Aval sends seconds; a proxy before it may send a date."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())

    def json_or_none(self) -> Any:
        try:
            return json.loads(self.content)
        except ValueError:
            return None
