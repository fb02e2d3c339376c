"""Partners in the admin. The base classes of all pages are in `clients.admin.base`."""

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from clients.admin.audit_mixin import Audited
from clients.admin.base import Page
from clients.admin.credentials import CredentialInline, KeyPages
from clients.models import Contract, Partner

admin.site.site_title = admin.site.site_header = "Aval"
admin.site.empty_value_display = "—"
admin.site.index_title = "Administración"


class PartnerForm(forms.ModelForm):
    contracts = forms.MultipleChoiceField(
        label="Contratos",
        choices=Contract.choices,
        initial=Contract.values,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Los que sus credenciales abren.",
    )


@admin.register(Partner)
class PartnerAdmin(Audited, KeyPages, Page):
    """Partner page without deletion: a partner is deactivated, because its history refers to it."""

    audited_as = "partner"
    form = PartnerForm
    inlines = (CredentialInline,)
    actions = None
    list_display = ("name", "slug", "is_active", "allowed", "live_keys", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")
    search_help_text = "Nombre o código de la empresa."
    fieldsets = (
        (None, {"fields": ("name", "slug", "brand", "is_active", "contracts")}),
        ("Límites", {"fields": ("requests_per_minute", "paid_messages_per_day")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Partner]:
        """Without test twins: their keys are on the page of their partner, and the rest of them follows it."""
        live = Q(credentials__revoked_at__isnull=True) & (
            Q(credentials__expires_at__isnull=True) | Q(credentials__expires_at__gt=timezone.now())
        )
        partners = super().get_queryset(request).filter(twin_of__isnull=True)
        return cast("QuerySet[Partner]", partners.annotate(live_keys=Count("credentials", filter=live)))

    @admin.display(description="contratos")
    def allowed(self, partner: Partner) -> str:
        return ", ".join(Contract(name).label for name in partner.contracts)

    @admin.display(description="credenciales vigentes")
    def live_keys(self, partner: Any) -> int:
        return int(partner.live_keys)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Partner | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()  # JWTs hold it, and staff search by it

    def get_prepopulated_fields(self, request: HttpRequest, obj: Partner | None = None) -> dict[str, Sequence[str]]:
        return {} if obj else {"slug": ("name",)}

    def get_inlines(self, request: HttpRequest, obj: Partner | None = None) -> Any:
        return self.inlines if obj else ()

    def response_post_save_add(self, request: HttpRequest, obj: Partner) -> HttpResponseRedirect:
        if request.user.has_perm("clients.add_credential"):
            return HttpResponseRedirect(reverse("admin:clients_partner_issue", args=[obj.pk]))
        return super().response_post_save_add(request, obj)
