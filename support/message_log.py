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
from django.db.models import QuerySet
from django.utils import timezone

from clients.models import Partner
from external_api.frontdoor.places import Place
from messaging.models import Message, Via
from support.timeline import masked, shown

LIMA = ZoneInfo("America/Lima")
PER_PAGE = 50
LOOK_BACK = 7
"""Days."""
EXPORTED = 100_000
"""Rows of an export at most; who needs more filters by date."""

State = Message.State
PILLS: Mapping[str, tuple[str, frozenset[str]]] = {
    "cola": ("En cola", frozenset({State.QUEUED, State.SENDING})),
    "enviados": ("Enviados", frozenset({State.SENT})),
    "entregados": ("Entregados", frozenset({State.DELIVERED})),
    "fallidos": ("Fallidos", frozenset({State.FAILED, State.UNDELIVERED, State.UNKNOWN, State.EXPIRED})),
    "anulados": ("Anulados", frozenset({State.CANCELLED})),
}
"""Groups of states, as agents think of them."""
COLUMNS = ("fecha", "empresa", "tipo", "vía", "destino", "estado", "proveedor", "respuesta", "intentos", "enviado",
           "entregado", "id")  # fmt: skip


class FilterForm(forms.Form):
    """What the address may ask for; what makes no sense is left out rather than refused."""

    grupo = forms.ChoiceField(label="Estado", required=False, choices=[("", "Todos")] + [
        (name, label) for name, (label, _) in PILLS.items()
    ])  # fmt: skip
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
    older: Place | None
    newest: Place | None


def filtered(asked: Mapping[str, Any], *, at: datetime) -> QuerySet[Message]:
    """The messages that the cleaned fields of FilterForm ask for, newest first."""
    today = at.astimezone(LIMA).date()
    since, until = asked.get("desde"), asked.get("hasta")
    if since is None:
        since = (until or today) - timedelta(days=LOOK_BACK - 1)
    rows = Message.objects.filter(created_at__gte=_midnight(since))
    if until is not None:
        rows = rows.filter(created_at__lt=_midnight(until) + timedelta(days=1))
    if asked.get("grupo"):
        rows = rows.filter(state__in=PILLS[asked["grupo"]][1])
    if asked.get("via"):
        rows = rows.filter(via=asked["via"])
    if asked.get("tipo"):
        rows = rows.filter(kind=asked["tipo"])
    if asked.get("empresa"):
        rows = rows.filter(partner=asked["empresa"])
    rows = rows.select_related("partner").defer("text", "html", "sealed")
    return rows.order_by("-created_at", "-id")


def page(rows: QuerySet[Message], *, before: Place | None = None) -> Page:
    """The newest page, or the one that begins after a place."""
    found = list((before.older(rows) if before is not None else rows)[: PER_PAGE + 1])
    kept = found[:PER_PAGE]
    older = Place.of(kept[-1]) if len(found) > PER_PAGE else None
    return Page(kept, older, Place.of(kept[0]) if kept else None)


def newer(rows: QuerySet[Message], *, than: Place) -> list[Message]:
    """What came since, newest first; at most a page of it."""
    return list(than.newer(rows)[:PER_PAGE])[::-1]


def cells(rows: QuerySet[Message]) -> Iterator[list[str]]:
    """The rows of an export, destinations masked; read a thousand at a time."""
    for each in rows[:EXPORTED].iterator(chunk_size=1000):
        yield [
            shown(each.created_at), str(each.partner or ""), each.get_kind_display(), each.get_via_display(),
            masked(each.via, each.recipient), each.get_state_display(), each.provider, each.provider_reply,
            str(each.attempts), shown(each.sent_at) if each.sent_at else "",
            shown(each.delivered_at) if each.delivered_at else "", str(each.pk),
        ]  # fmt: skip


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(min(max(day, date(2000, 1, 1)), date(9998, 1, 1)), time()), LIMA)
