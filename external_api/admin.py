"""Admin page of the request log, read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from clients.admin.base import PartnerFilter, ReadOnly, moment_of
from external_api.models import ApiRequest


class AnswerFilter(admin.SimpleListFilter):
    """Filter by the first digit of the status: a list of the statuses that occur would read the whole table."""

    title = "respuesta"
    parameter_name = "respuesta"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("2", "2xx: atendida"), ("4", "4xx: rechazada"), ("5", "5xx: falla nuestra")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiRequest]) -> QuerySet[ApiRequest]:
        hundreds = self.value()
        if hundreds not in ("2", "4", "5"):
            return queryset
        return queryset.filter(status__gte=int(hundreds) * 100, status__lt=int(hundreds) * 100 + 100)


@admin.register(ApiRequest)
class ApiRequestAdmin(ReadOnly):
    list_display = ("id", "status", "code", "asked", "action", "contract", "partner", "user", "address", "duration_ms")
    asked = moment_of("created_at", "fecha")
    list_filter = ("contract", AnswerFilter, ("partner", PartnerFilter))
    date_hierarchy = "created_at"
    list_select_related = ("partner",)
    search_fields = ("id",)
    search_help_text = "Número de solicitud (id_solicitud, o el de event_<número>)."
    ordering = ("-created_at", "-id")
    fields = (
        "id",
        "created_at",
        "contract",
        "partner",
        "user",
        "action",
        "status",
        "code",
        "successes",
        "failures",
        "address",
        "duration_ms",
    )
    readonly_fields = ("id",)

    def get_search_results(
        self, request: Any, queryset: QuerySet[ApiRequest], search_term: str
    ) -> tuple[QuerySet[ApiRequest], bool]:
        term = search_term.strip().removeprefix("event_")
        if not term:
            return queryset, False
        is_number = term.isascii() and term.isdigit() and len(term) <= 18
        return (queryset.filter(pk=int(term)) if is_number else queryset.none()), False


from external_api.client_import import admin as admin_import  # noqa: E402, F401  its pages register themselves
