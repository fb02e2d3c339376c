"""Admin pages of subscription requests and of the evidence of consents, read-only. No token is on any page."""

from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet

from clients.admin.base import IsSetFilter, ReadOnly
from subscription.models import ConsentRecord, SubscriptionRequest

M = TypeVar("M", bound=Model)


class ByMailbox(ReadOnly):
    """Search by the exact address, which has an index."""

    search_fields = ("email",)
    search_help_text = "Correo exacto."

    def get_search_results(self, request: Any, queryset: QuerySet[M], search_term: str) -> tuple[QuerySet[M], bool]:
        term = search_term.strip().lower()
        return (queryset.filter(email=term) if term else queryset), False


@admin.register(SubscriptionRequest)
class SubscriptionRequestAdmin(ByMailbox):
    list_display = ("requested_at", "email", "expires_at", "used_at", "address")
    list_filter = (("used_at", IsSetFilter),)
    date_hierarchy = "requested_at"
    search_help_text = "Correo exacto, o el id del pedido."
    ordering = ("-requested_at",)
    fields = ("number", "email", "requested_at", "expires_at", "used_at", "address")
    readonly_fields = ("number",)

    def get_search_results(self, request: Any, queryset: QuerySet[M], search_term: str) -> tuple[QuerySet[M], bool]:
        with suppress(ValueError):
            return queryset.filter(pk=UUID(search_term.strip())), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="id")
    def number(self, request: SubscriptionRequest) -> str:
        return str(request.pk)


@admin.register(ConsentRecord)
class ConsentRecordAdmin(ByMailbox):
    list_display = ("at", "email", "partner", "act", "how", "text_version", "address")
    list_filter = ("act", "how")  # not by partner: that is in another table, and the filter would read both
    date_hierarchy = "at"
    list_select_related = ("authorized_client__partner",)
    ordering = ("-at", "-id")
    fields = ("at", "email", "partner", "act", "how", "text_version", "text", "address", "link", "client")
    readonly_fields = ("partner", "link", "client")

    def get_queryset(self, request: Any) -> QuerySet[ConsentRecord]:
        return super().get_queryset(request).defer("text")

    @admin.display(description="empresa")
    def partner(self, record: ConsentRecord) -> str:
        return record.authorized_client.partner.name

    @admin.display(description="pedido (id)")
    def link(self, record: ConsentRecord) -> str:
        return str(record.request_id or "—")

    @admin.display(description="cliente autorizado (id)")
    def client(self, record: ConsentRecord) -> int:
        return record.authorized_client_id
