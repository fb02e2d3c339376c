"""When a provider is failing: a sliding window over the calls one worker process made to it.

Arithmetic only; times are seconds of a monotonic clock, passed in. A call in hand counts by its age: a provider that
has gone silent is found out after SILENT seconds, not after the deadline of the first call.
"""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 60.0
"""Seconds that are looked at."""
FAILURES_IN_A_ROW = 3
"""Nothing but failures lately: enough to try somebody else."""
REFUSALS_IN_A_ROW = 5
"""Different recipients refused for good, and nothing taken in between: whatever it says, that is not about them."""
LEAST_CALLS = 6
LATEST = 100
"""Calls that are looked at, at most: of thousands a minute the last hundred say enough."""
HALF = 0.5
"""Of at least LEAST_CALLS in the window, this share failed."""
SILENT = 3.0
"""Seconds without an answer after which a call in hand is a bad sign; providers answer within one."""
SILENT_CALLS = 3
SLOW = 5.0
"""Seconds; the median of at least LEAST_CALLS answers: two codes of ten seconds each cost a client his patience."""


@dataclass
class Window:
    """The calls to one provider: those in hand and those of the last minute. The caller guards it with a lock."""

    in_hand: dict[int, float] = field(default_factory=dict)  # call -> when it began
    ended: deque[tuple[float, bool, float]] = field(  # when, whether it failed, seconds it took
        default_factory=lambda: deque(maxlen=LATEST)
    )
    refused: set[int] = field(default_factory=set)  # hashes of the recipients refused for good since the last success

    def begin(self, call: int, *, now: float) -> None:
        self.in_hand[call] = now

    def end(self, call: int, *, failed: bool | None, now: float) -> None:
        """`failed` None: the answer says nothing about the provider's health (it asked us to wait)."""
        began = self.in_hand.pop(call, now)
        if failed is not None:
            self.ended.append((now, failed, now - began))

    def refuse(self, recipient: str) -> None:
        """It refused this recipient for good."""
        if len(self.refused) < REFUSALS_IN_A_ROW:
            self.refused.add(hash(recipient))

    def take(self) -> None:
        """It took a message."""
        self.refused.clear()

    def forget(self) -> None:
        """A verdict was passed on what is here: the next one takes new evidence."""
        self.ended.clear()
        self.refused.clear()

    def verdict(self, *, now: float) -> str:
        """Why the provider should be set aside, in Spanish for the staff; empty: it should not."""
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
