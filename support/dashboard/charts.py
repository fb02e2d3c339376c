"""Coordinates of a chart's lines and bars. Pure arithmetic; templates draw, and escape what they write."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 760, 230
LEFT, RIGHT, TOP, BOTTOM = 60, 6, 10, 24
"""Margins for the labels, in units of the drawing."""
_SHARES = (0.86, 0.56, 0.26)
"""Widths of nested bars, so that they differ without colours too."""


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    series: int


@dataclass(frozen=True)
class Segment:
    x1: float
    x2: float
    y: float
    label: str = ""


@dataclass(frozen=True)
class Hours:
    """Chart of a day by hour: nested bars for today, a line for yesterday."""

    bars: list[Bar]
    before: list[Segment]
    grid: list[Segment]
    labels: list[tuple[float, str]]


def of_hours(today: Sequence[Sequence[int]], yesterday: Sequence[int]) -> Hours:
    """`today`: the series of each hour, from the widest to the narrowest; `yesterday`: the widest one's values."""
    ticks = round_steps(max([*(counts[0] for counts in today), *yesterday], default=0))
    plot_height, slot = HEIGHT - TOP - BOTTOM, (WIDTH - LEFT - RIGHT) / max(1, len(today))

    def y(value: int) -> float:
        return round(TOP + plot_height * (1 - value / ticks[-1]), 1)

    bars, before = [], []
    for hour, counts in enumerate(today):
        left = LEFT + hour * slot
        for series, value in enumerate(counts):
            if value:
                width = slot * _SHARES[series]
                x = round(left + (slot - width) / 2, 1)
                bars.append(Bar(x, y(value), round(width, 1), round(y(0) - y(value), 1), series))
        if yesterday[hour]:
            before.append(Segment(round(left + 1, 1), round(left + slot - 1, 1), y(yesterday[hour])))
    grid = [Segment(LEFT, WIDTH - RIGHT, y(tick), f"{tick:,}") for tick in ticks]
    labels = [(round(LEFT + (hour + 0.5) * slot, 1), f"{hour:02d}") for hour in range(0, len(today), 3)]
    return Hours(bars, before, grid, labels)


def round_steps(highest: int) -> list[int]:
    """Axis steps from zero: three to five equal steps of 1, 2, 2.5 or 5 times a power of ten, up to or beyond the
    highest value."""
    size = 1
    while True:
        for step in (size, 2 * size, *([5 * size // 2] if size >= 10 else []), 5 * size):
            if step * 5 >= highest:
                return [step * n for n in range(max(3, -(-highest // step)) + 1)]
        size *= 10


def share(part: float, whole: float) -> float:
    """Percentage of a bar; 0 if the whole is 0."""
    return round(100 * part / whole, 1) if whole else 0.0
