"""Counts on their way into the tables: collected in memory, written by one statement."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from django.db import connection

from metrics import sql
from metrics.catalog import INFINITE, Metric

Key = tuple[datetime, str, str]
"""Minute, metric, and labels as canonical JSON."""


@dataclass
class Counts:
    """Counts by minute, metric and labels."""

    found: dict[Key, list[float]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __iter__(self) -> Iterator[tuple[datetime, str, str, int, float]]:
        for (minute, metric, labels), (count, seconds) in sorted(self.found.items()):
            yield minute, metric, labels, int(count), seconds

    def count(self, metric: Metric, at: datetime, *values: str, number: int = 1) -> None:
        """Count for the labels of the metric, in their order."""
        self._add(metric, at, _canonical(metric.labels, values), number, 0.0)

    def observe(self, metric: Metric, at: datetime, seconds: float | None, *values: str) -> None:
        """Count a value of a histogram; None: it is beyond every bucket, such as a code that never left."""
        bucket = INFINITE if seconds is None else metric.bucket_of(seconds)
        labels = _canonical((*metric.labels, "le"), (*values, bucket))
        self._add(metric, at, labels, 1, max(0.0, seconds or 0.0))

    def _add(self, metric: Metric, at: datetime, labels: str, number: int, seconds: float) -> None:
        minute = at.astimezone(UTC).replace(second=0, microsecond=0)
        row = self.found.setdefault((minute, metric.name, labels), [0, 0.0])
        row[0] += number
        row[1] += seconds


@lru_cache(maxsize=2_000)
def _canonical(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Labels as JSON, sorted by name. Kept, because each call of a contract has some that were seen before."""
    return json.dumps(dict(zip(names, values, strict=True)), sort_keys=True)


def add(counts: Counts) -> None:
    """Write counts to their minutes and totals: both, or none of them. Part of the caller's transaction, if there is
    one."""
    rows = list(counts)
    if not rows:
        return
    names = ("ats", "metrics", "labels", "counts", "sums")
    with connection.cursor() as cursor:
        cursor.execute(sql.ADD, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
