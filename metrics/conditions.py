"""Conditions of alarms: each as PromQL, and as Python over the same figures.

`value` is None where there is nothing to judge; an alarm then keeps its state.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from metrics.catalog import INFINITE, Metric
from metrics.gauges import Gauge, Labels, Read

Where = tuple[tuple[str, tuple[str, ...]], ...]
"""Labels and the values that count; a value may end with `*`."""
Counted = Mapping[timedelta, Sequence[tuple[str, Mapping[str, str], int]]]
"""By window: metric, labels and number of what was counted in it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What conditions are judged by."""

    gauges: Read
    counted: Counted


class Condition(Protocol):
    """Condition of an alarm."""

    @property
    def expr(self) -> str: ...

    @property
    def windows(self) -> Iterable[timedelta]: ...

    def value(self, figures: Figures) -> float | None: ...

    def holds(self, value: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Limit:
    """Condition: the worst value of a gauge is above or below a limit."""

    gauge: Gauge
    above: float | None = None
    below: float | None = None
    where: Where = ()

    @property
    def expr(self) -> str:
        worst = "max" if self.above is not None else "min"
        return f"{worst}({self.gauge.name}{_selector(self.where)}) {_comparison(self.above, self.below)}"

    @property
    def windows(self) -> Iterable[timedelta]:
        return ()

    def value(self, figures: Figures) -> float | None:
        found = [
            value
            for labels, value in figures.gauges.get(self.gauge, {}).items()
            if _matches(self.where, _named(self.gauge.labels, labels))
        ]
        if not found:
            return None
        return max(found) if self.above is not None else min(found)

    def holds(self, value: float) -> bool:
        return _is_beyond(value, self.above, self.below)


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of a metric with some labels; `within`, of a histogram: those up to so many seconds."""

    metric: Metric
    where: Where = ()
    within: float | None = None

    def expr(self, window: timedelta) -> str:
        if not self.metric.buckets:
            name, where = f"{self.metric.name}_total", self.where
        elif self.within is None:
            name, where = f"{self.metric.name}_count", self.where
        else:
            name, where = f"{self.metric.name}_bucket", (*self.where, ("le", (str(self.within),)))
        return f"sum(increase({name}{_selector(where)}[{_minutes(window)}]))"

    def number(self, counted: Sequence[tuple[str, Mapping[str, str], int]]) -> int:
        return sum(
            count
            for metric, labels, count in counted
            if metric == self.metric.name and _matches(self.where, labels) and self._is_within(labels)
        )

    def _is_within(self, labels: Mapping[str, str]) -> bool:
        if self.within is None:
            return True
        return labels["le"] != INFINITE and float(labels["le"]) <= self.within


@dataclass(frozen=True, slots=True)
class Share:
    """Condition: of what was counted in a window, the share of a part is above or below a limit. It is not judged below
    a number (`least`)."""

    part: Series
    whole: Series
    window: timedelta
    least: int
    above: float | None = None
    below: float | None = None

    @property
    def expr(self) -> str:
        part, whole = self.part.expr(self.window), self.whole.expr(self.window)
        return f"({part} or vector(0)) / {whole} {_comparison(self.above, self.below)} and {whole} >= {self.least}"

    @property
    def windows(self) -> Iterable[timedelta]:
        return (self.window,)

    def value(self, figures: Figures) -> float | None:
        counted = figures.counted.get(self.window)
        if counted is None:
            return None
        whole = self.whole.number(counted)
        if whole < self.least:  # no alarm, as in PromQL; one that was raised is over
            return 0.0 if self.above is not None else 1.0
        return self.part.number(counted) / whole

    def holds(self, value: float) -> bool:
        return _is_beyond(value, self.above, self.below)


@dataclass(frozen=True, slots=True)
class Absent:
    """Condition for Prometheus alone: nothing was scraped. Whoever evaluates in Python has the figures."""

    gauge_name: str

    @property
    def expr(self) -> str:
        return f"absent({self.gauge_name})"

    @property
    def windows(self) -> Iterable[timedelta]:
        return ()

    def value(self, figures: Figures) -> float | None:
        return None

    def holds(self, value: float) -> bool:
        return False


def _named(names: Sequence[str], labels: Labels) -> dict[str, str]:
    return dict(zip(names, labels, strict=True))


def _matches(where: Where, labels: Mapping[str, str]) -> bool:
    return all(any(_is_like(labels[name], value) for value in values) for name, values in where)


def _is_like(text: str, value: str) -> bool:
    return text.startswith(value[:-1]) if value.endswith("*") else text == value


def _selector(where: Where) -> str:
    """`{queue="codes",status=~"5.*"}`."""
    if not where:
        return ""
    parts = []
    for name, values in where:
        if len(values) == 1 and not values[0].endswith("*"):
            parts.append(f'{name}="{values[0]}"')
        else:
            parts.append(f'{name}=~"{"|".join(value.replace("*", ".*") for value in values)}"')
    return "{" + ",".join(parts) + "}"


def _comparison(above: float | None, below: float | None) -> str:
    return f"> {above:g}" if above is not None else f"< {below:g}"


def _is_beyond(value: float, above: float | None, below: float | None) -> bool:
    return (above is not None and value > above) or (below is not None and value < below)


def _minutes(window: timedelta) -> str:
    return f"{int(window.total_seconds() // 60)}m"
