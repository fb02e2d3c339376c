"""External clients (contract 3) to be read: found by what an agent has, their data points, and what became of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from clients.admin import CompanyFilter, ReadOnly
from clients.models import AuditEntry, ExternalClient
from clients.registering import CHANGED, REGISTERED

SHOWN = 50
"""Entries of the history on the page; the audit has them all."""
ACTS = {REGISTERED: "Registrado", CHANGED: "Modificado"}
KINDS: dict[type, str] = {str: "texto", bool: "sí o no", int: "número", float: "número", type(None): "nulo"}


@dataclass(frozen=True)
class Point:
    """A data point as staff reads it."""

    key: str
    kind: str
    value: str


@dataclass(frozen=True)
class Change:
    """One field of an entry; None where there was nothing, or is nothing any more."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Entry:
    audit: AuditEntry
    act: str
    changes: list[Change]


def in_words(value: Any) -> str:
    """A value of any type that a data point may have; in the history also a list of keys."""
    if value is None:
        return "nulo"
    if isinstance(value, bool):
        return "sí" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def points_of(client: ExternalClient) -> Iterator[Point]:
    for point in client.data_points:
        value = point["value"]
        yield Point(point["key"], KINDS[type(value)], in_words(value))


def history_of(client_id: str) -> list[Entry]:
    """The newest entries, newest first."""
    entries = AuditEntry.objects.filter(object_type=ExternalClient._meta.label_lower, object_id=client_id)
    return [
        Entry(entry, ACTS.get(entry.action, entry.action), [_change(each) for each in entry.data.get("changes", [])])
        for entry in entries.order_by("-id")[:SHOWN]
    ]


def _change(change: dict[str, Any]) -> Change:
    what = str(label_for_field(change["field"], ExternalClient))
    if "key" in change:
        what = f"dato «{change['key']}»"
    elif change["field"] == "data_points":
        what = "orden de los datos"
    before, after = (in_words(change[side]) if side in change else None for side in ("before", "after"))
    return Change(what, before, after)


@admin.register(ExternalClient)
class ExternalClientAdmin(ReadOnly):
    list_display = ("created_at", "client_id", "name", "cui", "phone", "partner", "product_key", "origin", "updated_at")
    list_display_links = ("client_id",)
    list_filter = (("partner", CompanyFilter), "created_at")
    list_select_related = ("partner",)
    search_fields = ("client_id",)
    search_help_text = "CUI, teléfono, id del cliente en la empresa o id nuestro, exactos; o cómo empiezan sus nombres."
    ordering = ("-created_at", "-id")
    sortable_by = ()  # other columns have no index that a million rows could be sorted by
    fieldsets = (
        (None, {"fields": ("number", "partner", "client_id")}),
        ("Persona", {"fields": ("cui", "first_name", "last_name", "phone")}),
        ("Producto", {"fields": ("product_key", "product_id", "origin")}),
        ("Datos", {"fields": ("points",)}),
        ("Fechas", {"fields": ("created_at", "updated_at")}),
        ("Historial de cambios", {"fields": ("changes",)}),
    )
    readonly_fields = ("number", "points", "changes")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExternalClient]:
        return cast("QuerySet[ExternalClient]", super().get_queryset(request).defer("data_points", "name_words"))

    def get_search_results(
        self, request: Any, queryset: QuerySet[ExternalClient], search_term: str
    ) -> tuple[QuerySet[ExternalClient], bool]:
        return queryset.found_by(search_term), False  # type: ignore[attr-defined]

    @admin.display(description="id")
    def number(self, client: ExternalClient) -> str:
        return str(client.pk)

    @admin.display(description="nombre")
    def name(self, client: ExternalClient) -> str:
        return f"{client.first_name} {client.last_name}"

    @admin.display(description="datos")
    def points(self, client: ExternalClient) -> str:
        return render_to_string("admin/clients/externalclient/points.html", {"points": list(points_of(client))})

    @admin.display(description="cambios")
    def changes(self, client: ExternalClient) -> str:
        return render_to_string("admin/clients/externalclient/changes.html", {"entries": history_of(str(client.pk))})

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's page for what was done by hand in the admin; nothing is here, so it shows the audit's entries."""
        entries = partial(history_of, object_id)  # asked when the page is made: the id is not known to be one before
        return super().history_view(request, object_id, {"entries": entries, **(extra_context or {})})
