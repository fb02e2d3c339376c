"""Comparison of one system with others, in ratios taken round by round: times of a busy machine say little."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.report import ratios, share
from bench.rounds import System


@dataclass(frozen=True)
class Compared:
    """One system, and ours by its measure; medians of the rounds."""

    name: str
    rate_ratio: float
    """Cycles a second of ours to its."""
    cost: float
    """Its processor seconds per 1,000 cycles, of all processes."""
    shares: str
    """The same by process."""
    cost_ratio: float
    """Processor seconds of ours to its."""

    def line(self) -> str:
        return f"aval to {self.name}: {self.rate_ratio:.2f} of its cycles/s, {self.cost_ratio:.2f} of its CPU seconds"


def compare(ours: System, other: System) -> Compared:
    return Compared(
        other.name,
        median(ratios(ours.rates, other.rates)),
        median(other.costs),
        share(other.processor, 1),
        median(ratios(ours.costs, other.costs)),
    )


def markdown(compared: Sequence[Compared], rounds: int, machine: str) -> str:
    """The table for README.md, and the machine below it. The first row is ours."""
    lines = [
        "| system | CPU s per 1,000 cycles | of these | Aval's cycles/s to its | Aval's CPU s to its |",
        "|---|---|---|---|---|",
    ]
    for nth, each in enumerate(compared):
        ratios = f"{each.rate_ratio:.2f} | {each.cost_ratio:.2f}" if nth else "1 | 1"
        lines.append(f"| {each.name} | {each.cost:.1f} | {each.shares} | {ratios} |")
    return "\n".join([*lines, "", f"{machine}. Median of {rounds} rounds in turn."])
