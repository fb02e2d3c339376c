"""Queries of the message log: newest first, filtered, with pages that cost the same wherever they are.

Days are Lima's. Without a date filter a page looks back LOOK_BACK days, so that a rare state is searched in a week
instead of the whole table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from clients.local_time import LIMA, display, midnight
from clients.models import Partner
from external_api.frontdoor.keyset import Position
from messaging.masking import masked, masked_in
from messaging.models import Message, Via

PER_PAGE = 50
ROWS_PER_QUERY = 1_000
"""Rows read in one query for an export."""
LOOK_BACK = 7
"""Days."""
FIRST_DAY = date(2000, 1, 1)
"""Earliest date: nothing is older, and days can be subtracted from it."""
EXPORTED = 100_000
"""Most rows of an export. A larger one must be filtered by date."""
LOOKED_THROUGH = 25_000
"""Most messages that one page reads for a filter without an index, such as a rare via. The page then shows what it
found and how far it searched, so that no page costs more than another."""

State = Message.State
PILLS: Mapping[str, tuple[str, frozenset[str]]] = {
    "cola": ("En cola", frozenset({State.QUEUED, State.SENDING})),
    "enviados": ("Enviados", frozenset({State.SENT})),
    "entregados": ("Entregados", frozenset({State.DELIVERED})),
    "fallidos": ("Fallidos", frozenset({State.FAILED, State.UNDELIVERED, State.UNKNOWN, State.EXPIRED})),
    "anulados": ("Anulados", frozenset({State.CANCELLED})),
}
"""Groups of states as agents think of them."""
COLUMNS = (
    "fecha",
    "empresa",
    "tipo",
    "vía",
    "destino",
    "estado",
    "proveedor",
    "respuesta",
    "intentos",
    "enviado",
    "entregado",
    "id",
)


class FilterForm(forms.Form):
    """Filters in the URL. Invalid values are ignored rather than refused."""

    grupo = forms.ChoiceField(
        label="Estado", required=False, choices=[("", "Todos")] + [(name, label) for name, (label, _) in PILLS.items()]
    )
    via = forms.ChoiceField(label="Vía", required=False, choices=[("", "Todas"), *Via.choices])
    tipo = forms.ChoiceField(label="Tipo", required=False, choices=[("", "Todos"), *Message.Kind.choices])
    empresa = forms.ModelChoiceField(
        label="Empresa", required=False, queryset=Partner.objects.order_by("name"), empty_label="Todas"
    )
    desde = forms.DateField(label="Desde", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    hasta = forms.DateField(label="Hasta", required=False, widget=forms.DateInput(attrs={"type": "date"}))


@dataclass(frozen=True)
class Page:
    """Page of rows, newest first, with the cursors of the older and the newer page."""

    rows: list[Message]
    older: Position | None
    newest: Position | None
    looked_back_to: datetime | None = None  # where the search stopped: older rows may match too


@dataclass(frozen=True)
class Search:
    """Search: rows in the order of an index, and the conditions that remain."""

    scope: QuerySet[Message]
    besides: Mapping[str, Any]

    @property
    def rows(self) -> QuerySet[Message]:
        found = self.scope.filter(**self.besides).select_related("partner").defer("text", "html", "sealed")
        return found.order_by("-created_at", "-id")


def searched(asked: Mapping[str, Any], *, at: datetime) -> Search:
    """Search for the cleaned fields of FilterForm."""
    today = at.astimezone(LIMA).date()
    since, until = asked.get("desde"), asked.get("hasta")
    if until is not None:
        until = max(until, FIRST_DAY)
    if since is None:
        since = (until or today) - timedelta(days=LOOK_BACK - 1)
    scope = Message.objects.filter(created_at__gte=_midnight(since))
    if until is not None:
        scope = scope.filter(created_at__lt=_midnight(until) + timedelta(days=1))
    besides: dict[str, Any] = {name: asked[field] for field, name in _COLUMNS.items() if asked.get(field)}
    group = asked.get("grupo")
    if group == "fallidos":
        scope = scope.filter(_FAILED)
    elif group:
        besides["state__in"] = PILLS[group][1]
    return Search(scope, besides)


_COLUMNS = {"via": "via", "tipo": "kind", "empresa": "partner"}
_FAILED = RawSQL(  # the states as literals: with parameters their partial index may not be used
    "messaging_message.state IN ('FAILED', 'UNKNOWN', 'EXPIRED', 'UNDELIVERED')", [], output_field=BooleanField()
)


def page(search: Search, *, before: Position | None = None, size: int = PER_PAGE) -> Page:
    """The newest page, or the one after a cursor."""
    rows, floor = search.rows, None
    if search.besides:
        scope = before.older(search.scope) if before is not None else search.scope.order_by("-created_at", "-id")
        ends = scope.only("created_at", "id")[LOOKED_THROUGH - 1 : LOOKED_THROUGH]
        floor = next((Position.of(row) for row in ends), None)
    if floor is not None:
        rows = floor.same_or_newer(rows)
    found = list((before.older(rows) if before is not None else rows)[: size + 1])
    kept = found[:size]
    newest = Position.of(kept[0]) if kept else None
    if len(found) > size:
        return Page(kept, Position.of(kept[-1]), newest)
    return Page(kept, floor, newest, looked_back_to=floor.at if floor else None)


def newer(search: Search, *, than: Position) -> list[Message]:
    """Rows since the cursor, newest first; one page at most."""
    return list(than.newer(search.rows)[:PER_PAGE])[::-1]


def everything(search: Search) -> Iterator[Message]:
    """All rows of a search, page by page, EXPORTED at most: no statement takes long."""
    before: Position | None = None
    left = EXPORTED
    while left > 0:
        found = page(search, before=before, size=min(left, ROWS_PER_QUERY))
        yield from found.rows
        left -= len(found.rows)
        if found.older is None:
            return
        before = found.older


def cells(search: Search) -> Iterator[list[str]]:
    """Cells of an export, destinations masked."""
    for each in everything(search):
        yield [
            display(each.created_at),
            str(each.partner or ""),
            each.get_kind_display(),
            each.get_via_display(),
            masked(each.via, each.recipient),
            each.get_state_display(),
            each.provider,
            masked_in(each.provider_reply, each.via, each.recipient),
            str(each.attempts),
            display(each.sent_at) if each.sent_at else "",
            display(each.delivered_at) if each.delivered_at else "",
            str(each.pk),
        ]


def _midnight(day: date) -> datetime:
    return midnight(min(max(day, FIRST_DAY), date(9998, 1, 1)))
