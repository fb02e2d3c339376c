"""Retry policy: how often, how long apart and how long in all."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Retries:
    """Limits of the repetitions of one call, in seconds.

    Only calls that change nothing, and writes under an `Idempotency-Key`, are ever repeated.
    """

    attempts: int = 5
    """Calls in all; 1 repeats nothing."""
    deadline: float = 60.0
    """Time from the first attempt after which none begins, waits included."""
    base: float = 0.5
    longest: float = 20.0
    """Bounds of the wait where the answer names none."""

    def wait(self, attempt: int, retry_after: float | None) -> float:
        """Seconds before the next attempt: `Retry-After`, or exponential backoff with full jitter."""
        if retry_after is not None:
            return retry_after + random.uniform(0, self.base)  # noqa: S311  spreads callers, hides nothing
        return random.uniform(0, min(self.longest, self.base * 2 ** (attempt - 1)))  # noqa: S311  the same
