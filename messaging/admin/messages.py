"""Admin pages of messages and their events, read-only. The sealed code is never shown, not even to staff."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet

from clients.admin.audit_display import moment
from clients.admin.base import PartnerFilter, ReadOnly, ReadOnlyInline
from messaging.models import Message, MessageEvent


class EventInline(ReadOnlyInline):
    model = MessageEvent
    fields = readonly_fields = ("at", "state", "attempt", "provider", "detail")
    ordering = ("at", "id")


@admin.register(Message)
class MessageAdmin(ReadOnly):
    inlines = (EventInline,)
    list_display = ("created_at", "company", "kind", "via", "recipient", "state", "attempts", "provider", "sent_at")
    list_filter = ("state", "via", "kind", ("partner", PartnerFilter))
    date_hierarchy = "created_at"
    list_select_related = ("partner",)
    search_fields = ("recipient",)
    search_help_text = "Celular o correo exacto, o el id del mensaje o de su código."
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("number", "company", "kind", "via", "recipient", "subject", "text")}),
        ("Envío", {"fields": ("state", "attempts", "next_attempt_at", "send_before", "handed_over")}),
        ("Llegada", {"fields": ("sent_at", "delivered_at")}),
        ("Proveedor", {"fields": ("provider", "id_at_provider", "provider_reply")}),
        ("Origen", {"fields": ("credential_used", "request_number", "code", "created_at")}),
    )
    readonly_fields = (
        "number",
        "company",
        "handed_over",
        "id_at_provider",
        "credential_used",
        "request_number",
        "code",
    )

    def get_queryset(self, request: Any) -> QuerySet[Message]:
        return super().get_queryset(request).defer("html", "sealed")

    def get_search_results(
        self, request: Any, queryset: QuerySet[Message], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        """Exact search by indexed columns, because the list may have ten million rows."""
        term = search_term.strip()
        if not term:
            return queryset, False
        with suppress(ValueError):
            wanted = UUID(term)
            return queryset.filter(Q(pk=wanted) | Q(reference=wanted)), False
        return queryset.filter(recipient=term.lower()), False

    @admin.display(description="id")
    def number(self, message: Message) -> str:
        return str(message.pk)

    @admin.display(description="empresa")
    def company(self, message: Message) -> str:
        return str(message.partner or "—")

    @admin.display(description="entregado al proveedor")
    def handed_over(self, message: Message) -> str:
        return moment(message.handed_over_at) or "—"

    @admin.display(description="id en el proveedor")
    def id_at_provider(self, message: Message) -> str:
        return message.provider_id or "—"

    @admin.display(description="credencial")
    def credential_used(self, message: Message) -> str:
        return str(message.credential or "—")

    @admin.display(description="solicitud")
    def request_number(self, message: Message) -> Any:
        return message.request_id

    @admin.display(description="código (id)")
    def code(self, message: Message) -> str:
        return str(message.reference or "—")
