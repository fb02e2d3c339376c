from csp.constants import NONCE
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messaging.models import SandboxMessage, Via
from staff.passwords import LINK_PATH

MAX_MESSAGES_SHOWN = 100
"""Messages shown; the outbox is for reading a code, not an archive."""


@csp_update({"style-src": [NONCE]})
@never_cache
@require_safe
def messages(request: HttpRequest) -> HttpResponse:
    """Outbox, newest first. JSON with `Accept: application/json` or `?format=json`. `?to=` filters by recipient.

    The outbox of a test twin is its partner's alone. Mails to staff who forgot their password are shown to staff alone.
    """
    rows = SandboxMessage.objects.filter(twin__isnull=True).order_by("-id")
    if not getattr(request.user, "is_staff", False):
        rows = rows.exclude(text__contains=LINK_PATH)  # who reads such a mail takes over an account of staff
    to = request.GET.get("to", "").strip()
    if to:
        rows = rows.filter(to=to) if "\x00" not in to else rows.none()
    newest = list(rows[:MAX_MESSAGES_SHOWN])
    wants_json = request.GET.get("format") == "json" or (
        "application/json" in request.headers.get("Accept", "") and "text/html" not in request.headers.get("Accept", "")
    )
    if wants_json:
        return JsonResponse([_as_json(row) for row in newest], safe=False, json_dumps_params={"ensure_ascii": False})
    return render(request, "sandbox/messages.html", {"messages": newest, "to": to, "vias": dict(Via.choices)})


def _as_json(row: SandboxMessage) -> dict[str, str]:
    return {
        "id": str(row.message_id),
        "via": row.via,
        "to": row.to,
        "text": row.text,
        "created": row.created.isoformat(timespec="milliseconds"),
    }
