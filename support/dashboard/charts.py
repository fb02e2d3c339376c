"""Where the lines and bars of a chart go. Plain arithmetic; the templates draw, and escape what they write."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 760, 230
LEFT, RIGHT, TOP, BOTTOM = 60, 6, 10, 24
"""The room for the numbers at the left and the hours below, in units of the drawing."""
_SHARES = (0.86, 0.56, 0.26)
"""How wide the bars are that stand in one another, so that they differ also where colours do not."""


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    series: int


@dataclass(frozen=True)
class Line:
    x1: float
    x2: float
    y: float
    label: str = ""


@dataclass(frozen=True)
class Hours:
    """A day by the hour: bars in bars for today, a line across for yesterday."""

    bars: list[Bar]
    before: list[Line]
    grid: list[Line]
    labels: list[tuple[float, str]]


def of_hours(today: Sequence[Sequence[int]], yesterday: Sequence[int]) -> Hours:
    """`today`: for each hour the series from the widest to the narrowest; `yesterday`: the widest one's."""
    ticks = round_steps(max([*(counts[0] for counts in today), *yesterday], default=0))
    room, slot = HEIGHT - TOP - BOTTOM, (WIDTH - LEFT - RIGHT) / max(1, len(today))

    def y(value: int) -> float:
        return round(TOP + room * (1 - value / ticks[-1]), 1)

    bars, before = [], []
    for hour, counts in enumerate(today):
        left = LEFT + hour * slot
        for series, value in enumerate(counts):
            if value:
                width = slot * _SHARES[series]
                x = round(left + (slot - width) / 2, 1)
                bars.append(Bar(x, y(value), round(width, 1), round(y(0) - y(value), 1), series))
        if yesterday[hour]:
            before.append(Line(round(left + 1, 1), round(left + slot - 1, 1), y(yesterday[hour])))
    grid = [Line(LEFT, WIDTH - RIGHT, y(tick), f"{tick:,}") for tick in ticks]
    labels = [(round(LEFT + (hour + 0.5) * slot, 1), f"{hour:02d}") for hour in range(0, len(today), 3)]
    return Hours(bars, before, grid, labels)


def round_steps(highest: int) -> list[int]:
    """From zero in three to five equal steps of 1, 2, 2.5 or 5 times a power of ten, to or past the highest value."""
    size = 1
    while True:
        for step in (size, 2 * size, *([5 * size // 2] if size >= 10 else []), 5 * size):
            if step * 5 >= highest:
                return [step * n for n in range(max(3, -(-highest // step)) + 1)]
        size *= 10


def share(part: float, whole: float) -> float:
    """Of a bar of a hundred units; nothing of nothing is nothing."""
    return round(100 * part / whole, 1) if whole else 0.0
