"""When the periodic tasks last did all of their work, for gauges and alarms.

A sweep logs and counts a step that fails and goes on (`messaging.steps`), so its run is noted only if no step failed.
"""

import logging
import time
from datetime import datetime

from django.db import Error, connection
from django.utils import timezone

from messaging.steps import failures
from metrics import sql
from metrics.models import TaskRun

log = logging.getLogger(__name__)

TASKS = ("messaging.sweep", "tokens.sweep", "metrics.sweep", "messaging.run_campaigns", "support.forget")
"""Tasks that are noted."""
EVERY_SECONDS = 5.0
"""A process notes a task at most so often: the sweeps run every two seconds."""
_noted: dict[str, float] = {}
_failures: dict[str, int] = {}


def note(task: str) -> None:
    """Note that a task has ended without an exception, if it is one of TASKS. Never raises: its work is done."""
    if task not in TASKS or _has_failed(task) or time.monotonic() - _noted.get(task, float("-inf")) < EVERY_SECONDS:
        return
    try:
        note_run(task, at=timezone.now())
    except Error as fault:
        log.warning("the run of a task could not be noted", extra={"task": task, "fault": repr(fault)[:200]})
    else:
        _noted[task] = time.monotonic()


def note_run(task: str, *, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.NOTE_RUN, {"name": task, "at": at})


def last_runs() -> dict[str, datetime]:
    return dict(TaskRun.objects.values_list("name", "at"))


def _has_failed(task: str) -> bool:
    """Whether a step of this sweep has failed since the last look."""
    count = sum(number for name, number in failures.items() if name.startswith(f"{task}."))
    before, _failures[task] = _failures.get(task, 0), count
    return count > before
