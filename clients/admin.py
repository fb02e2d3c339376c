"""The admin's ground floor: partners and their keys, the audit, and what the other rooms' read-only pages share."""

import secrets
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.functional import cached_property
from django.utils.html import format_html

from clients.callers import caller_address
from clients.credentials import issue, revoke
from clients.models import AuditEntry, Contract, Credential, Partner, audit

admin.site.site_title = admin.site.site_header = "Aval"
admin.site.index_title = "Administración"

COUNTED = 5_000
"""Rows a list counts, and so can be leafed through; who looks for an older one filters or searches."""
LONGEST_LIFE = timedelta(days=3650)
_TICKET = "credential_ticket"


def actor(request: HttpRequest) -> str:
    """The member of staff, as the audit names him."""
    return request.user.get_username()


def address(request: HttpRequest) -> str:
    """Where he sits, as the front door reads it."""
    return caller_address(request.META)


class LimitedPaginator(Paginator):
    """Never counts a big table to its end."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[:COUNTED].count()


class ReadOnly(admin.ModelAdmin):
    """Rows that code writes and staff reads. Lists stay bounded whatever the table's size."""

    actions: Sequence[Any] = ()
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = LimitedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CompanyFilter(admin.RelatedFieldListFilter):
    """Filters by partner under its Spanish name, whatever the column is called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "empresa"


class ReasonForm(forms.Form):
    reason = forms.CharField(label="Motivo", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


class IssueForm(forms.Form):
    kind = forms.ChoiceField(
        label="Tipo", choices=Credential.Kind.choices, initial=Credential.Kind.OPAQUE, widget=forms.RadioSelect
    )
    last_day = forms.DateField(
        label="Último día de vigencia",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Vacío: el token opaco no vence, el JWT vence en 365 días.",
    )

    def clean_last_day(self) -> datetime | None:
        day = self.cleaned_data["last_day"]
        if day is None:
            return None
        if not timezone.localdate() <= day <= timezone.localdate() + LONGEST_LIFE:
            raise forms.ValidationError("Debe ser de hoy a diez años.")
        return datetime.combine(day + timedelta(days=1), time(), timezone.get_default_timezone())


class PartnerForm(forms.ModelForm):
    contracts = forms.MultipleChoiceField(
        label="contratos",
        choices=Contract.choices,
        initial=Contract.values,
        widget=forms.CheckboxSelectMultiple,
        help_text="Los que sus credenciales abren.",
    )


class CredentialInline(ReadOnlyInline):
    model = Credential
    fields = ("kind", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at", "revoking")
    readonly_fields = fields

    @admin.display(description="")
    def revoking(self, credential: Credential) -> str:
        if credential.revoked_at is not None:
            return ""
        where = reverse("admin:clients_partner_revoke", args=[credential.partner_id, credential.pk])
        return format_html('<a href="{}">Revocar</a>', where)


@admin.register(Partner)
class PartnerAdmin(admin.ModelAdmin):
    """A partner is switched off, not deleted: its history names it."""

    form = PartnerForm
    inlines = (CredentialInline,)
    list_display = ("name", "slug", "is_active", "allowed", "live_keys", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "is_active", "contracts", "requests_per_minute", "paid_messages_per_day")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Partner]:
        live = Q(credentials__revoked_at__isnull=True) & (
            Q(credentials__expires_at__isnull=True) | Q(credentials__expires_at__gt=timezone.now())
        )
        return cast(
            "QuerySet[Partner]", super().get_queryset(request).annotate(live_keys=Count("credentials", filter=live))
        )

    @admin.display(description="contratos")
    def allowed(self, partner: Partner) -> str:
        return ", ".join(Contract(name).label for name in partner.contracts)

    @admin.display(description="credenciales vigentes")
    def live_keys(self, partner: Any) -> int:
        return int(partner.live_keys)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Partner | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()  # it stands in the JWTs and in the staff's searches

    def get_prepopulated_fields(self, request: HttpRequest, obj: Partner | None = None) -> dict[str, Sequence[str]]:
        return {} if obj else {"slug": ("name",)}

    def get_inlines(self, request: HttpRequest, obj: Partner | None = None) -> Any:
        return self.inlines if obj else ()

    def save_model(self, request: HttpRequest, obj: Partner, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        who: dict[str, Any] = {"at": timezone.now(), "by": actor(request), "address": address(request)}
        if not change:
            audit(obj, "partner.created", **who, slug=obj.slug)
        elif form.changed_data:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            audit(obj, "partner.changed", **who, changes=changes)

    def response_post_save_add(self, request: HttpRequest, obj: Partner) -> HttpResponseRedirect:
        if request.user.has_perm("clients.add_credential"):
            return HttpResponseRedirect(reverse("admin:clients_partner_issue", args=[obj.pk]))
        return super().response_post_save_add(request, obj)

    def get_urls(self) -> list[URLPattern]:
        def wrapped(view: Any) -> Any:
            return self.admin_site.admin_view(view)

        return [
            path("<path:object_id>/credencial/", wrapped(self.issue_view), name="clients_partner_issue"),
            path(
                "<path:object_id>/credencial/<int:key>/revocar/",
                wrapped(self.revoke_view),
                name="clients_partner_revoke",
            ),
            *super().get_urls(),
        ]

    def issue_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks for the kind and the life of a new key; the answer to the POST shows its secret, this once."""
        partner = self._partner(request, object_id, permission="clients.add_credential")
        form = IssueForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and not _spend_ticket(request):
            messages.warning(request, "Ese formulario ya se usó. Una credencial se muestra una sola vez.")
            return self._back_to(partner)
        if request.method == "POST" and form.is_valid():
            credential, secret = issue(
                partner,
                form.cleaned_data["kind"],
                at=timezone.now(),
                by=actor(request),
                expires_at=form.cleaned_data["last_day"],
                address=address(request),
            )
            more = {"credential": credential, "secret": secret}
            return self._page(request, partner, "credential_issued.html", "Credencial emitida", **more)
        ticket = request.session[_TICKET] = secrets.token_urlsafe(16)
        return self._page(request, partner, "credential_issue.html", "Emitir credencial", form=form, ticket=ticket)

    def revoke_view(self, request: HttpRequest, object_id: str, key: int) -> HttpResponse:
        partner = self._partner(request, object_id, permission="clients.change_credential")
        credential = Credential.objects.filter(partner=partner, pk=key).first()
        if credential is None:
            messages.warning(request, "Esa credencial no existe.")
            return self._back_to(partner)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            who: dict[str, Any] = {"at": timezone.now(), "by": actor(request), "address": address(request)}
            if revoke(credential, reason=form.cleaned_data["reason"], **who):
                messages.success(request, f"Credencial {credential.prefix}… revocada: ya no entra.")
            else:
                messages.warning(request, f"La credencial {credential.prefix}… ya estaba revocada.")
            return self._back_to(partner)
        more = {"form": form, "credential": credential}
        return self._page(request, partner, "credential_revoke.html", "Revocar credencial", **more)

    def _partner(self, request: HttpRequest, object_id: str, *, permission: str) -> Partner:
        if not self.has_view_permission(request) or not request.user.has_perm(permission):
            raise PermissionDenied
        partner = self.get_object(request, object_id)
        if partner is None:
            raise Http404
        return cast(Partner, partner)

    def _page(self, request: HttpRequest, partner: Partner, template: str, title: str, **more: Any) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "original": partner,
            **more,
        }
        return TemplateResponse(request, f"admin/clients/partner/{template}", context)

    def _back_to(self, partner: Partner) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:clients_partner_change", args=[partner.pk]))


def _spend_ticket(request: HttpRequest) -> bool:
    """Each form issues one key: reloading the page with the secret sends the form again, and must not make another."""
    ticket = request.session.pop(_TICKET, None)
    return ticket is not None and constant_time_compare(ticket, request.POST.get("ticket", ""))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ("at", "actor", "action", "object_type", "object_id", "address", "reason")
    list_filter = ("action", "at")
    search_fields = ("actor", "object_id")
    search_help_text = "Quién, o el id del objeto."
    ordering = ("-at",)
    fields = ("at", "actor", "action", "object_type", "object_id", "address", "reason", "data")


from clients import admin_external  # noqa: E402, F401  its page registers itself
