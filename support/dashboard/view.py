"""Dashboard of the admin's first page: the panels whose rows the user may see, as text and charts."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import TextChoices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from clients.local_time import LIMA
from external_api.models import APIS
from messaging.models import Message
from support.access import USE
from support.dashboard import charts, figures, service_levels
from support.dashboard.figures import Data
from support.usage.views import may_see, of_last_days
from tokens.models import VerificationToken

log = logging.getLogger(__name__)
NONE = "—"
"""Shown for a value that does not exist, such as the median of no rows."""
NEEDS: dict[str, tuple[str, ...]] = {
    "codes": ("tokens.view_verificationtoken", "messaging.view_message"),
    "times": ("tokens.view_verificationtoken",),
    "failures": ("messaging.view_message",),
    "waits": ("tokens.view_verificationtoken", "clients.view_applicant"),
    "queues": ("messaging.view_message",),
    "providers": ("messaging.view_providerstate",),
    "traffic": ("external_api.view_apirequest", "clients.view_partner"),
}
"""Permissions that a panel needs: who may not open the rows does not see their sums."""
RANGES = ("7", "30")
"""Days of which the first page shows the sums instead of today's panels."""
_APIS = dict(APIS)
_QUEUE_NAMES = {"codes": "Códigos", "bulk": "Boletines"}


def add_to(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Context for unfold's first page (DASHBOARD_CALLBACK)."""
    at = timezone.now()
    number = request.GET.get("dias", "")
    if number in RANGES and may_see(request):
        context["range"] = _range(int(number), at=at)
    else:
        context.update(_board(request, at=at))
    context["ranges"] = RANGES if may_see(request) else ()
    context["may_see_levels"] = service_levels.may_see(request)
    context["may_use_desk"] = request.user.has_perm(USE)
    return context


def _range(number: int, *, at: datetime) -> Data:
    """Figures of the last days, with their bars."""
    data = of_last_days(number, at=at)
    for each in (*data["days"], *data["vias"], data["codes"]):
        each["bar"] = charts.share(each["asked"], data["most"])
        each["arrived_share"] = percent(each["arrived"], each["asked"])
        each["verified_share"] = percent(each["verified"], each["asked"])
    return data


@require_safe
def board(request: HttpRequest) -> HttpResponse:
    """The panels alone, for the page's own script."""
    context = _board(request, at=timezone.now())
    if not context["board"]:
        raise PermissionDenied
    return render(request, "admin/dashboard/board.html", context)


def allowed_panels(request: HttpRequest) -> list[str]:
    return [name for name, needed in NEEDS.items() if request.user.has_perms(needed)]


def _board(request: HttpRequest, *, at: datetime) -> Data:
    """Panels that the user may see, and the time of the oldest of them: each is cached by itself."""
    panels = {name: _shown(name, at=at) for name in allowed_panels(request)}
    now = at.astimezone(LIMA)
    oldest = min((panel["at"] for panel in panels.values() if "at" in panel), default=now)
    return {"board": panels, "board_at": now, "figures_at": oldest}


def _shown(name: str, *, at: datetime) -> Data:
    try:
        data = figures.panel(name, at=at)
    except OperationalError as fault:  # a panel that times out must not break the page
        log.error("a panel of the dashboard failed", extra={"panel": name, "fault": repr(fault)[:300]})
        return {"fault": True}
    asked_at = datetime.fromisoformat(data["at"]).astimezone(LIMA)
    return {**_SHOWN[name](data, at), "at": asked_at}


def _codes(data: Data, at: datetime) -> Data:
    asked, delivered, verified = data["today"]
    before = data["yesterday"]
    now = at.astimezone(LIMA).hour
    hours = [
        {
            "hour": f"{each['hour']:02d}:00",
            "today": [number(n) for n in each["today"]],
            "yesterday": [number(n) for n in each["yesterday"]],
            "is_now": each["hour"] == now,
        }
        for each in data["hours"]
        if each["hour"] <= now or any(each["yesterday"])
    ]
    return {
        "rows_of_today": rows_of("tokens.verificationtoken", at),
        "tiles": [
            _tile("Pedidos", asked, before[0], ""),
            _tile("Entregados", delivered, before[1], f"{percent(delivered, asked)} de los pedidos"),
            _tile("Verificados", verified, before[2], f"{percent(verified, asked)} de los pedidos"),
        ],
        "chart": charts.of_hours([each["today"] for each in data["hours"]], [e["yesterday"][0] for e in data["hours"]]),
        "hours": hours,
        "vias": [_conversion(*row) for row in data["vias"]],
        "operators": [_conversion(*row) for row in data["operators"]],
        "outcomes": [
            {
                "name": name,
                "count": number(count),
                "bar": charts.share(count, data["outcomes"][0][1]),
                "rows": rows_of(
                    "tokens.verificationtoken", at, outcome__exact=_value_of(VerificationToken.Outcome, name)
                ),
            }
            for name, count in data["outcomes"]
        ],
    }


def _tile(name: str, now: int, before: int, note: str) -> Data:
    change = 100 * (now - before) / before if before else 0.0
    sign = "=" if not before or abs(change) < 0.5 else ("▲" if change > 0 else "▼")
    than = (
        f"{sign} {abs(change):.0f} % que ayer a esta hora ({number(before)})" if before else "Ayer a esta hora, ninguno"
    )
    if sign == "=" and before:
        than = f"= igual que ayer a esta hora ({number(before)})"
    return {"name": name, "value": number(now), "note": note, "than": than}


def _conversion(name: str, asked: int, delivered: int, verified: int) -> Data:
    return {
        "name": name,
        "asked": number(asked),
        "delivered": number(delivered),
        "verified": number(verified),
        "delivered_share": percent(delivered, asked),
        "verified_share": percent(verified, asked),
        "delivered_bar": charts.share(delivered, asked),
        "verified_bar": charts.share(verified, asked),
    }


def _times(data: Data, at: datetime) -> Data:
    rows = [
        {"name": name, "count": number(count), "p50": seconds(p50), "p95": seconds(p95)}
        for name, count, p50, p95 in data["rows"]
    ]
    return {"rows": rows, "all": rows[0]}


def _failures(data: Data, at: datetime) -> Data:
    most = max((count for *_, count in data["reasons"]), default=0)
    reasons = [
        {
            "state": state,
            "reason": reason,
            "count": number(count),
            "bar": charts.share(count, most),
            "rows": rows_of("messaging.message", at, state__exact=_value_of(Message.State, state)) if state else "",
        }
        for state, reason, count in data["reasons"]
    ]
    return {"reasons": reasons, "failed": number(data["failed"])}


def _waits(data: Data, at: datetime) -> Data:
    most = max((count for *_, count in data["rows"]), default=0)
    rows = [
        {"wait": wait, "after": f"{rung}.º pedido", "count": number(count), "bar": charts.share(count, most)}
        for wait, rung, count in data["rows"]
    ]
    return {"rows": rows, "clients": number(data["clients"])}


def _queues(data: Data, at: datetime) -> Data:
    rows = [
        {
            "name": _QUEUE_NAMES[each["queue"]],
            "due": number(each["due"]),
            "later": number(each["later"]),
            "sending": number(each["sending"]),
            "oldest": lasting(each["oldest"]) if each["due"] else NONE,
        }
        for each in data["rows"]
    ]
    return {"rows": rows, "waiting": list_of("messaging.message", state__exact=Message.State.QUEUED)}


def _providers(data: Data, at: datetime) -> Data:
    rows = [
        {
            "name": name,
            "since": _moment(since),
            "until": _moment(until) if until else None,
            "reason": reason,
            "page": reverse("admin:messaging_providerstate_change", args=[quote(name)]),
        }
        for name, since, until, reason in data["rows"]
    ]
    return {"rows": rows}


def _traffic(data: Data, at: datetime) -> Data:
    most = max((calls for _, _, calls, *_ in data["rows"]), default=0)
    rows = [
        {
            "partner": name or "Sin credencial",
            "contract": str(_APIS[contract]),
            "calls": number(calls),
            "bar": charts.share(calls, most),
            "refused": percent(refused, calls),
            "p95": f"{number(p95)} ms",
        }
        for name, contract, calls, refused, p95 in data["rows"]
    ]
    return {"rows": rows, "rows_of_today": rows_of("external_api.apirequest", at)}


_SHOWN: dict[str, Callable[[Data, datetime], Data]] = {
    "codes": _codes,
    "times": _times,
    "failures": _failures,
    "waits": _waits,
    "queues": _queues,
    "providers": _providers,
    "traffic": _traffic,
}


def list_of(model: str, **filters: Any) -> str:
    """URL of the admin's list behind a figure."""
    address = reverse(f"admin:{model.replace('.', '_')}_changelist")
    return f"{address}?{urlencode(filters)}"


def rows_of(model: str, at: datetime, **filters: Any) -> str:
    """URL of that list, for today."""
    day = at.astimezone(LIMA).date()
    dated = {"created_at__year": day.year, "created_at__month": day.month, "created_at__day": day.day}
    return list_of(model, **filters, **dated)


def _value_of(choices: type[TextChoices], label: str) -> str:
    """Filter value of a label shown in a panel. An unknown label gives an empty list."""
    return next((str(each.value) for each in choices if each.label == label), "")


def number(value: int) -> str:
    """12,345: a comma between thousands, as in Peru."""
    return f"{value:,}"


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else NONE


def seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f} s"


def lasting(value: float) -> str:
    """`7 s`, `3 min 20 s`, `2 h 05 min`."""
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{number(hours)} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(LIMA)
