"""Third-party SMSC for tests: the server of npm's package `smpp`, with its events and commands.

It needs Node.js and `npm ci --prefix tests/peers`.
"""

import json
import shutil
import signal
import subprocess
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

from config.run.processes import dying_with_us, wait_until
from testkit.stack import Asked

PEERS = Path(__file__).resolve().parent.parent / "tests" / "peers"
MISSING = "the SMSC simulator is missing: install Node.js, then `npm ci --prefix tests/peers`"
PASSWORD = "hunter2"
SOON = 15.0


def is_installed() -> bool:
    return shutil.which("node") is not None and (PEERS / "node_modules" / "smpp").is_dir()


class Simulator:
    """The SMSC's process with its events and commands."""

    def __init__(self, password: str = PASSWORD) -> None:
        self.process = subprocess.Popen(
            ["node", "smsc.js", password],
            cwd=PEERS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509  started from the main thread
        )
        self.events: list[dict[str, Any]] = []
        self._numbers = count()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        assert wait_until(lambda: bool(self.of("listening")), SOON)
        self.port = int(self.of("listening")[0]["port"])

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append({**json.loads(line), "at": time.time()})

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    def do(self, what: str, **more: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()

    def answers(self, how: str, count: int = 0) -> None:
        self.do("answer", **{"with": how, "count": count})

    def submits(self, asked: Asked) -> list[dict[str, Any]]:
        """Submits of a code until now. Aval may have recorded an answer before we have heard of its submit."""
        self._catch_up()
        return [each for each in self.of("submitted") if each["to"] == f"51{asked.phone}"]

    def _catch_up(self) -> None:
        """Wait for all events until now: they come in order, and a last one is asked for."""
        number = next(self._numbers)
        self.do("mark", number=number)
        assert wait_until(lambda: any(each["number"] == number for each in self.of("mark")), SOON)

    def next(self, event: str, after: int) -> bool:
        """Wait until there are more than `after` events of this kind."""
        return wait_until(lambda: len(self.of(event)) > after, SOON)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self._listener.join(5)
        self.process.stdout.close()
