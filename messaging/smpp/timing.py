"""Timeouts and rate limit of an SMPP gateway's process."""

import time
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Timeouts in seconds."""

    poll: float = 0.1  # between two looks into the lane while the line is quiet
    connect: float = 5.0  # for the connection, and again for TLS and for the answer to our bind
    answer: float = 10.0  # for the answer to a submit or an enquire_link
    idle: float = 15.0  # without a word from the SMSC, after which we ask whether it is there
    late: float = 60.0  # an answer after its deadline still settles its message for so long
    throttled: float = 1.0  # silence after the SMSC asked us to slow down
    farewell: float = 2.0  # for the answer to our unbind
    steady: float = 10.0  # a session that lasted so long makes the next try to bind the first again
    first_pause: float = 0.5  # before the second try to bind; it doubles each time
    longest_pause: float = 30.0
    look: float = 1.0  # between two looks at what concerns the lane as a whole


class Rate:
    """Rate limit: at most so many in any second; 0: no limit. Takes monotonic clocks, passed in."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._sent: deque[float] = deque(maxlen=per_second or 1)
        self._not_before = float("-inf")

    def room(self, wanted: int, *, now: float) -> int:
        """How many of the wanted submits may be sent now."""
        if now < self._not_before:
            return 0
        if not self._per_second:
            return wanted
        return min(wanted, self._per_second - sum(1 for at in self._sent if now - at < 1.0))

    def sent(self, *, now: float) -> None:
        self._sent.append(now)

    def rest(self, seconds: float, *, now: float) -> None:
        """The SMSC asked us to slow down."""
        self._not_before = max(self._not_before, now + seconds)


clock = time.monotonic
