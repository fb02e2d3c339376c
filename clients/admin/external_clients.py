"""External clients (contract 3) in the admin, read-only: search, data points and history."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string

from clients.admin.audit_display import history_of, in_words
from clients.admin.base import PartnerFilter, ReadOnly, moment_of
from clients.models import ExternalClient

KINDS: dict[type, str] = {str: "texto", bool: "sí o no", int: "número", float: "número", type(None): "nulo"}


@dataclass(frozen=True)
class Point:
    """Data point for display."""

    key: str
    kind: str
    value: str


def points_of(client: ExternalClient) -> Iterator[Point]:
    for point in client.data_points:
        value = point["value"]
        yield Point(point["key"], KINDS[type(value)], in_words(value))


@admin.register(ExternalClient)
class ExternalClientAdmin(ReadOnly):
    list_display = ("registered", "client_id", "name", "cui", "phone", "product_key", "partner")
    registered = moment_of("created_at", "registrado")
    list_filter = (("partner", PartnerFilter),)
    date_hierarchy = "created_at"
    list_select_related = ("partner",)
    search_fields = ("client_id",)
    search_help_text = "CUI, teléfono, id del cliente en la empresa o id nuestro, exactos; o cómo empiezan sus nombres."
    ordering = ("-created_at", "-id")
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
        return render_to_string(
            "admin/audit_entries.html", {"entries": history_of(self.opts.label_lower, str(client.pk))}
        )
