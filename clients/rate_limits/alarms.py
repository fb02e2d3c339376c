"""Alarms on counters: one log line a day from each process when a count reaches a threshold."""

import logging
from datetime import datetime

from clients.local_time import LIMA

log = logging.getLogger(__name__)

_raised: dict[tuple[str, int], str] = {}


def raise_once(words: str, key: str, *, count: int, threshold: int, at: datetime) -> None:
    """Log the alarm if `count` has reached the threshold and this process has not logged it today.

    A count may jump over the threshold when it is rebuilt after Redis came back, so equality is not enough.
    """
    if count < threshold:
        return
    day = f"{at.astimezone(LIMA):%Y%m%d}"
    if _raised.get((key, threshold)) != day:
        if len(_raised) > 10_000:
            _raised.clear()
        _raised[key, threshold] = day
        log.error(words, extra={"counted": key, "count": count, "threshold": threshold})


def forget() -> None:
    _raised.clear()
