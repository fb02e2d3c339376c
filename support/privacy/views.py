"""Views of a person's rights at the desk: export and erasure."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone

from clients.models import AuditEntry
from external_api.frontdoor.errors import Unavailable
from external_api.frontdoor.export_slots import STAFF, Slot
from external_api.frontdoor.exports import Body
from messaging.retention import MessageBeingSent
from staff.pages import ReasonForm
from support.access import ERASE, EXPORT, act_page, desk_page, page
from support.cases.actions import Agent
from support.cases.person_search import Person, Registered
from support.cases.views import agent_of, documents, row_of
from support.privacy import erasure
from support.privacy import export as privacy_export

CONFIRMATION = "BORRAR"
"""Word that confirms an erasure, so that nobody erases a person by mistake."""


class EraseForm(ReasonForm):
    confirmacion = forms.CharField(label="Confirmación", max_length=20, strip=True)

    def clean_confirmacion(self) -> str:
        typed: str = self.cleaned_data["confirmacion"]
        if typed.upper() != CONFIRMATION:
            raise forms.ValidationError(f"Escriba {CONFIRMATION} para confirmar.")
        return typed


@act_page(needs=EXPORT)
def export(request: HttpRequest, kind: str, key: str) -> Any:
    """Export as a file. It is audited before its first byte is sent."""
    row, agent = row_of(kind, key), agent_of(request)
    if agent is None:
        messages.error(request, "Escriba un motivo.")
        return HttpResponseRedirect(reverse("support_case", args=[kind, key]))
    try:
        slot = Slot(STAFF)
    except Unavailable:
        messages.error(request, "Hay otra exportación en curso; vuelva a intentarlo en un momento.")
        return HttpResponseRedirect(reverse("support_case", args=[kind, key]))
    try:
        erasure.note_export(row, agent)
        pieces = privacy_export.document(erasure.dossier_of(row), at=agent.at)
        body = Body((piece.encode() for piece in pieces), slot)
    except Exception:
        slot.release()
        raise
    answer = StreamingHttpResponse(body, content_type="application/json; charset=utf-8")
    name = f"datos-personales-{timezone.localtime(agent.at):%Y%m%d-%H%M}.json"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@desk_page("GET", "HEAD", "POST", needs=ERASE)
def erase(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Preview of an erasure; with the confirmation and a reason, the erasure."""
    row = row_of(kind, key)
    form = EraseForm(request.POST if request.method == "POST" else None)
    agent = agent_of(request) if form.is_valid() else None
    if agent is not None:
        done = _erase(request, row, agent)
        if done is not None:
            return HttpResponseRedirect(reverse("support_erased", args=[done.pk]))
    found = erasure.dossier_of(row)
    person = Person(found.applicants, found.authorized, found.external)
    return page(
        request,
        "privacy_erase",
        form=form,
        kind=kind,
        key=key,
        word=CONFIRMATION,
        person=person,
        documents=documents(person),
        taken=erasure.preview(found),
        consents=erasure.consents_kept(found),
        shared=len(found.shared),
        status=400 if form.errors else 200,
        companies=sorted({str(each.partner or "formulario abierto") for each in found.rows}),
    )


@desk_page("GET", "HEAD", needs=ERASE)
def erased(request: HttpRequest, key: str) -> HttpResponse:
    """Result of an erasure, from the audit, for whoever asked for it."""
    number = int(key) if key.isascii() and key.isdigit() and len(key) <= 18 else 0
    entry = AuditEntry.objects.filter(pk=number, action=erasure.ERASED).first()
    if entry is None:
        raise Http404
    return page(request, "privacy_erased", entry=entry, taken=entry.data["taken"])


def _erase(request: HttpRequest, row: Registered, agent: Agent) -> AuditEntry | None:
    """Audit entry of the erasure; None, with a message to the agent, if it could not be done now."""
    try:
        entry = erasure.erase(row, agent)
    except MessageBeingSent:
        messages.error(request, "Un proveedor tiene ahora un mensaje suyo. No se borró nada: repita en un minuto.")
        return None
    except OperationalError:  # a lock timeout or a deadlock
        messages.error(request, "Otra operación tiene ocupados sus datos. No se borró nada: repita en un minuto.")
        return None
    if entry is None:
        raise Http404
    return entry
