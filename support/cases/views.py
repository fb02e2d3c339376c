"""Views of the desk: search, case and actions."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from clients.client_ip import caller_address
from clients.identity.phones import mask_email
from clients.models import Applicant, AuthorizedClient, ExternalClient
from messaging.models import Via
from staff.pages import ReasonForm
from support.access import ACT, ERASE, EXPORT, UNMASK, act_page, desk_page, page
from support.cases import actions, timeline
from support.cases import person_search as search
from support.cases.diagnosis import diagnose
from support.cases.person_search import Person, Registered, name_of, person_of
from tokens.cooldown_overrides import FORGIVE_OFTEN

KINDS: dict[str, type[Applicant] | type[AuthorizedClient] | type[ExternalClient]] = {
    "cliente": Applicant,
    "autorizado": AuthorizedClient,
    "externo": ExternalClient,
}
"""Kinds of rows in a case's URL."""


FEWEST_DIGITS = 6
"""Fewer digits may be the beginning of any number: what they find is shown, and not opened."""


@desk_page("GET", "HEAD")
def find(request: HttpRequest) -> HttpResponse:
    """Search. A single hit opens its case at once, and says so if another number than the person's led there."""
    term = request.GET.get("q", "")[:200]
    hits = search.find(term)
    if len(hits.found) == 1 and not hits.has_more and not _is_unfinished(term):
        [only] = hits.found
        if address_of(only.person):
            if only.by:
                messages.info(request, f"Encontrado por {only.by} {term.strip()}.")
            return HttpResponseRedirect(address_of(only.person))
    at = timezone.now()
    shown = [
        {
            "name": each.person.name or "Sin nombre",
            "about": [*documents(each.person), *(mask_email(email) for email in each.person.emails)],
            "companies": companies(each.person),
            "by": each.by,
            "url": address_of(each.person),
            "diagnosis": diagnose(each.person, at=at)[0],
        }
        for each in hits.found
    ]
    return page(request, "find", term=term, hits=shown, has_more=hits.has_more, most=search.MAX_ROWS)


def _is_unfinished(term: str) -> bool:
    text = "".join(term.split())
    return text.isdigit() and len(text) < FEWEST_DIGITS


@desk_page("GET", "HEAD")
def case(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Case: everything about one person, the diagnosis first."""
    row = row_of(kind, key)
    return _case(request, person_of(row), kind, str(row.pk))


@act_page(needs=ACT)
def act(request: HttpRequest, kind: str, key: str, what: str) -> HttpResponse:
    """Run the action of the form, and show the case again."""
    person = _person(kind, key)
    agent = agent_of(request)
    try:
        if agent is None:
            messages.error(request, "Escriba un motivo.")
        else:
            messages.success(request, _do(person, what, request, agent))
    except actions.CannotBeDone as refusal:
        messages.error(request, str(refusal))
    return HttpResponseRedirect(reverse("support_case", args=[kind, key]))


@act_page(needs=UNMASK)
def unmask(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Case with unmasked destinations, once."""
    row = row_of(kind, key)
    person, key = person_of(row), str(row.pk)
    agent = agent_of(request)
    if agent is None:
        messages.error(request, "Escriba un motivo.")
        return HttpResponseRedirect(reverse("support_case", args=[kind, key]))
    try:
        return _case(request, person, kind, key, unmasked=actions.unmask(person, agent))
    except actions.CannotBeDone as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(reverse("support_case", args=[kind, key]))


def address_of(person: Person) -> str:
    """URL of the person's case; empty if nothing is registered."""
    rows = (("cliente", person.applicants), ("autorizado", person.authorized), ("externo", person.external))
    return next((reverse("support_case", args=[kind, str(found[0].pk)]) for kind, found in rows if found), "")


def documents(person: Person) -> list[str]:
    found = [f"{each.document_type} {each.document_number}" for each in person.applicants]
    found += [f"{each.document_type} {each.document_number}" for each in person.authorized]
    found += [f"CUI {each.cui}" for each in person.external]
    return sorted({each for each in found if each.strip()})


def companies(person: Person) -> list[str]:
    """Companies that registered or authorised the person, by name."""
    rows: list[Registered] = [*person.applicants, *person.authorized, *person.external]
    return sorted({str(each.partner or "formulario abierto") for each in rows})


def _case(request: HttpRequest, person: Person, kind: str, key: str, **more: Any) -> HttpResponse:
    """Render a case. `key` is the row's own spelling of its id; the page uses it to name whose data it would export or
    erase."""
    at = timezone.now()
    rows: list[Registered] = [*person.applicants, *person.authorized, *person.external]
    return page(
        request,
        "case",
        person=person,
        kind=kind,
        key=key,
        about=[*documents(person), *(mask_email(email) for email in person.emails)],
        at=at,
        diagnoses=diagnose(person, at=at),
        entries=timeline.of(person),
        acts=actions.applicable(person, at=at) if request.user.has_perm(ACT) else [],
        may_act=request.user.has_perm(ACT),
        may_unmask=request.user.has_perm(UNMASK),
        whose=next((name_of(each) for each in rows if str(each.pk) == key), ""),
        may_export=request.user.has_perm(EXPORT),
        may_erase=request.user.has_perm(ERASE),
        **more,
    )


def row_of(kind: str, key: str) -> Registered:
    """Row of a case's URL. Raises Http404."""
    model = KINDS.get(kind)
    if model is None:
        raise Http404
    try:
        wanted: Any = int(key) if model is AuthorizedClient else UUID(key)
    except ValueError:
        raise Http404 from None
    row: Registered | None = model._default_manager.select_related("partner").filter(pk=wanted).first()
    if row is None:
        raise Http404
    return row


def _person(kind: str, key: str) -> Person:
    return person_of(row_of(kind, key))


def agent_of(request: HttpRequest) -> actions.Agent | None:
    """Agent of a request; None without a reason."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return None
    return actions.Agent(
        by=request.user.get_username(),
        reason=form.cleaned_data["motivo"],
        at=timezone.now(),
        address=caller_address(request.META),
        may_forgive_often=request.user.has_perm(FORGIVE_OFTEN),
    )


def _do(person: Person, what: str, request: HttpRequest, agent: actions.Agent) -> str:
    """Result text of an action. Raises CannotBeDone, Http404."""
    match what:
        case "perdonar":
            return actions.forgive(person, agent)
        case "desbloquear":
            return actions.unlock(person, agent)
        case "cancelar":
            return actions.cancel(person, agent)
        case "reenviar" if request.POST.get("via") in Via.values:
            return actions.resend(person, request.POST["via"], agent)
        case "baja":
            wanted = request.POST.get("autorizado", "")
            client = next((each for each in person.authorized if str(each.pk) == wanted), None)
            if client is not None:
                return actions.deauthorize_from(client, agent)
    raise Http404
