"""Page of service levels in the admin: what was reached on each of the last days, beside its objective."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from clients.local_time import LIMA
from metrics import service_levels as levels
from metrics.models import ServiceDay
from metrics.service_levels import Level

NEEDS = ("messaging.view_message", "external_api.view_apirequest")
"""Permissions: who may not open the rows does not see their sums."""
DAYS = 60
"""Days that are shown."""
NOTHING = "—"


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perms(NEEDS)


@require_safe
def service_levels(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Service levels by day, the newest first."""
    if not may_see(request):
        raise PermissionDenied
    first = timezone.now().astimezone(LIMA).date() - timedelta(days=DAYS - 1)
    days = [_row(day) for day in ServiceDay.objects.filter(day__gte=first).order_by("-day")]
    objectives = {
        "within_2s": percent(levels.WITHIN_2S, 1),
        "within_10s": percent(levels.WITHIN_10S, 1),
        "faults": percent(levels.FAULTS, 2),
    }
    more = {"title": "Nivel de servicio", "days": days, "objectives": objectives}
    return TemplateResponse(request, "admin/service_levels.html", {**context, **more})


def _row(day: ServiceDay) -> dict[str, Any]:
    return {
        "day": day.day,
        "codes": day.codes,
        "calls": day.calls,
        "levels": [_shown(levels.within_2s(day), 2), _shown(levels.within_10s(day), 2), _shown(levels.faults(day), 3)],
    }


def _shown(level: Level, digits: int) -> dict[str, Any]:
    text = NOTHING if level.share is None else percent(level.share, digits)
    return {"text": text, "is_kept": level.is_kept}


def percent(share: float, digits: int) -> str:
    """99.00 %. Rounded down, so that what was missed by little does not look as if it had been reached."""
    factor = 10 ** (digits + 2)
    return f"{int(share * factor + 1e-9) / 10**digits:.{digits}f} %"
