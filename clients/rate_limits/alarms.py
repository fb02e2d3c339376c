"""Alarms of counters: one line in the log, once a day from each process, when a count has reached a threshold."""

import logging
from datetime import datetime

from clients.rate_limits.counters import LIMA

log = logging.getLogger(__name__)

_raised: dict[tuple[str, int], str] = {}


def raise_once(words: str, key: str, *, count: int, threshold: int, at: datetime) -> None:
    """Write the line when `count` is at the threshold or beyond and this process has not said so today.

    Not at the threshold alone: a count that was put together anew when Redis came back may jump over it.
    """
    day = f"{at.astimezone(LIMA):%Y%m%d}"
    if threshold <= count and _raised.get((key, threshold)) != day:
        if len(_raised) > 10_000:
            _raised.clear()
        _raised[key, threshold] = day
        log.error(words, extra={"counted": key, "count": count, "threshold": threshold})


def forget() -> None:
    _raised.clear()
