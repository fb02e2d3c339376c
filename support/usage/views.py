"""Page of usage by month in the admin, and its CSV; and the dashboard's figures of some days."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from clients.local_time import LIMA, display
from clients.models import Partner
from external_api.client_import.spreadsheets import csv_text, total_line
from messaging.models import Message, Via
from support.usage import counting
from support.usage.counting import Counts, Group
from tokens.models import VerificationToken

NEEDS = ("messaging.view_message", "tokens.view_verificationtoken", "clients.view_partner")
"""Permissions: who may not open the rows does not see their sums."""
MONTHS = 24
"""Months offered; an older one is given in the URL."""
FIRST_MONTH = date(2000, 1, 1)
COLUMNS = ("mes", "empresa", "qué", "tipo", "vía", "proveedor", "resultado", "cantidad")
OUTCOMES: tuple[tuple[str, frozenset[str]], ...] = (
    ("Entregados", frozenset({"DELIVERED"})),
    ("Enviados, sin acuse", frozenset({"SENT"})),
    ("No entregados", frozenset({"UNDELIVERED"})),
    ("Fallidos", frozenset({"FAILED"})),
    ("Sin respuesta clara", frozenset({"UNKNOWN"})),
    ("Vencidos o anulados", frozenset({"EXPIRED", "CANCELLED"})),
    ("Por salir", frozenset({"QUEUED", "SENDING"})),
)
"""States of messages as an invoice knows them: what a provider took, and what it did not."""


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perms(NEEDS)


@require_safe
def usage(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Usage of a month by partner and via."""
    if not may_see(request):
        raise PermissionDenied
    at = timezone.now()
    month = _month(request, at=at)
    found = counting.of_days(month, _last_day(month), at=at)
    names = _names(found.total)
    more = {
        "title": "Uso por mes",
        "month": month,
        "months": _months(at),
        "outcomes": [name for name, _ in OUTCOMES],
        "used": _message_rows(found.total, names),
        "codes": _code_rows(found.total, names),
        "missing": found.missing,
        "counted": display(at),
    }
    return TemplateResponse(request, "admin/usage.html", {**context, **more})


@require_safe
def usage_csv(request: HttpRequest) -> HttpResponse:
    """The month with everything that is counted apart, also kind and provider. Incomplete it is refused with 503."""
    if not may_see(request):
        raise PermissionDenied
    at = timezone.now()
    month = _month(request, at=at)
    found = counting.of_days(month, _last_day(month), at=at)
    if found.missing:
        return HttpResponse(
            "Todavía se cuentan los días de ese mes. Vuelva a intentarlo en unos minutos.",
            status=503,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": "600"},
        )
    rows = sorted(_cells(month, group, n, _names(found.total)) for group, n in found.total.items())
    text = csv_text([COLUMNS, *rows]) + total_line(len(rows))
    name = f'attachment; filename="uso-{month:%Y-%m}.csv"'
    return HttpResponse(
        b"\xef\xbb\xbf" + text.encode(), content_type="text/csv; charset=utf-8", headers={"Content-Disposition": name}
    )


def of_last_days(number: int, *, at: datetime) -> dict[str, Any]:
    """Codes and messages of the last days for the dashboard, today included."""
    today = at.astimezone(LIMA).date()
    found = counting.of_days(today - timedelta(days=number - 1), today, at=at)
    days: list[dict[str, Any]] = [
        {"day": today - timedelta(days=ago), **_codes_of(found.by_day.get(today - timedelta(days=ago), Counter()))}
        for ago in range(number)
    ]
    return {
        "number": number,
        "days": days,
        "most": max((each["asked"] for each in days), default=0),
        "codes": _codes_of(found.total),
        "vias": [{"name": Via(via).label, **_codes_of(_only(found.total, via=via))} for via in Via.values],
        "messages": [
            (name, sum(n for group, n in found.total.items() if group.source == "M" and group.outcome in states))
            for name, states in OUTCOMES
        ],
        "missing": found.missing,
    }


def _only(counts: Counts, **values: Any) -> Counts:
    return Counter({g: n for g, n in counts.items() if all(getattr(g, name) == v for name, v in values.items())})


def _codes_of(counts: Counts) -> dict[str, int]:
    codes = [(group, n) for group, n in counts.items() if group.source == "C"]
    return {
        "asked": sum(n for _, n in codes),
        "arrived": sum(n for group, n in codes if group.arrived),
        "verified": sum(n for group, n in codes if group.outcome == "VALIDADO"),
    }


def _message_rows(counts: Counts, names: dict[int | None, str]) -> list[dict[str, Any]]:
    def cells(found: Counts) -> list[int]:
        return [sum(n for group, n in found.items() if group.outcome in states) for _, states in OUTCOMES]

    return _rows(_only(counts, source="M"), names, cells)


def _code_rows(counts: Counts, names: dict[int | None, str]) -> list[dict[str, Any]]:
    return _rows(_only(counts, source="C"), names, lambda found: list(_codes_of(found).values()))


def _rows(counts: Counts, names: dict[int | None, str], cells: Callable[[Counts], list[int]]) -> list[dict[str, Any]]:
    """A row for each partner and via, by name, and one of all."""
    keys = sorted({(names[group.partner_id], group.partner_id, group.via) for group in counts}, key=str)
    rows = [
        {
            "partner": name,
            "via": Via(via).label,
            "cells": cells(found := _only(counts, partner_id=key, via=via)),
            "total": sum(found.values()),
        }
        for name, key, via in keys
    ]
    every = {"partner": "Todas", "via": "", "cells": cells(counts), "total": sum(counts.values()), "is_total": True}
    return [*rows, every] if rows else []


def _cells(month: date, group: Group, n: int, names: dict[int | None, str]) -> list[str]:
    is_message = group.source == "M"
    outcomes: Any = Message.State if is_message else VerificationToken.Outcome
    return [
        f"{month:%Y-%m}",
        names[group.partner_id],
        "mensaje" if is_message else "código",
        str(Message.Kind(group.kind).label),
        str(Via(group.via).label),
        group.provider,
        str(outcomes(group.outcome).label) + (", entregado" if not is_message and group.arrived else ""),
        str(n),
    ]


def _names(counts: Iterable[Group]) -> dict[int | None, str]:
    keys = {group.partner_id for group in counts}
    named = Partner.objects.filter(pk__in=[key for key in keys if key is not None])
    return {None: "Sin empresa", **dict(named.values_list("pk", "name"))}


def _month(request: HttpRequest, *, at: datetime) -> date:
    """First day of the month in the URL (`?mes=2026-02`); of the present one if there is none or it is no month."""
    this = at.astimezone(LIMA).date().replace(day=1)
    try:
        asked = date.fromisoformat(f"{request.GET.get('mes', '')}-01")
    except ValueError:
        return this
    return min(max(asked, FIRST_MONTH), this)


def _last_day(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _months(at: datetime) -> list[date]:
    found = [at.astimezone(LIMA).date().replace(day=1)]
    while len(found) < MONTHS:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found
