"""The providers: which are in use, which are set aside, since when, until when and why; and staff's hand on them."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from clients.admin import ReadOnly, ReasonForm
from clients.admin_acts import act_on_selected
from messaging import providers
from messaging.models import ProviderEvent, ProviderState

LATEST = 50
"""Changes a provider's page shows."""


class SetAsideForm(ReasonForm):
    pass


class RestoreForm(ReasonForm):
    pass


@admin.register(ProviderState)
class ProviderStateAdmin(ReadOnly):
    actions = ("take_out", "put_back")
    list_display = ("name", "standing", "set_aside_at", "until_when", "reason", "who")
    ordering = ("name",)
    fields = readonly_fields = ("name", "standing", "set_aside_at", "until_when", "reason", "who", "history")

    @admin.display(description="estado")
    def standing(self, state: ProviderState) -> str:
        return "Apartado" if state.is_set_aside else "En servicio"

    @admin.display(description="hasta")
    def until_when(self, state: ProviderState) -> str:
        if not state.is_set_aside:
            return "—"
        return _shown(state.until) if state.until else "que alguien lo restablezca"

    @admin.display(description="por")
    def who(self, state: ProviderState) -> str:
        if not state.is_set_aside:
            return "—"
        return state.by or "el sistema"

    @admin.display(description="últimos cambios")
    def history(self, state: ProviderState) -> SafeString:
        events = ProviderEvent.objects.filter(provider=state.name).order_by("-at", "-id")[:LATEST]
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            ((_shown(each.at), each.get_what_display(), each.reason, each.by or "el sistema") for each in events),
        )
        if not rows:
            return SafeString("Ninguno.")
        head = SafeString("<tr><th>Fecha</th><th>Qué</th><th>Motivo</th><th>Por</th></tr>")
        return format_html("<table><thead>{}</thead><tbody>{}</tbody></table>", head, rows)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.change_providerstate")

    @admin.action(description="Apartar…", permissions=["operate"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> HttpResponse | None:
        def act(state: ProviderState, *, reason: str, **who: Any) -> bool:
            providers.set_aside(state.name, reason, **who)
            return True

        return act_on_selected(self, request, queryset, "take_out", "Apartar", SetAsideForm, act)

    @admin.action(description="Restablecer…", permissions=["operate"])
    def put_back(self, request: HttpRequest, queryset: QuerySet[ProviderState]) -> HttpResponse | None:
        def act(state: ProviderState, **word: Any) -> bool:
            return providers.restore(state.name, **word)

        return act_on_selected(self, request, queryset, "put_back", "Restablecer", RestoreForm, act)


def _shown(moment: datetime) -> str:
    return localtime(moment).strftime("%d/%m/%Y %H:%M:%S")
