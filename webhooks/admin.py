"""Webhooks in the admin: a partner's endpoints, what became of each delivery, and the acts that partners have too."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from clients.admin.base import IsSetFilter, Page, PartnerFilter, ReadOnly, actor, address
from clients.admin.one_time_forms import new_ticket, spend_ticket
from clients.events.models import EventType
from clients.events.payload import public_id
from clients.local_time import display
from webhooks import endpoints
from webhooks.addresses import BadUrl
from webhooks.endpoints import Actor
from webhooks.errors import TooManyEndpoints, UntriedTest
from webhooks.models import Delivery, Endpoint

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Before every delivery."""


def who(request: HttpRequest) -> dict[str, Any]:
    return {"by": Actor(actor(request), address(request)), "at": timezone.now()}


class EndpointForm(forms.ModelForm):
    types = forms.MultipleChoiceField(
        label="Tipos de evento",
        choices=EventType.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Ninguno marcado: todos.",
    )

    class Meta:
        model = Endpoint
        fields = ("partner", "url", "description", "email", "types")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            endpoints.check_url(url)
        except BadUrl as fault:
            raise forms.ValidationError(fault.reason) from None
        return url

    def clean_types(self) -> list[str] | None:
        return sorted(self.cleaned_data["types"]) or None

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        partner, url = data.get("partner"), data.get("url")
        others = Endpoint.objects.filter(partner=partner)
        if self.instance.created_at is None and partner is not None and url:
            if others.filter(url=url).exists():  # also a page that was sent twice
                self.add_error("url", "La empresa ya tiene un webhook con esta URL.")
            elif others.count() >= Endpoint.MOST:
                self.add_error("partner", f"La empresa ya tiene {Endpoint.MOST} webhooks.")
        return data


@admin.register(Endpoint)
class EndpointAdmin(Page):
    form = EndpointForm
    actions = ("pause", "wake", "send_test", "send_failed_again")
    list_display = ("url_shown", "status_shown", "partner", "last_success", "open_now")
    list_filter = ("status", ("failing_since", IsSetFilter), ("partner", PartnerFilter))
    list_select_related = ("partner",)
    search_fields = ("url",)
    search_help_text = "URL, o parte de ella."
    ordering = ("-created_at", "-id")
    readonly_fields = ("status_shown", "history", "deliveries_shown", "secret_shown")
    fieldsets = (
        (None, {"fields": ("partner", "url", "description", "email", "types")}),
        ("Estado", {"fields": ("status_shown", "history", "deliveries_shown", "secret_shown")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        waiting = Count("deliveries", filter=Q(deliveries__status=Delivery.Status.PENDING))
        return cast("QuerySet[Endpoint]", super().get_queryset(request).annotate(waiting=waiting))

    # --- what is shown ---

    @admin.display(description="URL", ordering=None)
    def url_shown(self, endpoint: Endpoint) -> str:
        return endpoint.url if len(endpoint.url) <= 60 else f"{endpoint.url[:59]}…"

    @admin.display(description="estado")
    def status_shown(self, endpoint: Endpoint) -> str:
        text = endpoint.get_status_display()
        if endpoint.status == Endpoint.Status.ACTIVE and endpoint.failing_since is not None:
            return f"{text}, falla desde el {display(endpoint.failing_since)}"
        return text if endpoint.stopped_at is None else f"{text} desde el {display(endpoint.stopped_at)}"

    @admin.display(description="último éxito")
    def last_success(self, endpoint: Endpoint) -> str:
        return "ninguno" if endpoint.last_success_at is None else display(endpoint.last_success_at)

    @admin.display(description="pendientes")
    def open_now(self, endpoint: Any) -> int:
        return int(endpoint.waiting)

    @admin.display(description="historia")
    def history(self, endpoint: Endpoint) -> str:
        parts = [f"creado el {display(endpoint.created_at)}", f"último éxito: {self.last_success(endpoint)}"]
        if endpoint.resumed_from is not None:
            parts.append(f"faltan los eventos de antes del {display(endpoint.resumed_from)}: ya no se conservaban")
        return "; ".join(parts)

    @admin.display(description="entregas")
    def deliveries_shown(self, endpoint: Endpoint) -> str:
        where = f"{reverse('admin:webhooks_delivery_changelist')}?endpoint__id__exact={endpoint.pk}"
        return format_html('<a class="text-link" href="{}">Ver sus entregas</a>', where)

    @admin.display(description="secreto")
    def secret_shown(self, endpoint: Endpoint) -> str:
        if endpoint.former_secret_until is not None and endpoint.is_overlapping(at=timezone.now()):
            return f"El anterior firma también hasta el {display(endpoint.former_secret_until)}."
        return "Se mostró una sola vez."

    # --- adding and changing ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj else self.fieldsets[:1]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("partner", *self.readonly_fields) if obj else ()

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        """By the functions of the domain, which write the audit."""
        values = {name: form.cleaned_data[name] for name in endpoints.CHANGED if name in form.cleaned_data}
        if change:
            endpoints.change(obj.pk, values, **who(request))
            return
        made, secret = endpoints.create(form.cleaned_data["partner"], **values, **who(request))
        obj.pk = made.pk  # the page goes on with the row that was written
        cast(Any, obj).shown_secret = secret  # for `response_add`, in this request alone

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except TooManyEndpoints:  # another one was made since the form was checked
            messages.error(request, f"La empresa ya tiene {Endpoint.MOST} webhooks.")
            return self._to_list()

    def response_add(self, request: HttpRequest, obj: Endpoint, post_url_continue: Any = None) -> HttpResponse:
        return self._secret_page(request, obj, cast(Any, obj).shown_secret, "Webhook creado")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit has it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit has it."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """The audit has it."""

    def delete_model(self, request: HttpRequest, obj: Endpoint) -> None:
        endpoints.delete(obj.pk, **who(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for each in queryset:
            endpoints.delete(each.pk, **who(request))

    # --- the secret ---

    def get_urls(self) -> list[URLPattern]:
        wrapped = self.admin_site.admin_view
        own = path("<path:object_id>/secreto/", wrapped(self.rotate_view), name="webhooks_endpoint_rotate")
        return [own, *super().get_urls()]

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Page to make a new secret. The answer to the POST shows it, once."""
        if not request.user.has_perm("webhooks.add_endpoint"):
            raise PermissionDenied
        endpoint = self.get_object(request, object_id)
        if endpoint is None:
            raise Http404
        if request.method == "POST" and spend_ticket(request):
            endpoint, secret = endpoints.rotate(endpoint.pk, **who(request))
            return self._secret_page(request, endpoint, secret, "Secreto cambiado")
        if request.method == "POST":
            messages.warning(request, "Ese formulario ya se usó. Un secreto se muestra una sola vez.")
            return HttpResponseRedirect(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
        context = {
            "form": forms.Form(),
            "ticket": new_ticket(request),
            "hours": Endpoint.OVERLAP.total_seconds() // 3600,
        }
        return self._page(request, endpoint, "rotate.html", "Cambiar el secreto", **context)

    def _secret_page(self, request: HttpRequest, endpoint: Endpoint, secret: str, title: str) -> TemplateResponse:
        return self._page(request, endpoint, "secret.html", title, secret=secret)

    def _page(self, request: HttpRequest, endpoint: Endpoint, name: str, title: str, **more: Any) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "original": endpoint,
            "back": reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]),
            **more,
        }
        return TemplateResponse(request, f"admin/webhooks/endpoint/{name}", context)

    def _to_list(self) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:webhooks_endpoint_changelist"))

    # --- acts ---

    @admin.action(description="Pausar", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for each in queryset:
            endpoints.pause(each.pk, **who(request))
        messages.success(request, "En pausa. Sus eventos esperan mientras se conservan.")

    @admin.action(description="Reanudar", permissions=["change"])
    def wake(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for each in queryset:
            endpoints.wake(each.pk, **who(request))
        messages.success(request, "Reanudados: siguen donde se detuvieron.")

    @admin.action(description="Enviar una prueba", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for each in queryset:
            try:
                endpoints.send_test(each.pk, at=timezone.now())
            except UntriedTest:
                messages.warning(request, f"{each}: la prueba anterior aún no se envió.")
            else:
                messages.success(request, f"{each}: la prueba saldrá en segundos; su resultado está en las entregas.")

    @admin.action(description="Reenviar las entregas fallidas", permissions=["change"])
    def send_failed_again(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for each in queryset:
            sent = endpoints.send_again(each.pk, since=LONG_AGO, **who(request))
            messages.success(request, f"{each}: {sent} entregas se reenvían.")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    actions = ("send_again",)
    list_display = ("created_at", "status", "type", "endpoint_shown", "tries", "last_result", "next_one")
    list_filter = ("status",)
    list_select_related = ("endpoint",)
    date_hierarchy = "created_at"
    search_fields = ("event_id",)
    search_help_text = "Id del evento, como evt_77120, o de la entrega."
    ordering = ("-id",)
    readonly_fields = ("event_shown", "endpoint_shown", "last_result", "next_one")
    fieldsets = (
        (None, {"fields": ("event_shown", "type", "endpoint_shown", "status")}),
        ("Intentos", {"fields": ("tries", "last_try_at", "last_result", "next_one", "created_at", "finished_at")}),
    )

    @admin.display(description="evento")
    def event_shown(self, delivery: Delivery) -> str:
        return "prueba" if delivery.event_id is None else public_id(delivery.event_id)

    @admin.display(description="webhook")
    def endpoint_shown(self, delivery: Delivery) -> str:
        url = delivery.endpoint.url
        where = reverse("admin:webhooks_endpoint_change", args=[delivery.endpoint_id])
        return format_html('<a class="text-link" href="{}">{}</a>', where, url if len(url) <= 40 else f"{url[:39]}…")

    @admin.display(description="último resultado")
    def last_result(self, delivery: Delivery) -> str:
        return delivery.last_error or ("" if delivery.last_status is None else f"HTTP {delivery.last_status}")

    @admin.display(description="siguiente intento")
    def next_one(self, delivery: Delivery) -> str:
        return display(delivery.next_try_at) if delivery.status == Delivery.Status.PENDING else ""

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """A webhook's page links to its own deliveries."""
        return lookup == "endpoint__id__exact" or super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        number = term.removeprefix("evt_")
        if number.isascii() and number.isdigit() and len(number) < 19:
            return queryset.filter(event_id=int(number)), False
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:
            return queryset.none(), False

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhooks.change_endpoint")

    @admin.action(description="Reenviar", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        by_endpoint: dict[UUID, list[UUID]] = {}
        for each in queryset[: Endpoint.MOST_OPEN]:
            by_endpoint.setdefault(each.endpoint_id, []).append(each.pk)
        sent = sum(endpoints.send_again(key, deliveries=ids, **who(request)) for key, ids in by_endpoint.items())
        messages.success(request, f"{sent} entregas se reenvían.")
