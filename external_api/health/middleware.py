"""`/health/live` and `/health/ready`: answered for any Host header and without one, before all that could refuse.

They stand outside of the access log, the overload guard, the redirect to HTTPS, sessions and limits. `live` asks
nobody: a supervisor must not restart every web process because a database is away. `ready` says whether this process
should get requests. Redis is not among its parts: without it PostgreSQL counts the limits, and answers are the same.
"""

import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from external_api.health import probes
from external_api.probe_paths import LIVE, READY

MAX_AGE = 1.0
"""Seconds for which an answer of the database is given again: a stranger causes one query a second in each process."""
STOPPING = "aval.stopping"
"""In the WSGI environment: whether the server has been told to stop (config.webserver)."""


class Health:
    """Middleware that answers both addresses itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._is_migrated = False

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in (LIVE, READY):
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return _answer(405, {"status": "error"}, Allow="GET, HEAD")
        if request.path_info == LIVE:
            return _answer(200, {"status": "ok"})
        parts = self._parts(is_stopping=bool(request.META.get(STOPPING)))
        if all(each == "ok" for each in parts.values()):
            return _answer(200, {"status": "ok", "parts": parts})
        return _answer(503, {"status": "error", "parts": parts}, **{"Retry-After": "5"})

    def _parts(self, *, is_stopping: bool) -> dict[str, str]:
        """What each part says; those behind one that failed are not asked."""
        if is_stopping:
            return {"process": "stopping"}
        if not probes.database.answers(max_age=MAX_AGE):
            return {"process": "ok", "database": "no answer"}
        self._is_migrated = self._is_migrated or probes.schema.answers(max_age=MAX_AGE)
        return {"process": "ok", "database": "ok", "schema": "ok" if self._is_migrated else "not migrated"}


def _answer(status: int, body: dict[str, object], **headers: str) -> HttpResponse:
    response = HttpResponse(json.dumps(body), status=status, content_type="application/json", headers=headers)
    response["Cache-Control"] = "no-store"
    response["Content-Length"] = str(len(response.content))  # this is outside of the middleware that sets it
    return response
