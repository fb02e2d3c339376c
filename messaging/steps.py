"""Runner for the steps of a sweep: a step that fails does not prevent the others."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from django.db import close_old_connections, connection

log = logging.getLogger(__name__)

Step = tuple[str, Callable[[], object]]
"""Name in the log, and the function to call."""

failures: Counter[str] = Counter()
"""Number of failures of each step since this process began."""


def run_each(sweep: str, steps: Iterable[Step]) -> int:
    """Run the steps in order. Exceptions are logged and counted. Returns how many steps failed.

    The next sweep tries again. A step that always fails logs an error every two seconds, with its count.
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
