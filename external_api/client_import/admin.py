"""Admin page of authorised clients with files: import in two steps (check, then apply), export of the listed rows."""

import logging
import secrets
from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core import signing
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db import InterfaceError, OperationalError, connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from psycopg import errors
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from clients.admin.authorized_clients import AuthorizedClientAdmin
from clients.admin.base import actor, address
from clients.models import AuthorizedClient, Contract, Partner, audit
from external_api.client_import.columns import FIELDS, REQUIRED
from external_api.client_import.jobs import Review, Rows, apply, csv_body, preview, xlsx_body
from external_api.client_import.limits import WrongFile
from external_api.client_import.spreadsheets import MAX_BYTES, ClientList, SheetRow, read
from external_api.frontdoor.errors import Unavailable
from external_api.nopasanada.contract import MAX_ROWS, TABLE, ClientsRequired, TooManyClients
from external_api.nopasanada.serializers import EMAIL_TAKEN

MAX_XLSX_ROWS = 50_000
"""A sheet is made whole before it is sent; some ten seconds."""
MAX_PARCEL_BYTES = 7 * 1024 * 1024
"""Below DATA_UPLOAD_MAX_MEMORY_SIZE, which the form of the second step must not exceed."""
PARCEL_LIFETIME = 60 * 60
_SALT = "external_api.client_import.admin"
_TICKET = "import_ticket"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


GAVE_UP = (OperationalError, InterfaceError)
"""What Django raises for a statement that took too long, a lock that is held, a connection that is lost."""
_NOTHING_STORED = (errors.QueryCanceled, errors.LockNotAvailable, errors.DeadlockDetected)
log = logging.getLogger(__name__)


def _partners() -> QuerySet[Partner]:
    """Partners for which clients can be authorised."""
    return Partner.objects.filter(twin_of__isnull=True, is_active=True, contracts__contains=[Contract.NOPASANADA.value])


class ImportForm(forms.Form):
    partner = forms.ModelChoiceField(
        label="Empresa", empty_label="Elegir", queryset=Partner.objects.none(), widget=UnfoldAdminSelectWidget
    )
    file = forms.FileField(
        label="Archivo", help_text="XLSX o CSV, como los guarda Excel; hasta 5 MB.", widget=UnfoldAdminFileFieldWidget
    )
    clients: ClientList

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        field: Any = self.fields["partner"]
        field.queryset = _partners()

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError("El archivo pasa de 5 MB.")
        try:
            self.clients = read(file.read(), at_most=MAX_ROWS, too_many=TABLE[TooManyClients][1])
        except WrongFile as fault:
            raise forms.ValidationError(str(fault)) from None
        if not self.clients.rows:
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
        return self._form_page(request, form)

    def _form_page(self, request: HttpRequest, form: ImportForm) -> TemplateResponse:
        more = {"form": form, "columns": FIELDS, "required": REQUIRED, "rows_at_most": MAX_ROWS}
        return self._page(request, "import.html", "Importar clientes autorizados", **more)

    def _preview(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        """Preview the import and store nothing: the rows wait, signed, in the page that asks to confirm. A file on this
        machine's disk would be missing on the next machine, and one in the database would stay after an import that was
        given up."""
        partner, file, clients = form.cleaned_data["partner"], form.cleaned_data["file"], form.clients
        try:
            outcome, sample = preview(partner, clients.rows, at=timezone.now())
        except GAVE_UP as fault:
            form.add_error(None, _given_up(fault, "Elija el archivo otra vez en un momento."))
            return _unavailable(self._form_page(request, form))
        ticket = secrets.token_urlsafe(16)
        review = Review(str(partner), str(file.name)[:100], clients.source, clients.notes, outcome, sample)
        contents = {"ticket": ticket, "partner": partner.pk, "review": asdict(review), "lines": clients.rows}
        parcel = signing.dumps(contents, salt=_SALT, compress=True)
        if len(parcel) > MAX_PARCEL_BYTES:
            form.add_error("file", "El archivo es demasiado grande; divídalo.")
            return self._form_page(request, form)
        request.session[_TICKET] = ticket
        return self._review_page(request, review, parcel)

    def _review_page(self, request: HttpRequest, review: Review, parcel: str) -> TemplateResponse:
        more = {
            "review": review,
            "columns": FIELDS,
            "outcome": review.outcome,
            "parcel": parcel,
            "verb": f"Importar {review.outcome.good} {'cliente' if review.outcome.good == 1 else 'clientes'}",
            "back": reverse("admin:clients_authorizedclient_import"),
        }
        return self._page(request, "import_check.html", "Revisar antes de importar", **more)

    def _apply(self, request: HttpRequest) -> HttpResponse:
        """Import what was reviewed, once. The review stays valid when the database gives up: it is shown again."""
        ticket = request.session.get(_TICKET)
        try:
            contents = signing.loads(request.POST["parcel"], salt=_SALT, max_age=PARCEL_LIFETIME)
        except signing.BadSignature:
            contents = {"ticket": None}
        if ticket is None or contents["ticket"] != ticket:
            request.session.pop(_TICKET, None)
            messages.warning(request, "Ese archivo ya se importó o su revisión venció. No se hizo nada.")
            return HttpResponseRedirect(reverse("admin:clients_authorizedclient_import"))
        review, lines = Review.of(contents["review"]), [SheetRow(*line) for line in contents["lines"]]
        who = {"by": actor(request), "address": address(request)}
        try:
            partner = _partners().filter(pk=contents["partner"]).first()
            if partner is None:
                del request.session[_TICKET]
                messages.warning(request, "Esa empresa ya no puede autorizar clientes. No se hizo nada.")
                return HttpResponseRedirect(reverse("admin:clients_authorizedclient_import"))
            outcome = apply(partner, lines, at=timezone.now(), file=review.file, **who)
        except GAVE_UP as fault:
            messages.error(request, _given_up(fault, "La revisión sigue aquí: vuelva a confirmarla en un momento."))
            return _unavailable(self._review_page(request, review, request.POST["parcel"]))
        del request.session[_TICKET]
        more = {"partner": partner, "file": review.file, "outcome": outcome}
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


def _given_up(fault: Exception, what_to_do: str) -> str:
    """Log that the database gave up, and say it to whoever imports. A connection that was lost while the transaction
    ended leaves open whether it was stored; importing again is harmless."""
    log.error("the database gave up an import", extra={"fault": repr(fault)[:300]})
    connection.close_if_unusable_or_obsolete()
    if isinstance(fault.__cause__, _NOTHING_STORED):
        return f"La base de datos no terminó a tiempo y no se guardó nada. {what_to_do}"
    return (
        "Se perdió la conexión con la base de datos. Lo más probable es que no se haya guardado nada; los clientes que "
        f"ya estén saldrían como «{EMAIL_TAKEN}» {what_to_do}"
    )


def _unavailable(page: TemplateResponse) -> TemplateResponse:
    page.status_code = 503
    page["Retry-After"] = "10"
    return page


def _named(extension: str) -> dict[str, str]:
    name = f"clientes-{timezone.localtime():%Y%m%d-%H%M}.{extension}"
    return {"Content-Disposition": f'attachment; filename="{name}"'}
