"""End of staff sessions: after a time without activity, and after a working day in any case.

A page that polls by itself is not activity, or a forgotten screen would stay open all night. Both times are in the
session and are compared with `at`; the age of a cookie is not used, since a browser keeps or drops cookies as it likes.
"""

from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils import timezone

NOTED_EVERY = timedelta(seconds=30)
"""Least time between two records of activity. A session may end that much too early, never late."""
SCRIPT_POLLS = ("desde_fila",)
"""Query parameters of a page's own polling script (support/static/support/log.js)."""
POLL_HEADER = "Aval-Poll"
"""Header with which any other polling script declares itself."""

_BEGAN, _SEEN = "staff_began", "staff_seen"


class Ended(Enum):
    """Reason for the end of a session. The value is in the URL of the login, which tells the user."""

    IDLE = "inactividad"
    OLD = "duracion"
    FACTOR_GONE = "factor"
    TOO_SLOW = "demora"


def begin(request: HttpRequest, *, at: datetime) -> None:
    """Begin a session after a complete login."""
    request.session[_BEGAN] = request.session[_SEEN] = at.timestamp()


def begin_on_login(request: HttpRequest) -> None:
    """Begin the session that a login opened. A session without a user is no login here; calls of contracts, which
    pass by the middleware of pages, have none."""
    if SESSION_KEY in getattr(request, "session", {}):
        begin(request, at=timezone.now())


def ended(request: HttpRequest, *, at: datetime) -> Ended | None:
    """Reason why a session has ended, or None. A session that was not begun here begins with its first request."""
    began, seen = request.session.get(_BEGAN), request.session.get(_SEEN)
    if began is None or seen is None:
        begin(request, at=at)
        return None
    now = at.timestamp()
    if now - began >= timedelta(hours=settings.SESSION_HOURS).total_seconds():
        return Ended.OLD
    if now - seen >= timedelta(minutes=settings.SESSION_IDLE_MINUTES).total_seconds():
        return Ended.IDLE
    return None


def ends_at(request: HttpRequest) -> datetime:
    """Latest end of a session."""
    began = datetime.fromtimestamp(request.session[_BEGAN], tz=timezone.get_current_timezone())
    return began + timedelta(hours=settings.SESSION_HOURS)


def note_activity(request: HttpRequest, *, at: datetime) -> None:
    """Record activity, unless a script made the request."""
    if not is_by_script(request) and at.timestamp() - request.session[_SEEN] >= NOTED_EVERY.total_seconds():
        request.session[_SEEN] = at.timestamp()


def is_fetched(request: HttpRequest) -> bool:
    """Whether a script made the request, and could do nothing with a login page."""
    headers = request.headers
    accept = headers.get("Accept", "")
    return (
        headers.get("HX-Request") == "true"
        or headers.get("X-Requested-With") == "XMLHttpRequest"
        or headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        or any(word in request.GET for word in SCRIPT_POLLS)
        or ("application/json" in accept and "text/html" not in accept)
    )


def is_by_script(request: HttpRequest) -> bool:
    """Whether nobody need be present: a polling page. Requests of htmx and those that change something follow a
    click."""
    if POLL_HEADER in request.headers or any(word in request.GET for word in SCRIPT_POLLS):
        return True
    clicked = request.headers.get("HX-Request") == "true" or request.method not in ("GET", "HEAD")
    return is_fetched(request) and not clicked
