"""Admin pages of applicants and their codes: read-only, with the actions that staff may take for a client who has to
wait.

The page of `clients.Applicant` is defined here: its actions belong to this app, and `clients` does not import it.
"""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminSelectWidget

from clients.admin.base import IsSetFilter, PartnerFilter, ReadOnly, moment_of
from clients.admin.bulk_actions import run_on_selected
from clients.admin.credentials import ReasonForm
from clients.errors import ApplicantAlreadyValidated, ApplicantLocked
from clients.models import Applicant
from messaging.models import Via
from tokens.cooldown_overrides import FORGIVE_OFTEN, MAX_FORGIVEN_A_DAY, ForgivenTooOften, forgive, unlock
from tokens.models import LadderForgiveness, VerificationToken
from tokens.search import ids_reached_at


class ForgiveForm(ReasonForm):
    field_order = ("via", "reason")
    via = forms.ChoiceField(label="Vía", choices=Via.choices, widget=UnfoldAdminSelectWidget)


class UnlockForm(ReasonForm):
    pass


@admin.register(Applicant)
class ApplicantAdmin(ReadOnly):
    actions = ("forgive_wait", "lift_lock")
    list_display = ("registered", "state_shown", "document", "full_name", "proved_destination", "email", "partner")
    registered = moment_of("created_at", "registrado")
    list_filter = ("state", ("locked_at", IsSetFilter), ("partner", PartnerFilter))
    date_hierarchy = "created_at"
    list_select_related = ("partner",)
    search_fields = ("document_number",)
    search_help_text = "Documento, correo, celular (validado o al que se envió un código) o id, exactos."
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("number", "partner", "document_type", "document_number", "check_character")}),
        ("Persona", {"fields": ("names", "paternal_surname", "maternal_surname", "email")}),
        ("Lugar", {"fields": ("department", "province", "district", "ubigeo")}),
        ("Validación", {"fields": ("state", "proved_via", "proved_destination", "proved_operator", "validated_at")}),
        ("Bloqueo", {"fields": ("wrong_codes_in_a_row", "locked_at")}),
        ("Fechas", {"fields": ("created_at", "updated_at")}),
    )
    readonly_fields = ("number",)

    @admin.display(description="id")
    def number(self, applicant: Applicant) -> str:
        return str(applicant.pk)

    @admin.display(description="estado")
    def state_shown(self, applicant: Applicant) -> str:
        return "Bloqueado" if applicant.locked_at else applicant.get_state_display()

    @admin.display(description="documento")
    def document(self, applicant: Applicant) -> str:
        return str(applicant)

    @admin.display(description="nombre")
    def full_name(self, applicant: Applicant) -> str:
        return f"{applicant.names} {applicant.paternal_surname} {applicant.maternal_surname}".strip()

    def get_search_results(
        self, request: Any, queryset: QuerySet[Applicant], search_term: str
    ) -> tuple[QuerySet[Applicant], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        with suppress(ValueError):
            return queryset.filter(pk=UUID(term)), False
        called = {"email": term.lower()} if "@" in term else {"document_number": term.upper()}
        ids = Applicant.objects.filter(**called).values_list("pk").union(ids_reached_at(term.lower()))
        return queryset.filter(pk__in=ids), False

    def has_forgive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tokens.add_ladderforgiveness")

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clients.change_applicant")

    @admin.action(description="Perdonar espera…", permissions=["forgive"])
    def forgive_wait(self, request: HttpRequest, queryset: QuerySet[Applicant]) -> HttpResponse | None:
        def act(applicant: Applicant, **context: Any) -> bool:
            try:
                forgive(applicant, **context, may_exceed=request.user.has_perm(FORGIVE_OFTEN))
            except ForgivenTooOften:
                self.message_user(
                    request,
                    f"La espera del último destino de {applicant} ya se perdonó {MAX_FORGIVEN_A_DAY} veces hoy."
                    " Perdonarla otra vez le corresponde al rol Operaciones.",
                    messages.ERROR,
                )
                return False
            except ApplicantAlreadyValidated:
                self.message_user(request, f"{applicant} ya está verificado: no necesita otro código.", messages.ERROR)
                return False
            except ApplicantLocked:
                self.message_user(request, f"{applicant} está bloqueado: desbloquéelo primero.", messages.ERROR)
                return False
            return True

        return run_on_selected(self, request, queryset, "forgive_wait", "Perdonar espera", ForgiveForm, act)

    @admin.action(description="Desbloquear…", permissions=["unlock"])
    def lift_lock(self, request: HttpRequest, queryset: QuerySet[Applicant]) -> HttpResponse | None:
        return run_on_selected(self, request, queryset, "lift_lock", "Desbloquear", UnlockForm, unlock)


@admin.register(VerificationToken)
class VerificationTokenAdmin(ReadOnly):
    """Rows of verification codes. Their HMAC is on no page."""

    list_display = ("asked", "outcome", "via", "destination", "applicant", "wrong_tries", "finished", "returned")
    asked = moment_of("created_at", "solicitado")
    finished = moment_of("finished_at", "cerrado")
    returned = moment_of("returned_at", "peldaño devuelto")
    list_filter = ("outcome", "via")
    date_hierarchy = "created_at"
    list_select_related = ("applicant",)
    search_fields = ("destination",)
    search_help_text = "Celular o correo exacto, documento, o el id del código o del solicitante."
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("number", "applicant", "via", "destination", "operator")}),
        ("Resultado", {"fields": ("outcome", "wrong_tries", "created_at", "expires_at", "finished_at", "returned_at")}),
        ("Espera", {"fields": ("client_attempt", "client_wait", "destination_attempt", "destination_wait")}),
    )
    readonly_fields = ("number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[VerificationToken]:
        return super().get_queryset(request).defer("code_hmac")

    def get_search_results(
        self, request: Any, queryset: QuerySet[VerificationToken], search_term: str
    ) -> tuple[QuerySet[VerificationToken], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        with suppress(ValueError):
            wanted = UUID(term)
            return queryset.filter(Q(pk=wanted) | Q(applicant=wanted)), False
        of_document = VerificationToken.objects.filter(applicant__document_number=term.upper()).values_list("pk")
        ids = VerificationToken.objects.filter(destination=term.lower()).values_list("pk").union(of_document)
        return queryset.filter(pk__in=ids), False

    @admin.display(description="id")
    def number(self, token: VerificationToken) -> str:
        return str(token.pk)


@admin.register(LadderForgiveness)
class LadderForgivenessAdmin(ReadOnly):
    list_display = ("at", "applicant", "via", "destination", "by", "reason")
    list_filter = ("via",)
    list_select_related = ("applicant",)
    search_fields = ("destination",)
    search_help_text = "Celular o correo exacto, documento, o el id del solicitante."
    ordering = ("-id",)
    fields = ("at", "applicant", "via", "destination", "by", "reason")

    def get_search_results(
        self, request: Any, queryset: QuerySet[LadderForgiveness], search_term: str
    ) -> tuple[QuerySet[LadderForgiveness], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        with suppress(ValueError):
            return queryset.filter(applicant=UUID(term)), False
        of_document = LadderForgiveness.objects.filter(applicant__document_number=term.upper()).values_list("pk")
        ids = LadderForgiveness.objects.filter(destination=term.lower()).values_list("pk").union(of_document)
        return queryset.filter(pk__in=ids), False
