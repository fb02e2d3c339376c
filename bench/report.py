"""How figures are printed: least, median and most of the rounds, and each round's ratio to the floor of that round."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Row:
    """One of those that are compared: a value for each round, and a remark at the end of its line."""

    name: str
    values: list[float] = field(default_factory=list)
    remark: str = ""


def table(unit: str, rows: Sequence[Row], digits: int = 0, remarks: str = "") -> None:
    """The last row is the floor: the ratios are to its values, round by round."""
    floor, width = rows[-1], max(7, *(len(row.name) + 2 for row in rows))
    print(f"{'':{width}}{unit:>24}{'ratio to floor':>24}   {remarks}".rstrip())
    for row in rows:
        ratios = [a / b for a, b in zip(row.values, floor.values, strict=True)] if row is not floor else [1.0]
        line = f"{row.name:{width}}{spread(row.values, digits):>24}{spread(ratios, 2):>24}   {row.remark}"
        print(line.rstrip())
    print(f"{'':{width}}(least / median / most of {len(floor.values)} rounds in turn)")


def spread(values: Sequence[float], digits: int) -> str:
    return " / ".join(f"{each:.{digits}f}" for each in (min(values), median(values), max(values)))


def share(used: Sequence[dict[str, float]], digits: int = 2) -> str:
    """The median of what each process used in a round."""
    return ", ".join(f"{name} {median(each[name] for each in used):.{digits}f}" for name in used[0])


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many per cent do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
