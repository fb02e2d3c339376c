"""Section of the export of a person: one kind of rows, as a reader sees them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model

from clients.local_time import display
from clients.models import Partner
from messaging.models import Via
from support.cases.timeline import AUDITED
from support.privacy.erasure import Dossier
from support.privacy.spanish_keys import spanish_data
from tokens.cooldown import format_wait


@dataclass(frozen=True)
class Section:
    """Section of the file: one kind of rows, its description, and a readable name for each column."""

    name: str
    says: str
    model: type[Model]
    rows: Callable[[Dossier], Iterator[Any]]
    columns: Mapping[str, str]

    def written(self, person: Dossier) -> Iterator[dict[str, Any]]:
        for row in self.rows(person):
            yield {spanish: _value(row, column) for column, spanish in self.columns.items()}


def _value(row: Any, column: str) -> Any:
    """Value for a reader; empty becomes null."""
    if column in _COLUMN_TEXTS:
        return _COLUMN_TEXTS[column](row)
    value = getattr(row, column)
    if getattr(row._meta.get_field(column), "choices", None):
        return getattr(row, f"get_{column}_display")() or None
    match value:
        case datetime():
            return display(value)
        case timedelta():
            return format_wait(value) if value else None
        case Partner():
            return value.name
        case None | bool() | int() | list() | dict():
            return value
    return str(value) or None


def _who(entry: Any) -> str:
    """A partner by name; staff only as staff: the person may know what was done, not by whom."""
    slug, slash, _ = entry.actor.partition("/")
    if not slash:
        return "personal"
    partner = Partner.objects.filter(slug=slug).first()
    return partner.name if partner is not None else "una empresa"


_COLUMN_TEXTS: dict[str, Callable[[Any], Any]] = {
    "actor": _who,
    "action": lambda row: AUDITED.get(row.action, row.action),
    "by": lambda row: "personal",
    "data": lambda row: spanish_data(row.data),
    "proved_via": lambda row: Via(row.proved_via).label if row.proved_via else None,
    # the text of a campaign is stored once, in its own row
    "text": lambda row: row.text or (getattr(row, "campaign", None) and row.campaign.text) or None,
    "company": lambda row: row.authorized_client.partner.name,
}
"""Columns with their own text."""
