"""First page of the admin, and its audit page, which finds entries by person too: only this app knows their rows."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from clients.admin.audit_entries import AuditEntryAdmin
from clients.identity.names import normalised
from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient
from support.access import USE
from support.dashboard import view
from support.dashboard.service_levels import service_levels
from support.usage.views import usage
from tokens.search import ids_reached_at

ROWS_PER_KIND = 50
"""Most rows of each kind for a mailbox, a phone or a document."""


_first_page = admin.site.index


def first_page(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The dashboard; the desk for agents who have nothing here."""
    is_empty = not view.allowed_panels(request) and not admin.site.get_app_list(request)
    if is_empty and request.user.has_perm(USE):
        return HttpResponseRedirect(reverse("support_find"))
    return _first_page(request, extra_context)


admin.site.index = first_page  # type: ignore[method-assign, assignment]  # a method of unfold's site


def usage_page(request: HttpRequest) -> HttpResponse:
    """Usage by month, within the frame of the admin."""
    return usage(request, admin.site.each_context(request))


def service_levels_page(request: HttpRequest) -> HttpResponse:
    """Service levels by day, within the frame of the admin."""
    return service_levels(request, admin.site.each_context(request))


@admin.register(AuditEntry)
class AuditOfPeopleAdmin(AuditEntryAdmin):
    def ids_of_a_person(self, term: str) -> list[str]:
        return [
            str(key) for rows in _rows_of(normalised(term)) for key in rows.values_list("pk", flat=True)[:ROWS_PER_KIND]
        ]


def _rows_of(text: str) -> Iterator["QuerySet[Any]"]:
    """Rows with an exact value that has an index. Names have none: a word may be a staff member's name."""
    if "@" in text:
        yield Applicant.objects.filter(email=text.lower())
        yield Applicant.objects.filter(pk__in=ids_reached_at(text.lower()))
        yield AuthorizedClient.objects.filter(email=text.lower())
    elif any(letter.isdigit() for letter in text):
        digits = "".join(text.split()).removeprefix("+51")
        yield Applicant.objects.filter(document_number=text.upper())
        yield Applicant.objects.filter(pk__in=ids_reached_at(digits))
        for condition in (Q(document_number=text.upper()), Q(phone=digits)):
            yield AuthorizedClient.objects.filter(condition)
        for condition in (Q(cui=digits), Q(phone_digits=digits), Q(client_id=text)):
            yield ExternalClient.objects.filter(condition)
