"""Audit page of the admin. `support` registers a subclass, which can also find entries by the e-mail address or phone
of a person."""

import ipaddress
from contextvars import ContextVar
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from clients.admin.audit_display import ACTION_NAMES, acts_in_order, object_in_words, read
from clients.admin.base import ReadOnly, SelectFilter
from clients.models import AuditEntry

_viewable: ContextVar[frozenset[str]] = ContextVar("models whose pages the reader may open", default=frozenset())
BY_THEMSELVES = ("clients.exported", "messages.exported", "staff_api.queried")
"""Acts about many rows: their entry is about the user who did them, whom the first column names."""
LONGEST = 120
"""Characters of the values of an entry in the list. Its page has all of them."""


class ActionFilter(SelectFilter):
    """Filter by action. Its choices are the known actions: reading the distinct actions would scan the whole table."""

    title = "acción"
    parameter_name = "accion"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(acts_in_order())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() in ACTION_NAMES else queryset


class AuditEntryAdmin(ReadOnly):
    list_display = ("at", "actor", "act", "whom", "changed", "address", "reason")
    list_filter = (ActionFilter,)
    date_hierarchy = "at"
    search_fields = ("actor",)
    search_help_text = "Quién, id, dirección IP; o correo, celular o documento de la persona."
    ordering = ("-at", "-id")
    fieldsets = (
        (None, {"fields": ("at", "actor", "act", "whom", "address", "reason")}),
        ("Antes y después", {"fields": ("details",)}),
    )
    readonly_fields = ("act", "whom", "details")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """An entry has no history of its own."""
        more = {"show_history": False, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, more)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        pages = self.admin_site._registry.items()
        _viewable.set(frozenset(model._meta.label_lower for model, page in pages if page.has_view_permission(request)))
        return super().get_queryset(request)

    @admin.display(description="qué")
    def act(self, entry: AuditEntry) -> str:
        return ACTION_NAMES.get(entry.action, entry.action)

    @admin.display(description="a quién")
    def whom(self, entry: AuditEntry) -> str:
        """Link to the row, if its model has a page that the reader may open. The row may be deleted; its page then says
        so."""
        if entry.action in BY_THEMSELVES:
            return "—"
        text = object_in_words(entry)
        if entry.object_type not in _viewable.get():
            return text
        try:
            where = reverse(f"admin:{entry.object_type.replace('.', '_')}_change", args=[entry.object_id])
        except NoReverseMatch:
            return text
        return format_html('<a class="text-link" href="{}">{}</a>', where, text)

    @admin.display(description="cambios")
    def changed(self, entry: AuditEntry) -> str:
        """Fields that changed, or what else the entry holds, such as the filter of an export."""
        shown = read(entry)
        text = ", ".join(change.what for change in shown.changes) or "; ".join(
            f"{name}: {value}" for name, value in shown.also if value
        )
        return f"{text[: LONGEST - 1]}…" if len(text) > LONGEST else text

    @admin.display(description="detalle")
    def details(self, entry: AuditEntry) -> str:
        return render_to_string("admin/audit_entry.html", {"entry": read(entry)})

    def get_search_results(
        self, request: Any, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Search by exact values, each with its index. An e-mail address is never a user name or a row id."""
        term = search_term.strip()
        if not term or "\x00" in term:
            return (queryset.none() if term else queryset), False
        if is_address(term):
            return queryset.filter(address=term), False
        ids = [term, *self.ids_of_a_person(term)]
        return queryset.filter(Q(actor=term) | Q(object_id__in=ids)), False

    def ids_of_a_person(self, term: str) -> list[str]:
        """Ids of the rows that belong to an e-mail address, a phone or a document. Overridden in `support`."""
        return []


def is_address(term: str) -> bool:
    try:
        ipaddress.ip_address(term)
    except ValueError:
        return False
    return True
