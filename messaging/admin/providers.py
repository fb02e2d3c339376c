"""Admin pages of providers: state and history of each circuit breaker, which staff can open and close."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone

from clients.admin.audit_display import moment
from clients.admin.base import IsSetFilter, ReadOnly
from clients.admin.bulk_actions import run_on_selected
from clients.admin.credentials import ReasonForm
from messaging.delivery import failover
from messaging.models import ProviderEvent, ProviderState

MAX_EVENTS = 50
"""Changes shown on a provider's page."""


class SetAsideForm(ReasonForm):
    pass


class RestoreForm(ReasonForm):
    pass


@admin.register(ProviderState)
class ProviderStateAdmin(ReadOnly):
    actions = ("take_out", "put_back")
    list_display = ("name", "status", "set_aside_at", "until_when", "reason", "who")
    ordering = ("name",)
    list_filter = (("set_aside_at", IsSetFilter),)
    fields = readonly_fields = ("name", "status", "set_aside_at", "until_when", "reason", "who", "history")

    @admin.display(description="estado")
    def status(self, state: ProviderState) -> str:
        return "Apartado" if state.is_open else "En servicio"

    @admin.display(description="hasta")
    def until_when(self, state: ProviderState) -> str:
        if not state.is_open:
            return "—"
        if state.until is None:
            return "que alguien lo restablezca"
        return moment(state.until) if state.until > timezone.now() else "se probará con el próximo mensaje"

    @admin.display(description="por")
    def who(self, state: ProviderState) -> str:
        if not state.is_open:
            return "—"
        return state.by or "el sistema"

    @admin.display(description="últimos cambios")
    def history(self, state: ProviderState) -> str:
        events = ProviderEvent.objects.filter(provider=state.name).order_by("-at", "-id")[:MAX_EVENTS]
        return render_to_string("admin/messaging/providerstate/history.html", {"events": list(events)})

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.change_providerstate")

    @admin.action(description="Apartar…", permissions=["operate"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> HttpResponse | None:
        def act(state: ProviderState, *, reason: str, **who: Any) -> bool:
            failover.open_circuit(state.name, reason, **who)
            return True

        return run_on_selected(self, request, queryset, "take_out", "Apartar", SetAsideForm, act)

    @admin.action(description="Restablecer…", permissions=["operate"])
    def put_back(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> HttpResponse | None:
        def act(state: ProviderState, **details: Any) -> bool:
            return failover.restore(state.name, **details)

        return run_on_selected(self, request, queryset, "put_back", "Restablecer", RestoreForm, act)
