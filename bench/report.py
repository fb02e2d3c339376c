"""Tables of results: minimum, median and maximum of the rounds, and the ratio to the floor of the same round."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Row:
    """One compared system: a value for each round, and a remark."""

    name: str
    values: list[float] = field(default_factory=list)
    remark: str = ""


def table(unit: str, rows: Sequence[Row], digits: int = 0, remarks: str = "") -> None:
    """Print the rows; the last is the floor, to whose values the ratios are, round by round."""
    floor, width = rows[-1], max(7, *(len(row.name) + 2 for row in rows))
    print(f"{'':{width}}{unit:>24}{'ratio to floor':>24}   {remarks}".rstrip())
    for row in rows:
        to_floor = spread(ratios(row.values, floor.values), 2)
        line = f"{row.name:{width}}{spread(row.values, digits):>24}{to_floor:>24}   {row.remark}"
        print(line.rstrip())
    print(f"{'':{width}}(least / median / most of {len(floor.values)} rounds in turn)")


def spread(values: Sequence[float], digits: int) -> str:
    return " / ".join(f"{each:.{digits}f}" for each in (min(values), median(values), max(values)))


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Ratio of each value to that of the others in the same round."""
    return [value / other for value, other in zip(values, others, strict=True)]


def share(used: Sequence[dict[str, float]], digits: int = 2) -> str:
    """Median of each process's use in a round."""
    return ", ".join(f"{name} {median(each[name] for each in used):.{digits}f}" for name in used[0])


def percentile(values: Sequence[float], percent: int) -> float:
    """Smallest value that `percent` of all values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
