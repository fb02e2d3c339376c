"""Cooldown ladder of contract 2: the wait before the n-th code within 24 hours. Arithmetic only.

The waits, and what counts on them: docs/contracts/informaperu.md, The ladder.

A ladder is a list of the times of the requests that count on it. Each request has two ladders, one of the client and
via, one of the destination and via; the longer wait applies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(hours=24)

WAITS = (
    timedelta(0),
    timedelta(minutes=2),
    timedelta(minutes=4),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=5),
    timedelta(hours=8),
    timedelta(hours=12),
    timedelta(hours=24),
)
"""The wait before the 1st, 2nd, ... request; the last one applies to all later requests."""

LOOK_BACK = 2 * DAY
"""The last request that matters is at most a day old (no wait is longer), and its rung counts the day before it."""


def wait_before(nth: int) -> timedelta:
    """The wait before the `nth` request (from 1) within 24 hours."""
    return WAITS[min(nth, len(WAITS)) - 1]


@dataclass(frozen=True)
class CooldownState:
    """State of one ladder at one moment."""

    attempts_24h: int
    available_at: datetime | None
    """End of the wait; None when there is none."""

    def remaining(self, *, at: datetime) -> timedelta:
        return max(self.available_at - at, timedelta(0)) if self.available_at else timedelta(0)


def cooldown_state(requests: Sequence[datetime], *, at: datetime) -> CooldownState:
    """State of the ladder with these requests.

    The wait was imposed by the last request, by its own rung in the 24 hours up to it. Earlier requests that have since
    become older than a day no longer count for the next rung, but do not shorten a wait that runs.
    """
    if not requests:
        return CooldownState(0, None)
    last = max(requests)
    rung = sum(1 for request in requests if request >= last - DAY)
    available_at = last + wait_before(rung + 1)
    return CooldownState(
        attempts_24h=sum(1 for request in requests if request >= at - DAY),
        available_at=available_at if available_at > at else None,
    )


def applying(client: CooldownState, destination: CooldownState) -> CooldownState:
    """The one of two ladders that applies: the later end of the wait; without waits, the one with more attempts."""

    def rank(ladder: CooldownState) -> tuple[float, int]:
        return (ladder.available_at.timestamp() if ladder.available_at else 0.0, ladder.attempts_24h)

    return destination if rank(destination) > rank(client) else client


@dataclass(frozen=True)
class Ladders:
    client: CooldownState
    destination: CooldownState
    own: CooldownState
    """State of the destination's ladder without other partners' requests."""
    at: datetime
    """Moment of the reading, not before any request on them: a clock read before waiting for a lock can be."""

    @classmethod
    def of(cls, rows: Sequence[tuple[bool, bool, datetime]], *, at: datetime) -> "Ladders":
        """Build from rows of: on the client's ladder, asked by the applicant's own partner, requested at."""
        at = max([at, *(created for _, _, created in rows)])
        return cls(
            client=cooldown_state([created for of_client, _, created in rows if of_client], at=at),
            destination=cooldown_state([created for of_client, _, created in rows if not of_client], at=at),
            own=cooldown_state([created for of_client, own, created in rows if own and not of_client], at=at),
            at=at,
        )

    @property
    def applying(self) -> CooldownState:
        return applying(self.client, self.destination)

    @property
    def seen_by_partner(self) -> CooldownState:
        """The state a partner may see: how long to wait, and of the requests behind it only its own."""
        return CooldownState(applying(self.client, self.own).attempts_24h, self.applying.available_at)


def format_wait(remaining: timedelta) -> str:
    """Format a wait, rounded up to a minute, as contract 2 prints it: `2 minutos`, `1 hora 20 minutos`, `24 horas`."""
    minutes = max(1, -(-remaining // timedelta(minutes=1)))
    hours, minutes = divmod(minutes, 60)
    parts = []
    if hours:
        parts.append(f"{hours} hora" if hours == 1 else f"{hours} horas")
    if minutes:
        parts.append(f"{minutes} minuto" if minutes == 1 else f"{minutes} minutos")
    return " ".join(parts)
