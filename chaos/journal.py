"""Files of a fake provider: the journal of what it took, and the control file of its behaviour.

Both survive the death of any process. The checker reads journals through `ArrivalLog`; another provider, such as an
SMSC, takes part by implementing it.
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
    """One message that a provider took, whether or not it could answer."""

    at: float  # seconds since 1970, when the last byte was there
    message: str  # our id; empty where the provider does not know it, and `to` identifies the message
    to: str  # as we write it: nine digits, or an address
    text: str  # with the code in it, or the code alone
    source: str  # the provider's name in a report of what is wrong


class ArrivalLog(Protocol):
    """A provider's own record of what it took."""

    def arrivals(self) -> list[Arrival]: ...

    def __len__(self) -> int: ...


class Journal:
    """Append-only file with a line for each arrival, written by the provider's process and read by the checker."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, arrival: Arrival) -> None:
        """One `write` for one line: it is whole or missing, whatever process dies."""
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, (json.dumps(asdict(arrival)) + "\n").encode())
        finally:
            os.close(fd)

    def arrivals(self) -> list[Arrival]:
        if not self.path.exists():
            return []
        return [Arrival(**json.loads(line)) for line in self.path.read_text().splitlines()]

    def __len__(self) -> int:
        return self.path.read_bytes().count(b"\n") if self.path.exists() else 0


class ControlFile:
    """Behaviour of a provider from now on, in a small file that it reads before each answer.

    `behaviours` are used in turn, one a request. `slow` and `retry_after` are seconds. `receipts` names the way in
    which they are sent: `none`, `early`, `twice` or `unordered`.
    """

    DEFAULT: dict[str, Any] = {"behaviours": ["ok"], "slow": 0.0, "retry_after": 1, "receipts": "none", "set_at": 0.0}

    def __init__(self, path: Path) -> None:
        self.path = path

    def set(self, *behaviours: str, **more: Any) -> None:
        control = {**self.DEFAULT, "behaviours": list(behaviours) or ["ok"], "set_at": time.time(), **more}
        new = self.path.with_suffix(f".{random.randrange(10**9)}")
        new.write_text(json.dumps(control))
        new.replace(self.path)

    def read(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text())) if self.path.exists() else dict(self.DEFAULT)
