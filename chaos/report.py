"""Fault table of a run, as Markdown: what each fault cost, and the alarm that came."""

from collections.abc import Sequence
from datetime import UTC, datetime

from chaos.checker import Counts
from config.version import VERSION

HEAD = (
    "| fault | accepted | lost | twice | late | unknown | recovery, s | alarm, after s | over, after s |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


def table(runs: Sequence[tuple[str, Counts]], machine: str) -> str:
    """The table with its head line. Runs of one name are one row: the sum of the counts, the worst of the times."""
    names = list(dict.fromkeys(name for name, _ in runs))
    rows = [_row(name, [counts for other, counts in runs if other == name]) for name in names]
    return f"Aval {VERSION}, {datetime.now(UTC):%Y-%m-%d}, {machine}\n\n{HEAD}{''.join(rows)}"


def _row(name: str, runs: Sequence[Counts]) -> str:
    title = name if len(runs) == 1 else f"{name}, {len(runs)} times"
    if all(each.skipped for each in runs):
        return f"| {title} | not tried: {runs[0].skipped} is not installed |" + " |" * 7 + "\n"
    mark = "" if all(each.holds for each in runs) else " (broken)"
    unknown = f"{sum(each.unknown for each in runs)} ({sum(each.unknown_taken for each in runs)} taken)"
    numbers = [
        *(str(sum(getattr(each, name) for each in runs)) for name in ("accepted", "lost", "twice", "late")),
        unknown if sum(each.unknown for each in runs) else "0",
        f"{max(each.recovery for each in runs):.1f}",
        *_alarms(runs),
    ]
    return f"| {title}{mark} | {' | '.join(numbers)} |\n"


def _alarms(runs: Sequence[Counts]) -> tuple[str, str]:
    """The alarms with the latest time of each, and the latest time of the ends."""
    came: dict[str, float] = {}
    over: dict[str, float | None] = {}
    for each in (alarm for counts in runs for alarm in counts.alarms):
        came[each.alarm] = max(came.get(each.alarm, 0.0), each.seconds)
        known = over.get(each.alarm, 0.0)
        over[each.alarm] = None if each.resolved is None or known is None else max(known, each.resolved)
    if not came:
        return "none", ""
    ends = ["-" if seconds is None else f"{seconds:.0f}" for seconds in over.values()]
    return ", ".join(f"{name} {seconds:.0f}" for name, seconds in came.items()), ", ".join(ends)
