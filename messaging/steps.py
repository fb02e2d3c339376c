"""Steps of a sweep, each by itself: one that fails keeps none of the others from their work."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from django.db import close_old_connections, connection

log = logging.getLogger(__name__)

Step = tuple[str, Callable[[], object]]
"""Its name in the log, and what it does."""

failures: Counter[str] = Counter()
"""How often each step failed since this process began."""


def run_each(sweep: str, steps: Iterable[Step]) -> int:
    """Runs all of them, in order. What one raises is logged and counted; returns how many failed.

    The next sweep tries again. A step that fails every time is an error every two seconds, with its count.
    """
    failed = 0
    for name, act in steps:
        try:
            act()
        except Exception:
            failed += 1
            failures[f"{sweep}.{name}"] += 1
            extra = {"sweep": sweep, "step": name, "failures": failures[f"{sweep}.{name}"]}
            log.exception("a step of a sweep failed", extra=extra)
            if not connection.in_atomic_block:
                close_old_connections()  # if it broke, the next step gets a new one
    return failed
