"""Authorised clients (contract 1) in the admin, read-only. `external_api` registers the page and adds the import, since
the rules for a row of a file belong to the contract."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.timezone import localtime

from clients.admin.base import PartnerFilter, ReadOnly, TextFilter, moment_of
from clients.identity.emails import InvalidEmail, canonical_email
from clients.identity.names import normalised
from clients.models import AuthorizedClient

SUBSCRIBED = Q(subscribed_at__isnull=False, unsubscribed_at__isnull=True, deauthorized_at__isnull=True)


class YesNoFilter(admin.SimpleListFilter):
    """Filter by a yes-or-no condition."""

    labels = ("Sí", "No")
    condition: Q

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("si", self.labels[0]), ("no", self.labels[1])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuthorizedClient]) -> QuerySet[AuthorizedClient]:
        if self.value() == "si":
            return queryset.filter(self.condition)
        if self.value() == "no":
            return queryset.filter(~self.condition)
        return queryset


class LiveFilter(YesNoFilter):
    title = "vigencia"
    parameter_name = "vigente"
    labels = ("Vigente", "Dado de baja")
    condition = Q(deauthorized_at__isnull=True)


class SubscribedFilter(YesNoFilter):
    title = "suscrito"
    parameter_name = "suscrito"
    condition = SUBSCRIBED


class ProfileFilter(TextFilter):
    title = "perfil"
    parameter_name = "perfil"

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuthorizedClient]) -> QuerySet[AuthorizedClient]:
        return queryset.filter(profile=self.typed()) if self.typed() else queryset


class AuthorizedClientAdmin(ReadOnly):
    list_display = ("authorized", "state_shown", "email", "name", "document", "profile", "external_code", "partner")
    authorized = moment_of("created_at", "autorizado")
    list_filter = (LiveFilter, SubscribedFilter, ProfileFilter, ("partner", PartnerFilter))
    list_select_related = ("partner",)
    search_fields = ("email",)
    search_help_text = "Correo, número de documento o código externo, exactos."
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("partner", "email", "external_code", "profile")}),
        ("Persona", {"fields": ("name", "document_type", "document_number", "phone")}),
        ("Autorización", {"fields": ("request_id", "created_at", "deauthorized_at")}),
        ("Suscripción", {"fields": ("subscribed", "subscribed_at", "unsubscribed_at")}),
    )
    readonly_fields = ("subscribed",)

    @admin.display(description="documento")
    def document(self, client: AuthorizedClient) -> str:
        return f"{client.document_type} {client.document_number}".strip()

    @admin.display(description="estado")
    def state_shown(self, client: AuthorizedClient) -> str:
        """What one looks for in the list: whether this client gets bulletins, and since when not."""
        if client.deauthorized_at is not None:
            return f"Dado de baja el {localtime(client.deauthorized_at):%d/%m/%Y}"
        return "Suscrito" if client.is_subscribed else "Sin suscripción"

    @admin.display(description="suscrito", boolean=True)
    def subscribed(self, client: AuthorizedClient) -> bool:
        return client.is_subscribed

    def get_search_results(
        self, request: Any, queryset: QuerySet[AuthorizedClient], search_term: str
    ) -> tuple[QuerySet[AuthorizedClient], bool]:
        term = normalised(search_term)
        if not term:
            return queryset, False
        try:
            email = canonical_email(term)
        except InvalidEmail:
            return queryset.filter(Q(document_number=term.upper()) | Q(external_code=term)), False
        return queryset.filter(Q(email=email) | Q(external_code=term)), False
