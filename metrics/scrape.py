"""Scrape: the families of metrics as OpenMetrics, from PostgreSQL alone.

Every process gives the same figures, also right after a crash, since none keeps any (docs/adr/0101).
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from metrics import catalog, sql
from metrics.catalog import COUNTED, INFINITE
from metrics.gauges import GAUGES, Gauge, Values, read_all

Labels = tuple[str, ...]
Totals = dict[str, list[tuple[dict[str, str], int, float]]]
"""Labels, count and sum of the rows of each metric."""


class AvalCollector(Collector):
    """Asks PostgreSQL at each scrape."""

    def collect(self) -> Iterator[Metric]:
        snapshot = read_all(at=timezone.now())
        totals: Totals | None = snapshot.read("totals", _totals)
        for metric in COUNTED if totals is not None else ():
            yield _histogram(metric, totals or {}) if metric.buckets else _counter(metric, totals or {})
        snapshot.values |= snapshot.health
        for gauge in GAUGES:
            if gauge in snapshot.values:
                yield _gauge(gauge, snapshot.values[gauge])
        build = GaugeMetricFamily("aval_build_info", "Version of Aval.", labels=("version",))
        build.add_metric((settings.AVAL_VERSION,), 1)
        yield build


def _totals() -> Totals:
    found: Totals = {}
    with connection.cursor() as cursor:
        cursor.execute(sql.TOTALS)
        for metric, labels, count, seconds in cursor.fetchall():
            found.setdefault(metric, []).append((json.loads(labels), count, seconds))
    return found


def _gauge(gauge: Gauge, values: Values) -> GaugeMetricFamily:
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _counter(metric: catalog.Metric, totals: Totals) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, count, _ in totals.get(metric.name, ()):
        family.add_metric([labels[name] for name in metric.labels], count)
    return family


def _histogram(metric: catalog.Metric, totals: Totals) -> HistogramMetricFamily:
    """Buckets are kept each by itself, and shown as the number of all values up to their end."""
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    found: dict[Labels, dict[str, Any]] = {}
    for labels, count, seconds in totals.get(metric.name, ()):
        row = found.setdefault(tuple(labels[name] for name in metric.labels), {"sum": 0.0, "counts": {}})
        row["counts"][labels["le"]] = row["counts"].get(labels["le"], 0) + count
        row["sum"] += seconds
    for key, row in sorted(found.items()):
        family.add_metric(key, _cumulated(metric, row["counts"]), row["sum"])
    return family


def _cumulated(metric: catalog.Metric, counts: dict[str, int]) -> list[tuple[str, float]]:
    """A bucket whose end is no longer in the catalog counts in the next wider one."""
    by_end = {math.inf if le == INFINITE else float(le): number for le, number in counts.items()}
    ends = [*metric.buckets, math.inf]
    return [
        (INFINITE if end == math.inf else str(end), float(sum(n for le, n in by_end.items() if le <= end)))
        for end in ends
    ]


registry = CollectorRegistry(auto_describe=False)
registry.register(AvalCollector())


def scraped(accept: str) -> tuple[bytes, str]:
    """The scrape in the format that the caller accepts, and its media type."""
    encoder, content_type = choose_encoder(accept)
    body: bytes = encoder(registry)
    return body, content_type
