"""Partners' keys in the admin: pages to issue, rotate and revoke one. A secret is shown once."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.forms import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from clients import twins
from clients.admin.audit_mixin import who
from clients.admin.base import ReadOnlyInline
from clients.admin.one_time_forms import new_ticket, spend_ticket
from clients.credentials import issue, revoke, rotate
from clients.errors import CredentialRefused
from clients.models import Contract, Credential, Partner

LONGEST_LIFETIME = timedelta(days=3650)
OVERLAPS = (
    (0, "De inmediato: si se filtró"),
    (1, "En 1 hora"),
    (24, "En 24 horas"),
    (7 * 24, "En 7 días"),
    (30 * 24, "En 30 días"),
)
"""Hours for which the old key stays valid, so that a partner can change keys without a gap."""
ACCEPTED_BY = {
    Credential.Kind.OPAQUE: (Contract.NOPASANADA, Contract.INFORMAPERU),
    Credential.Kind.JWT: (Contract.INFORMAPERU, Contract.REGISTRY),
}
"""Contracts that accept each kind of key; each contract has its own `credential_kinds`, and a test compares them."""


class ReasonForm(forms.Form):
    reason = forms.CharField(label="Motivo", max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


class IssueForm(forms.Form):
    kind = forms.ChoiceField(
        label="Tipo",
        choices=Credential.Kind.choices,
        initial=Credential.Kind.OPAQUE,
        widget=UnfoldAdminRadioSelectWidget,
    )
    last_day = forms.DateField(
        label="Último día de vigencia",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Vacío: el token opaco no vence, el JWT vence en 365 días.",
    )

    def clean_last_day(self) -> datetime | None:
        day = self.cleaned_data["last_day"]
        if day is None:
            return None
        if not timezone.localdate() <= day <= timezone.localdate() + LONGEST_LIFETIME:
            raise forms.ValidationError("Debe ser de hoy a diez años.")
        return datetime.combine(day + timedelta(days=1), time(), timezone.get_default_timezone())


class RotateForm(ReasonForm):
    field_order = ("hours", "reason")
    hours = forms.TypedChoiceField(
        label="La credencial anterior deja de entrar",
        choices=OVERLAPS,
        coerce=int,
        initial=24,
        widget=UnfoldAdminSelectWidget,
        help_text="Mientras tanto entran las dos. Si vencía antes, vence cuando vencía.",
    )


class _WithTestKeys(BaseInlineFormSet):
    """Formset of the keys of a partner and of its twin."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            mine = Q(partner=self.instance.pk) | Q(partner__twin_of=self.instance.pk)
            self.queryset = Credential.objects.filter(mine).select_related("partner").order_by("-created_at", "-id")


class CredentialInline(ReadOnlyInline):
    model = Credential
    formset = _WithTestKeys
    fields = ("kind", "prefix", "is_test", "created_at", "expires_at", "last_used_at", "status", "acts")
    readonly_fields = fields
    ordering = ("-created_at", "-id")

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        self.may_change = request.user.has_perm("clients.change_credential")
        self.may_rotate = self.may_change and request.user.has_perm("clients.add_credential")
        return super().get_formset(request, obj, **kwargs)

    @admin.display(description="de prueba", boolean=True)
    def is_test(self, credential: Credential) -> bool:
        return credential.partner.is_twin

    @admin.display(description="estado")
    def status(self, credential: Credential) -> str:
        return status_of(credential, at=timezone.now())

    @admin.display(description="")
    def acts(self, credential: Credential) -> str:
        if not credential.is_live(at=timezone.now()):
            return ""
        acts = [("rotate", "Rotar")] * self.may_rotate + [("revoke", "Revocar")] * self.may_change
        links = (
            (reverse(f"admin:clients_partner_{act}", args=[page_of(credential.partner), credential.pk]), label)
            for act, label in acts
        )
        return format_html_join(SafeString(" · "), '<a class="text-link" href="{}">{}</a>', links)


def page_of(partner: Partner) -> int:
    """Id of the partner on whose page the keys of this one are: a twin's are on the page of its partner."""
    return partner.twin_of_id or partner.pk


def status_of(credential: Credential, *, at: datetime) -> str:
    if credential.revoked_at is not None:
        return f"Revocada el {timezone.localtime(credential.revoked_at):%d/%m/%Y %H:%M}"
    return "Vigente" if credential.is_live(at=at) else "Vencida"


class KeyPages:
    """Mixin with the key pages, for the partner's page."""

    admin_site: Any
    opts: Any

    def get_urls(self) -> list[URLPattern]:
        wrapped = self.admin_site.admin_view
        of_tests = "<path:object_id>/credencial/prueba/"
        of_key = "<path:object_id>/credencial/<int:key>"
        return [
            path("<path:object_id>/credencial/", wrapped(self.issue_view), name="clients_partner_issue"),
            path(of_tests, wrapped(self.issue_test_view), name="clients_partner_issue_test"),
            path(f"{of_key}/rotar/", wrapped(self.rotate_view), name="clients_partner_rotate"),
            path(f"{of_key}/revocar/", wrapped(self.revoke_view), name="clients_partner_revoke"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def issue_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Page to issue a key: asks for its kind and lifetime. The answer to the POST shows the secret, once."""
        return self._issue(request, object_id, "Emitir credencial", issue)

    def issue_test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """As `issue_view`, for a key of the partner's test twin."""
        return self._issue(request, object_id, "Emitir credencial de prueba", twins.issue_key, is_test=True)

    def _issue(
        self,
        request: HttpRequest,
        object_id: str,
        title: str,
        act: Callable[..., tuple[Credential, str]],
        *,
        is_test: bool = False,
    ) -> HttpResponse:
        partner = self._partner(request, object_id, "clients.add_credential")
        form = IssueForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and not spend_ticket(request):
            return self._spent(request, partner)
        if request.method == "POST" and form.is_valid():
            chosen = form.cleaned_data
            try:
                credential, secret = act(partner, chosen["kind"], expires_at=chosen["last_day"], **who(request))
            except twins.TooManyTestKeys:
                text = f"La empresa tiene {twins.MOST_KEYS} credenciales de prueba vigentes: revoque alguna antes."
                return self._refuse(request, partner, text)
            more = {"credential": credential, "secret": secret, **_uses(credential)}
            return self._page(request, partner, "credential_issued.html", "Credencial emitida", **more)
        more = {"form": form, "ticket": new_ticket(request), "is_test": is_test}
        return self._page(request, partner, "credential_issue.html", title, **more)

    def rotate_view(self, request: HttpRequest, object_id: str, key: int) -> HttpResponse:
        """Page to rotate a key: makes one of the same kind and lifetime. The old key ends at once or after an
        overlap."""
        partner = self._partner(request, object_id, "clients.add_credential", "clients.change_credential")
        credential = self._key(partner, key)
        if credential is None or not credential.is_live(at=timezone.now()):
            return self._refuse(request, partner, "Esa credencial no existe o ya terminó: emita otra.")
        form = RotateForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and not spend_ticket(request):
            return self._spent(request, partner)
        if request.method == "POST" and form.is_valid():
            overlap = timedelta(hours=form.cleaned_data["hours"])
            try:
                new, secret = rotate(credential, overlap=overlap, reason=form.cleaned_data["reason"], **who(request))
            except CredentialRefused:
                return self._refuse(request, partner, "Esa credencial terminó mientras tanto: emita otra.")
            credential.refresh_from_db()
            more = {"credential": new, "secret": secret, "former": credential, **_uses(new)}
            return self._page(request, partner, "credential_issued.html", "Credencial rotada", **more)
        more = {"form": form, "credential": credential, "ticket": new_ticket(request)}
        return self._page(request, partner, "credential_rotate.html", "Rotar credencial", **more)

    def revoke_view(self, request: HttpRequest, object_id: str, key: int) -> HttpResponse:
        partner = self._partner(request, object_id, "clients.change_credential")
        credential = self._key(partner, key)
        if credential is None:
            return self._refuse(request, partner, "Esa credencial no existe.")
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            if revoke(credential, reason=form.cleaned_data["reason"], **who(request)):
                messages.success(request, f"Credencial {credential.prefix}… revocada: ya no entra.")
            else:
                messages.warning(request, f"La credencial {credential.prefix}… ya estaba revocada.")
            return self._back_to(partner)
        more = {"form": form, "credential": credential}
        return self._page(request, partner, "credential_revoke.html", "Revocar credencial", **more)

    def _partner(self, request: HttpRequest, object_id: str, *permissions: str) -> Partner:
        page: Any = self
        if not page.has_view_permission(request) or not request.user.has_perms(permissions):
            raise PermissionDenied
        partner = page.get_object(request, object_id)
        if partner is None:
            raise Http404
        return cast(Partner, partner)

    def _key(self, partner: Partner, key: int) -> Credential | None:
        """A key of the partner or of its twin."""
        return Credential.objects.filter(Q(partner=partner) | Q(partner__twin_of=partner), pk=key).first()

    def _page(self, request: HttpRequest, partner: Partner, template: str, title: str, **more: Any) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "original": partner,
            "back": reverse("admin:clients_partner_change", args=[partner.pk]),
            **more,
        }
        return TemplateResponse(request, f"admin/clients/partner/{template}", context)

    def _spent(self, request: HttpRequest, partner: Partner) -> HttpResponseRedirect:
        return self._refuse(request, partner, "Ese formulario ya se usó. Una credencial se muestra una sola vez.")

    def _refuse(self, request: HttpRequest, partner: Partner, text: str) -> HttpResponseRedirect:
        messages.warning(request, text)
        return self._back_to(partner)

    def _back_to(self, partner: Partner) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:clients_partner_change", args=[partner.pk]))


def _uses(credential: Credential) -> dict[str, Any]:
    """What the partner's developer needs beside the key: where it is accepted, and the guide."""
    accepted = ACCEPTED_BY[Credential.Kind(credential.kind)]
    return {
        "accepted_by": [(each.label, each.value in credential.partner.contracts) for each in accepted],
        "not_by": [each.label for each in Contract if each not in accepted],
        "guide": settings.PUBLIC_URL + reverse("guide"),
    }
