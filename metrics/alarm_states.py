"""State of an alarm, and what its receiver must be told. Arithmetic only.

    quiet ---> firing    its condition has held for as long as the alarm asks for: the receiver is told
    firing --> firing    it is told again every four hours
    firing --> quiet     the condition no longer holds: the receiver is told, if it was told of the alarm

A figure that cannot be read changes nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

REPEAT_AFTER = timedelta(hours=4)
RETRY_AFTER = timedelta(seconds=60)
"""Time after which a message is sent again that was not taken, or whose sender was killed."""
FIRING, RESOLVED = "firing", "resolved"


@dataclass(frozen=True, slots=True)
class State:
    """`told`: what the receiver has taken last, at `told_at`. Nothing is sent before `try_after`."""

    name: str
    true_since: datetime | None = None
    is_firing: bool = False
    since: datetime | None = None
    told: str = ""
    told_at: datetime | None = None
    try_after: datetime | None = None

    def judged(self, holds: bool | None, lasting: timedelta, *, at: datetime) -> "State":
        """The state now that the condition holds, or does not; None: it cannot be judged."""
        if holds is None:
            return self
        if not holds:
            return replace(self, true_since=None, is_firing=False)
        begun = self.true_since or at
        if self.is_firing or at - begun < lasting:
            return replace(self, true_since=begun)
        return replace(self, true_since=begun, is_firing=True, since=begun)

    def message(self, *, at: datetime) -> str | None:
        """FIRING or RESOLVED, if the receiver must be told now."""
        if self.try_after is not None and at < self.try_after:
            return None
        if not self.is_firing:
            return RESOLVED if self.told == FIRING else None
        is_known = self.told == FIRING and self.told_at is not None and at - self.told_at < REPEAT_AFTER
        return None if is_known else FIRING

    def claimed(self, *, at: datetime) -> "State":
        """The state while its message is being sent."""
        return replace(self, try_after=at + RETRY_AFTER)

    def taken(self, message: str, *, at: datetime) -> "State":
        """The state after the receiver has taken the message."""
        return replace(self, told=message, told_at=at, try_after=None)
