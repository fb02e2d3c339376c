"""Admin pages of the suppression list: why a mailbox gets no mail, adding one, and lifting entries with a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextareaWidget

from clients.admin.base import IsSetFilter, PartnerFilter, ReadOnly, actor, address
from clients.admin.bulk_actions import run_on_selected
from clients.admin.credentials import ReasonForm
from clients.identity.emails import InvalidEmail, canonical_email
from messaging.models import Suppression
from messaging.suppression import listing


class AddForm(forms.ModelForm):
    """Form of a MANUAL entry."""

    mailbox = forms.CharField(label="Correo", max_length=254, widget=UnfoldAdminEmailInputWidget)
    evidence = forms.CharField(
        label="Por qué",
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Por ejemplo: lo pidió por teléfono el 3 de marzo.",
    )

    class Meta:
        model = Suppression
        fields = ("mailbox", "partner", "evidence")

    def clean_mailbox(self) -> str:
        try:
            return canonical_email("".join(self.cleaned_data["mailbox"].split()))
        except InvalidEmail:
            raise forms.ValidationError("No es una dirección de correo.") from None

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        mine = listing.live(data.get("mailbox", "")).filter(reason=Suppression.Reason.MANUAL)
        if mine.filter(partner=data.get("partner")).exists():
            self.add_error("mailbox", "Ya está entre los que no reciben.")
        return data


class LiftForm(ReasonForm):
    pass


@admin.register(Suppression)
class SuppressionAdmin(ReadOnly):
    actions = ("lift",)
    list_display = ("created_at", "mailbox_shown", "status", "reason", "company", "evidence")
    list_filter = ("reason", ("lifted_at", IsSetFilter), ("partner", PartnerFilter))
    list_select_related = ("partner",)
    date_hierarchy = "created_at"
    search_fields = ("mailbox",)
    search_help_text = "Correo exacto."
    ordering = ("-created_at", "-id")
    readonly_fields = ("mailbox_shown", "status", "company", "message_id_shown", "who", "lifted")
    fieldsets = (
        (None, {"fields": ("mailbox_shown", "status", "reason", "company", "evidence", "message_id_shown")}),
        ("Desde cuándo", {"fields": ("created_at", "last_at", "who")}),
        ("Hasta cuándo", {"fields": ("lifted", "lifted_because")}),
    )

    # --- what is shown ---

    @admin.display(description="correo")
    def mailbox_shown(self, entry: Suppression) -> str:
        return entry.mailbox or "datos borrados"

    @admin.display(description="estado")
    def status(self, entry: Suppression) -> str:
        return "No recibe" if entry.is_live else "Levantada"

    @admin.display(description="empresa")
    def company(self, entry: Suppression) -> str:
        return str(entry.partner or "todas")

    @admin.display(description="mensaje (id)")
    def message_id_shown(self, entry: Suppression) -> str:
        return str(entry.message_id or "—")

    @admin.display(description="por")
    def who(self, entry: Suppression) -> str:
        return entry.created_by or "el sistema"

    @admin.display(description="levantada")
    def lifted(self, entry: Suppression) -> str:
        if entry.lifted_at is None:
            return "—"
        return f"{timezone.localtime(entry.lifted_at):%d/%m/%Y %H:%M}, por {entry.lifted_by or 'el sistema'}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Suppression], search_term: str
    ) -> tuple[QuerySet[Suppression], bool]:
        term = search_term.strip().lower()
        return (queryset.filter(mailbox=term) if term else queryset), False

    # --- adding ---

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.add_suppression")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({"form": AddForm, **kwargs} if obj is None else kwargs))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ((None, {"fields": ("mailbox", "partner", "evidence")}),)
        return super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else super().get_readonly_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        made = listing.add_by_hand(
            obj.mailbox,
            partner=obj.partner,
            reason=obj.evidence,
            by=actor(request),
            address=address(request),
            at=timezone.now(),
        )
        obj.pk = made.pk  # the page goes on with the row that was written

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit has it, without the mailbox in a list of recent actions."""

    # --- lifting ---

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.change_suppression")

    @admin.action(description="Levantar…", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> HttpResponse | None:
        def act(entry: Suppression, **details: Any) -> bool:
            try:
                listing.lift(entry, **details)
            except listing.NotSuppressed:
                return False
            return True

        return run_on_selected(self, request, queryset, "lift", "Levantar", LiftForm, act)
