"""Timeouts and intervals of an SMPP gateway's process, and the limit on its rate of messages."""

import time
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and intervals, in seconds."""

    poll: float = 0.1  # interval between claims while nothing arrives
    connect: float = 5.0  # timeout of the connection, of TLS, and of the answer to our bind, each
    answer: float = 10.0  # timeout of the answer to a submit or an enquire_link
    idle: float = 15.0  # without input for so long, we send an enquire_link
    late: float = 60.0  # how long after its submit a late answer still settles its message
    throttled: float = 1.0  # pause after the SMSC asked us to slow down
    unbind: float = 2.0  # timeout of the answer to our unbind
    stable_after: float = 10.0  # a session that lasted so long resets the backoff
    first_backoff: float = 0.5  # before the second attempt to bind; it doubles each time
    max_backoff: float = 30.0
    check_every: float = 1.0  # interval between checks of the circuit and of waiting messages


class Rate:
    """Sliding window: at most `per_second` messages in any second; 0: no limit. `now` is a monotonic clock."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._sent: deque[float] = deque(maxlen=per_second or 1)
        self._not_before = float("-inf")

    def free_slots(self, wanted: int, *, now: float) -> int:
        """Number of the `wanted` messages that may leave now."""
        if now < self._not_before:
            return 0
        if not self._per_second:
            return wanted
        return min(wanted, self._per_second - sum(1 for at in self._sent if now - at < 1.0))

    def sent(self, *, now: float) -> None:
        self._sent.append(now)

    def pause(self, seconds: float, *, now: float) -> None:
        """Send nothing for so many seconds, because the SMSC asked us to slow down."""
        self._not_before = max(self._not_before, now + seconds)


clock = time.monotonic
