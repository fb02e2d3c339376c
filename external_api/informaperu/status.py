"""`GET /status`: state of the API and its database, answered within a second whatever hangs."""

import time
from datetime import UTC

from django.http import HttpRequest
from django.utils import timezone

from external_api.frontdoor.contract import Answer
from external_api.health import probes
from external_api.informaperu.views import InformaPeruView

STARTED = time.monotonic()


class StatusView(InformaPeruView):
    action = "status"
    http_method_names = ["get", "head"]
    rate_limited = False
    logged = False
    takes_credential = False

    def get(self, request: HttpRequest) -> Answer:
        alive = probes.database.answers()
        now = timezone.now().astimezone(UTC)
        body = {
            "status": "ok" if alive else "error",
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
            "uptime": round(time.monotonic() - STARTED, 1),
        }
        headers = {"Cache-Control": "no-store"}
        return Answer(200, body, headers) if alive else Answer(503, body, headers | {"Retry-After": "5"})
