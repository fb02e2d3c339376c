"""Usage of a partner by day, via or outcome. `support` keeps the counts, and registers the function that reads them."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from external_api.partners.presenters import OUTCOMES, STATES
from messaging.models import Message
from tokens.models import VerificationToken


class Count(NamedTuple):
    """Number of messages or codes of a day with the same via and outcome. `arrived`: a receipt or the code said so."""

    day: date
    is_message: bool
    via: str
    outcome: str
    arrived: bool
    number: int


@dataclass(frozen=True)
class Usage:
    """Counts of some days, and the days that could not be counted now."""

    counts: list[Count]
    missing: list[date]


Source = Callable[[int, date, date, datetime], Usage]
"""Partner, first and last day, and the moment of the question."""
_sources: list[Source] = []


def register(source: Source) -> None:
    """Set the function that reads counts. Called once, when the apps are ready."""
    _sources[:] = [source]


def read(partner_id: int, since: date, until: date, *, at: datetime) -> Usage:
    """Counts of a partner from `since` to `until`, both included (days of Lima)."""
    return _sources[0](partner_id, since, until, at)


def rows(counts: Iterable[Count], by: str) -> list[dict[str, Any]]:
    """A row for each day, via or outcome, in its order. A sum over the rows is a sum over the counts, whatever `by`."""
    found: dict[str, Counter[str]] = {}
    for each in counts:
        row = found.setdefault(_key(each, by), Counter())
        kind = "messages" if each.is_message else "verifications"
        row[kind] += each.number
        if each.arrived:
            row[f"{kind}_delivered"] += each.number
        if not each.is_message and each.outcome == VerificationToken.Outcome.VALIDATED:
            row["verifications_verified"] += each.number
    return [{by: key, **{name: found[key][name] for name in COLUMNS}} for key in sorted(found)]


COLUMNS = ("messages", "messages_delivered", "verifications", "verifications_delivered", "verifications_verified")


def _key(count: Count, by: str) -> str:
    if by == "day":
        return count.day.isoformat()
    if by == "via":
        return count.via
    if count.is_message:
        return STATES[Message.State(count.outcome)]
    return OUTCOMES[VerificationToken.Outcome(count.outcome)]
