"""Admin pages of messages and their events, read-only. The sealed code is never shown, not even to staff."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html

from clients.admin.audit_display import moment
from clients.admin.base import PartnerFilter, ReadOnly, ReadOnlyInline, moment_of
from messaging.models import Campaign, Message, MessageEvent


class CampaignFilter(admin.SimpleListFilter):
    """Filter by the campaign that the URL names; its page links here. A list of all campaigns would grow for ever."""

    title = "campaña"
    parameter_name = "campaign"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        chosen = self.value() or ""
        if not chosen.isascii() or not chosen.isdigit() or len(chosen) > 18:
            return []
        return [(str(each.pk), each.subject) for each in Campaign.objects.filter(pk=int(chosen))]

    def has_output(self) -> bool:
        return self.value() is not None

    def queryset(self, request: Any, queryset: QuerySet[Message]) -> QuerySet[Message]:
        if self.value() is None:
            return queryset
        known = [int(key) for key, _ in self.lookup_choices]
        return queryset.filter(campaign__in=known)


class EventInline(ReadOnlyInline):
    model = MessageEvent
    fields = readonly_fields = ("at", "state", "attempt", "provider", "detail")
    ordering = ("at", "id")


@admin.register(Message)
class MessageAdmin(ReadOnly):
    inlines = (EventInline,)
    list_display = ("made", "state", "via", "recipient", "kind", "provider", "left", "company")
    made = moment_of("created_at", "creado")
    left = moment_of("sent_at", "enviado")
    list_filter = ("state", "via", "kind", ("partner", PartnerFilter), CampaignFilter)
    date_hierarchy = "created_at"
    list_select_related = ("partner",)
    search_fields = ("recipient",)
    search_help_text = "Celular o correo exacto, o el id del mensaje o de su código."
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("number", "company", "kind", "via", "recipient", "subject", "content")}),
        ("Envío", {"fields": ("state", "attempts", "next_attempt_at", "send_before", "handed_over")}),
        ("Llegada", {"fields": ("sent_at", "delivered_at")}),
        ("Proveedor", {"fields": ("provider", "id_at_provider", "provider_reply")}),
        ("Origen", {"fields": ("credential_used", "request_number", "code", "of_campaign", "created_at")}),
    )
    readonly_fields = (
        "number",
        "company",
        "content",
        "of_campaign",
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

    @admin.display(description="texto")
    def content(self, message: Message) -> str:
        """A campaign's text is in the campaign: its messages have none of their own."""
        if message.text or not message.campaign:
            return message.text or "—"
        return "El de su campaña."

    @admin.display(description="campaña")
    def of_campaign(self, message: Message) -> str:
        if not message.campaign:
            return "—"
        where = reverse("admin:messaging_campaign_change", args=[message.campaign_id])
        return format_html('<a class="text-link" href="{}">{}</a>', where, message.campaign)

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
