"""When a session of the staff ends: after a while without its person, and after a working day in any case.

A page that asks for news by itself is nobody's activity, or a forgotten screen would stay open all night. Both moments
stand in the session; `at` decides, not the age of a cookie, which a browser keeps or loses as it likes.
"""

from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils import timezone

NOTED_EVERY = timedelta(seconds=30)
"""An activity is written down at most this often: a session may end so much early, never late."""
SCRIPT_POLLS = ("desde_fila",)
"""What a page's own script asks with when it looks for news (support/static/support/log.js)."""
POLL_HEADER = "Aval-Poll"
"""A script that asks by itself without those words says so with this header."""

_BEGAN, _SEEN = "staff_began", "staff_seen"


class Ended(Enum):
    """Why; the value stands in the login's address, which tells the person."""

    IDLE = "inactividad"
    OLD = "duracion"
    FACTOR_GONE = "factor"
    TOO_SLOW = "demora"


def begin(request: HttpRequest, *, at: datetime) -> None:
    """A login was completed."""
    request.session[_BEGAN] = request.session[_SEEN] = at.timestamp()


def begin_on_login(request: HttpRequest) -> None:
    """A login opened this session; one that left no user in it is not a login here."""
    if SESSION_KEY in request.session:
        begin(request, at=timezone.now())


def ended(request: HttpRequest, *, at: datetime) -> Ended | None:
    """Why a session is over; None: it goes on. One that nobody began here begins with its first request."""
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
    """When it ends in any case."""
    began = datetime.fromtimestamp(request.session[_BEGAN], tz=timezone.get_current_timezone())
    return began + timedelta(hours=settings.SESSION_HOURS)


def note_activity(request: HttpRequest, *, at: datetime) -> None:
    """The person is there, if it was the person who asked."""
    if not is_by_script(request) and at.timestamp() - request.session[_SEEN] >= NOTED_EVERY.total_seconds():
        request.session[_SEEN] = at.timestamp()


def is_fetched(request: HttpRequest) -> bool:
    """Whether a script asks, which could do nothing with a login page in place of its answer."""
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
    """Whether nobody need be there: a page that looks for news. What htmx asks, or whatever acts, somebody clicked."""
    if POLL_HEADER in request.headers or any(word in request.GET for word in SCRIPT_POLLS):
        return True
    clicked = request.headers.get("HX-Request") == "true" or request.method not in ("GET", "HEAD")
    return is_fetched(request) and not clicked
