"""Circuit breaker: decides when to open, from a sliding window over the calls of one worker process to one provider.

Arithmetic only, without I/O. Times are seconds of a monotonic clock, passed in. A running call counts by its age, so a
provider that stops answering is detected after SILENT_AFTER seconds, not at the timeout of the first call.
"""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 60.0
"""Seconds that the window covers."""
FAILURES_IN_A_ROW = 3
"""Consecutive failures that open the circuit."""
REFUSALS_IN_A_ROW = 5
"""Different recipients refused permanently, with nothing taken in between, that open the circuit: whatever the provider
says, so many refusals are not about the recipients."""
MIN_CALLS = 6
MAX_CALLS = 100
"""Calls that the window holds at most: of thousands in a minute the last hundred are enough."""
FAILURE_RATE = 0.5
"""Share of failures, among at least MIN_CALLS in the window, that opens the circuit."""
SILENT_AFTER = 3.0
"""Seconds without an answer after which a running call counts as silent. Providers usually answer within one."""
SILENT_CALLS = 3
SLOW = 5.0
"""Seconds. A median above it, over at least MIN_CALLS answers, opens the circuit: clients wait for their codes."""


@dataclass
class Window:
    """The calls to one provider: running ones and those of the last minute. The caller guards it with a lock."""

    running: dict[int, float] = field(default_factory=dict)  # call -> time of its beginning
    ended: deque[tuple[float, bool, float]] = field(  # time of its end, did it fail, its seconds
        default_factory=lambda: deque(maxlen=MAX_CALLS)
    )
    refused: set[int] = field(default_factory=set)  # hashes of recipients refused permanently since the last success

    def begin(self, call: int, *, now: float) -> None:
        self.running[call] = now

    def end(self, call: int, *, failed: bool | None, now: float) -> None:
        """End a call. `failed` None: the answer says nothing about the provider's health (it asked us to wait)."""
        began = self.running.pop(call, now)
        if failed is not None:
            self.ended.append((now, failed, now - began))

    def add_refusal(self, recipient: str) -> None:
        """Count a permanent refusal of this recipient."""
        if len(self.refused) < REFUSALS_IN_A_ROW:
            self.refused.add(hash(recipient))

    def add_taken(self) -> None:
        """Count a message taken, which ends a row of refusals."""
        self.refused.clear()

    def clear(self) -> None:
        """Drop the evidence once the circuit has changed: the next change needs new evidence."""
        self.ended.clear()
        self.refused.clear()

    def open_reason(self, *, now: float) -> str:
        """The reason to open the circuit, in Spanish for the staff; empty: none."""
        while self.ended and self.ended[0][0] < now - WINDOW:
            self.ended.popleft()
        silent = sum(1 for began in self.running.values() if now - began >= SILENT_AFTER)
        if silent >= SILENT_CALLS:
            return f"{silent} envíos sin respuesta desde hace más de {SILENT_AFTER:.0f} s"
        if len(self.refused) >= REFUSALS_IN_A_ROW:
            return f"{REFUSALS_IN_A_ROW} destinatarios rechazados seguidos"
        failures = [failed for _, failed, _ in self.ended]
        if len(failures) >= FAILURES_IN_A_ROW and all(failures[-FAILURES_IN_A_ROW:]):
            return f"{FAILURES_IN_A_ROW} fallas seguidas"
        if len(failures) < MIN_CALLS:
            return ""
        if sum(failures) >= FAILURE_RATE * len(failures):
            return f"{sum(failures)} de {len(failures)} envíos fallaron en el último minuto"
        median = sorted(took for _, _, took in self.ended)[len(self.ended) // 2]
        return f"tarda {median:.1f} s en responder" if median > SLOW else ""
