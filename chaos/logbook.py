"""What a provider took, on disk, and what it was told to do: both outlive whatever is killed around it.

The checker reads logs through `Log`; another provider (an SMSC, say) takes part by having one.
"""

import json
import os
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Arrival:
    """One message that a provider took, whether or not it could say so."""

    at: float  # seconds since 1970, when the last byte was there
    message: str  # our id of it; empty where the provider cannot know: then `to` names it
    to: str  # as we write it: nine digits, or an address
    text: str  # with the code in it, or the code alone
    source: str  # the provider's name in a report of what is wrong


class Log(Protocol):
    """A provider's own word on what it took."""

    def arrivals(self) -> list[Arrival]: ...

    def __len__(self) -> int: ...


class Logbook:
    """An append-only file, a line for each arrival; written by the provider's process, read by the checker."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, arrival: Arrival) -> None:
        """One write of one line: it is there or it is not, whoever dies."""
        line = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(line, (json.dumps(asdict(arrival)) + "\n").encode())
        finally:
            os.close(line)

    def arrivals(self) -> list[Arrival]:
        if not self.path.exists():
            return []
        return [Arrival(**json.loads(line)) for line in self.path.read_text().splitlines()]

    def __len__(self) -> int:
        return self.path.read_bytes().count(b"\n") if self.path.exists() else 0


class Orders:
    """How a provider shall behave from now on: a small file that it reads before each answer.

    `moods` are taken in turn, a request each; `slow` is in seconds, `retry_after` in seconds, `receipts` names how
    they are sent back.
    """

    DEFAULT: dict[str, Any] = {"moods": ["ok"], "slow": 0.0, "retry_after": 1, "receipts": "none", "given": 0.0}

    def __init__(self, path: Path) -> None:
        self.path = path

    def give(self, *moods: str, **more: Any) -> None:
        orders = {**self.DEFAULT, "moods": list(moods) or ["ok"], "given": time.time(), **more}
        new = self.path.with_suffix(f".{random.randrange(10**9)}")
        new.write_text(json.dumps(orders))
        new.replace(self.path)

    def read(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text())) if self.path.exists() else dict(self.DEFAULT)
