"""The log of messages: newest first, filtered, by pages that cost the same wherever they are.

Days are Lima's. Without a filter by date a page looks back LOOK_BACK days, so that a rare state is searched in a week
and not in all there ever was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from clients.models import Partner
from external_api.frontdoor.keyset import Position
from messaging.masking import masked, masked_in
from messaging.models import Message, Via
from support.cases.timeline import shown

LIMA = ZoneInfo("America/Lima")
PER_PAGE = 50
AT_ONCE = 1_000
"""Rows read at once for an export."""
LOOK_BACK = 7
"""Days."""
FIRST_DAY = date(2000, 1, 1)
"""Nothing is older, and days can be counted back from it."""
EXPORTED = 100_000
"""Rows of an export at most; who needs more filters by date."""
LOOKED_THROUGH = 25_000
"""Messages that one page looks through for what no index finds, a via that is rare, say. Then it shows what there is
and says how far it came: a page never costs more than another, however many messages there are."""

State = Message.State
PILLS: Mapping[str, tuple[str, frozenset[str]]] = {
    "cola": ("En cola", frozenset({State.QUEUED, State.SENDING})),
    "enviados": ("Enviados", frozenset({State.SENT})),
    "entregados": ("Entregados", frozenset({State.DELIVERED})),
    "fallidos": ("Fallidos", frozenset({State.FAILED, State.UNDELIVERED, State.UNKNOWN, State.EXPIRED})),
    "anulados": ("Anulados", frozenset({State.CANCELLED})),
}
"""Groups of states, as agents think of them."""
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
    """What the address may ask for; what makes no sense is left out rather than refused."""

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
    """Rows, newest first, and where the older and the newer ones begin."""

    rows: list[Message]
    older: Position | None
    newest: Position | None
    looked_back_to: datetime | None = None  # there may be more of them before this moment: nobody has looked yet


@dataclass(frozen=True)
class Search:
    """The messages that were asked for: those that an index has in order, and what they are to be besides."""

    scope: QuerySet[Message]
    besides: Mapping[str, Any]

    @property
    def rows(self) -> QuerySet[Message]:
        found = self.scope.filter(**self.besides).select_related("partner").defer("text", "html", "sealed")
        return found.order_by("-created_at", "-id")


def searched(asked: Mapping[str, Any], *, at: datetime) -> Search:
    """What the cleaned fields of FilterForm ask for."""
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
        scope = scope.filter(_WENT_WRONG)
    elif group:
        besides["state__in"] = PILLS[group][1]
    return Search(scope, besides)


_COLUMNS = {"via": "via", "tipo": "kind", "empresa": "partner"}
_WENT_WRONG = RawSQL(  # the states as literals: with parameters the partial index for them may be passed over
    "messaging_message.state IN ('FAILED', 'UNKNOWN', 'EXPIRED', 'UNDELIVERED')", [], output_field=BooleanField()
)


def page(search: Search, *, before: Position | None = None, size: int = PER_PAGE) -> Page:
    """The newest page, or the one that begins after a place."""
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
    """What came since, newest first; at most a page of it."""
    return list(than.newer(search.rows)[:PER_PAGE])[::-1]


def everything(search: Search) -> Iterator[Message]:
    """All that was asked for, page by page: no statement takes long, and EXPORTED at most."""
    before: Position | None = None
    left = EXPORTED
    while left > 0:
        found = page(search, before=before, size=min(left, AT_ONCE))
        yield from found.rows
        left -= len(found.rows)
        if found.older is None:
            return
        before = found.older


def cells(search: Search) -> Iterator[list[str]]:
    """The rows of an export, destinations masked."""
    for each in everything(search):
        yield [
            shown(each.created_at),
            str(each.partner or ""),
            each.get_kind_display(),
            each.get_via_display(),
            masked(each.via, each.recipient),
            each.get_state_display(),
            each.provider,
            masked_in(each.provider_reply, each.via, each.recipient),
            str(each.attempts),
            shown(each.sent_at) if each.sent_at else "",
            shown(each.delivered_at) if each.delivered_at else "",
            str(each.pk),
        ]


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(min(max(day, FIRST_DAY), date(9998, 1, 1)), time()), LIMA)
