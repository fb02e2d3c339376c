"""Admin page of authorised clients with files: import in two steps (check, then apply), export of the listed rows."""

import secrets
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core import signing
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from clients.admin.authorized_clients import AuthorizedClientAdmin
from clients.admin.base import actor, address
from clients.models import AuthorizedClient, Contract, Partner, audit
from external_api.client_import.jobs import Outcome, Rows, apply, csv_body, preview, xlsx_body
from external_api.client_import.limits import WrongFile
from external_api.client_import.spreadsheets import FIELDS, MAX_BYTES, REQUIRED, SheetRow, read
from external_api.frontdoor.errors import Unavailable
from external_api.nopasanada.contract import MAX_ROWS, TABLE, ClientsRequired, TooManyClients

MAX_XLSX_ROWS = 50_000
"""A sheet is made whole before it is sent; some ten seconds."""
MAX_PARCEL_BYTES = 7 * 1024 * 1024
"""Below DATA_UPLOAD_MAX_MEMORY_SIZE, which the form of the second step must not exceed."""
PARCEL_LIFETIME = 60 * 60
_SALT = "external_api.client_import.admin"
_TICKET = "import_ticket"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class ImportForm(forms.Form):
    partner = forms.ModelChoiceField(
        label="Empresa", empty_label="Elegir", queryset=Partner.objects.none(), widget=UnfoldAdminSelectWidget
    )
    file = forms.FileField(
        label="Archivo",
        help_text="CSV en UTF-8 (con coma o punto y coma) o XLSX, hasta 5 MB.",
        widget=UnfoldAdminFileFieldWidget,
    )
    lines: list[SheetRow]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        field: Any = self.fields["partner"]
        field.queryset = Partner.objects.filter(is_active=True, contracts__contains=[Contract.NOPASANADA.value])

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError("El archivo pasa de 5 MB.")
        try:
            self.lines = read(file.read(), at_most=MAX_ROWS, too_many=TABLE[TooManyClients][1])
        except WrongFile as fault:
            raise forms.ValidationError(str(fault)) from None
        if not self.lines:
            raise forms.ValidationError(TABLE[ClientsRequired][1])
        return file


@admin.register(AuthorizedClient)
class AuthorizedClientFilesAdmin(AuthorizedClientAdmin):
    change_list_template = "admin/clients/authorizedclient/list.html"

    def get_urls(self) -> list[URLPattern]:
        wrapped = self.admin_site.admin_view
        name = "clients_authorizedclient_"
        return [
            path("importar/", wrapped(self.import_view), name=f"{name}import"),
            path("exportar.csv", wrapped(self.export_csv_view), name=f"{name}export_csv"),
            path("exportar.xlsx", wrapped(self.export_xlsx_view), name=f"{name}export_xlsx"),
            *super().get_urls(),
        ]

    # --- import ---

    def import_view(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("clients.add_authorizedclient"):
            raise PermissionDenied
        if request.method == "POST" and "parcel" in request.POST:
            return self._apply(request)
        form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
        if request.method == "POST" and form.is_valid():
            return self._preview(request, form)
        more = {"form": form, "columns": FIELDS, "required": REQUIRED, "rows_at_most": MAX_ROWS}
        return self._page(request, "import.html", "Importar clientes autorizados", **more)

    def _preview(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        """Preview the import and store nothing: the rows wait, signed, in the page that asks to confirm. A file on this
        machine's disk would be missing on the next machine, and one in the database would stay after an import that was
        given up."""
        partner, file = form.cleaned_data["partner"], form.cleaned_data["file"]
        outcome = preview(partner, form.lines, at=timezone.now())
        ticket = secrets.token_urlsafe(16)
        contents = {"ticket": ticket, "partner": partner.pk, "file": str(file.name)[:100], "lines": form.lines}
        parcel = signing.dumps(contents, salt=_SALT, compress=True)
        if len(parcel) > MAX_PARCEL_BYTES:
            form.add_error("file", "El archivo es demasiado grande; divídalo.")
            more = {"form": form, "columns": FIELDS, "required": REQUIRED, "rows_at_most": MAX_ROWS}
            return self._page(request, "import.html", "Importar clientes autorizados", **more)
        request.session[_TICKET] = ticket
        more = {
            "partner": partner,
            "file": file.name,
            "outcome": outcome,
            "parcel": parcel,
            "verb": f"Importar {outcome.good} {'cliente' if outcome.good == 1 else 'clientes'}",
            "back": reverse("admin:clients_authorizedclient_import"),
        }
        return self._page(request, "import_check.html", "Revisar antes de importar", **more)

    def _apply(self, request: HttpRequest) -> HttpResponse:
        ticket = request.session.pop(_TICKET, None)
        try:
            contents = signing.loads(request.POST["parcel"], salt=_SALT, max_age=PARCEL_LIFETIME)
        except signing.BadSignature:
            contents = {"ticket": None}
        if ticket is None or contents["ticket"] != ticket:
            messages.warning(request, "Ese archivo ya se importó o su revisión venció. No se hizo nada.")
            return HttpResponseRedirect(reverse("admin:clients_authorizedclient_import"))
        partner = ImportForm().fields["partner"].queryset.filter(pk=contents["partner"]).first()  # type: ignore[attr-defined]
        if partner is None:
            messages.warning(request, "Esa empresa ya no puede autorizar clientes. No se hizo nada.")
            return HttpResponseRedirect(reverse("admin:clients_authorizedclient_import"))
        who = {"by": actor(request), "address": address(request)}
        outcome: Outcome = apply(partner, contents["lines"], at=timezone.now(), file=contents["file"], **who)
        more = {"partner": partner, "file": contents["file"], "outcome": outcome}
        return self._page(request, "import_done.html", "Importación terminada", **more)

    def _page(self, request: HttpRequest, template: str, title: str, **more: Any) -> TemplateResponse:
        back = reverse("admin:clients_authorizedclient_changelist")
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "back": back, **more}
        return TemplateResponse(request, f"admin/clients/authorizedclient/{template}", context)

    # --- export: what the list shows, all its pages ---

    def export_csv_view(self, request: HttpRequest) -> HttpResponseBase:
        rows = self._rows(request, self._listed(request), "csv")
        if rows is None:
            return self._back(request)
        return StreamingHttpResponse(csv_body(rows), content_type="text/csv; charset=utf-8", headers=_named("csv"))

    def export_xlsx_view(self, request: HttpRequest) -> HttpResponseBase:
        clients = self._listed(request)
        if clients.order_by()[: MAX_XLSX_ROWS + 1].count() > MAX_XLSX_ROWS:
            messages.warning(request, f"Son más de {MAX_XLSX_ROWS} clientes: expórtelos como CSV.")
            return self._back(request)
        rows = self._rows(request, clients, "xlsx")
        if rows is None:
            return self._back(request)
        body, size = xlsx_body(rows)
        headers = {**_named("xlsx"), "Content-Length": str(size)}
        return StreamingHttpResponse(body, content_type=_XLSX, headers=headers)

    def _rows(self, request: HttpRequest, clients: QuerySet[AuthorizedClient], form: str) -> Rows | None:
        """The rows to write, audited first: personal data leaves the system, and the audit has the user, time and
        filter. None while another export of staff runs."""
        try:
            rows = Rows(clients)
        except Unavailable:
            messages.warning(request, "Hay otra exportación en curso; vuelva a intentarlo en un momento.")
            return None
        who: Any = request.user
        try:
            audit(
                who,
                "clients.exported",
                at=timezone.now(),
                by=actor(request),
                address=address(request),
                format=form,
                filter=request.GET.dict(),
            )
        except Exception:
            rows.close()
            raise
        return rows

    def _listed(self, request: HttpRequest) -> QuerySet[AuthorizedClient]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if "%00" in request.GET.urlencode():
            raise BadRequest  # no list's URL has it, and PostgreSQL stores it neither in a query nor in the audit
        try:
            listed: QuerySet[AuthorizedClient] = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters as fault:
            raise BadRequest from fault
        return listed

    def _back(self, request: HttpRequest) -> HttpResponseRedirect:
        where = reverse("admin:clients_authorizedclient_changelist")
        return HttpResponseRedirect(f"{where}?{request.GET.urlencode()}")


def _named(extension: str) -> dict[str, str]:
    name = f"clientes-{timezone.localtime():%Y%m%d-%H%M}.{extension}"
    return {"Content-Disposition": f'attachment; filename="{name}"'}
