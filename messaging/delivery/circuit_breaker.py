"""Circuit breaker: decides from a sliding window of one process's calls whether a provider is failing.

Arithmetic only; times are seconds of a monotonic clock, passed in. A running call counts by its age, so that a silent
provider is noticed after SILENT seconds, not after the deadline of the first call.
"""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 60.0
"""Seconds of the window."""
FAILURES_IN_A_ROW = 3
"""Failures in a row that open the circuit."""
REFUSALS_IN_A_ROW = 5
"""Different recipients refused for good in a row, with no message taken in between: the fault is not theirs, whatever
the provider says."""
LEAST_CALLS = 6
LATEST = 100
"""Most calls in the window: the last hundred of thousands a minute are enough."""
HALF = 0.5
"""Share of failed calls, of at least LEAST_CALLS, that opens the circuit."""
SILENT = 3.0
"""Seconds without an answer after which a running call counts as a failure; providers answer within one."""
SILENT_CALLS = 3
SLOW = 5.0
"""Seconds. The circuit opens when the median of at least LEAST_CALLS answers takes longer: a client does not wait for
two codes of ten seconds each."""


@dataclass
class Window:
    """Window of the calls to one provider: running ones and those of the last minute. The caller guards it with a
    lock."""

    in_hand: dict[int, float] = field(default_factory=dict)  # call -> when it began
    ended: deque[tuple[float, bool, float]] = field(  # when, whether it failed, seconds it took
        default_factory=lambda: deque(maxlen=LATEST)
    )
    refused: set[int] = field(default_factory=set)  # hashes of the recipients refused for good since the last success

    def begin(self, call: int, *, now: float) -> None:
        self.in_hand[call] = now

    def end(self, call: int, *, failed: bool | None, now: float) -> None:
        """`failed` None: the answer does not tell whether the provider is healthy (it asked us to wait)."""
        began = self.in_hand.pop(call, now)
        if failed is not None:
            self.ended.append((now, failed, now - began))

    def refuse(self, recipient: str) -> None:
        """The provider refused this recipient for good."""
        if len(self.refused) < REFUSALS_IN_A_ROW:
            self.refused.add(hash(recipient))

    def take(self) -> None:
        """The provider took a message."""
        self.refused.clear()

    def forget(self) -> None:
        """Clear the window after a decision: the next one needs new calls."""
        self.ended.clear()
        self.refused.clear()

    def verdict(self, *, now: float) -> str:
        """Reason to open the circuit, in Spanish for staff; empty: none."""
        while self.ended and self.ended[0][0] < now - WINDOW:
            self.ended.popleft()
        silent = sum(1 for began in self.in_hand.values() if now - began >= SILENT)
        if silent >= SILENT_CALLS:
            return f"{silent} envíos sin respuesta desde hace más de {SILENT:.0f} s"
        if len(self.refused) >= REFUSALS_IN_A_ROW:
            return f"{REFUSALS_IN_A_ROW} destinatarios rechazados seguidos"
        failures = [failed for _, failed, _ in self.ended]
        if len(failures) >= FAILURES_IN_A_ROW and all(failures[-FAILURES_IN_A_ROW:]):
            return f"{FAILURES_IN_A_ROW} fallas seguidas"
        if len(failures) < LEAST_CALLS:
            return ""
        if sum(failures) >= HALF * len(failures):
            return f"{sum(failures)} de {len(failures)} envíos fallaron en el último minuto"
        median = sorted(took for _, _, took in self.ended)[len(self.ended) // 2]
        return f"tarda {median:.1f} s en responder" if median > SLOW else ""
