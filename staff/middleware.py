"""Middleware that requires a complete and current login below `/admin/`, `/soporte/` and `/cuenta/`.

It runs before the views and knows none of them, so that none can be forgotten. Permissions are checked by each view.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django_otp import DEVICE_ID_SESSION_KEY

from staff import lockout_pages, second_factor, sessions

GUARDED_PATHS = ("/admin/", "/soporte/", "/cuenta/")
LOGIN = ("/admin/login/", "/admin/logout/", "/cuenta/codigo/", "/cuenta/codigo/respaldo/")
"""Paths of login and logout."""
ENROL = "/cuenta/segundo-factor/"
"""The only page open to users who need a second factor and have none."""


CHANGE_PAGE = "/admin/password_change/"
"""The only page open to users whose password somebody else has typed."""
MUST_CHANGE = "staff_must_change_password"
"""Session key that says so. A session ends with its password: it is set at the login and holds for all of it."""


@dataclass(frozen=True)
class Stopped:
    """Redirect for a person, and the message for a script."""

    to: str
    status: int
    words: str


class Guard:
    """Ends expired sessions, and stops users whose login is not complete."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(GUARDED_PATHS):
            return self.get_response(request)
        at = timezone.now()
        stopped = self._stopped(request, at=at)
        if stopped is not None:
            return _answer(request, stopped)
        if request.user.is_authenticated:
            sessions.note_activity(request, at=at)
        response = self.get_response(request)
        # these pages show personal data: the back button must not show them after the logout
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store, private"
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer for an admin page on which a password check was refused by a limit."""
        return lockout_pages.answer_to(request, exception) if request.path_info.startswith(GUARDED_PATHS) else None

    def _stopped(self, request: HttpRequest, *, at: datetime) -> Stopped | None:
        user = request.user
        if isinstance(user, User):
            why = sessions.ended(request, at=at) or _factor_gone(request, user)
            if why is not None:
                logout(request)
                if request.path_info not in LOGIN:
                    return Stopped(_login(request, why), 401, "Su sesión terminó. Ingrese de nuevo.")
        if request.path_info in LOGIN:
            return None
        if not isinstance(request.user, User) or not request.user.is_staff:
            return Stopped(_login(request), 401, "Ingrese primero.")
        return _second_step(request, request.user) or _first_password(request)


def _second_step(request: HttpRequest, user: User) -> Stopped | None:
    """Redirect for a user who has given a password only; None if the login is complete."""
    if is_complete(request, user):
        return None
    if second_factor.device_of(user) is not None:
        to = f"{reverse('staff_code')}?{urlencode({'next': _wanted(request)})}"
        return Stopped(to, 403, "Falta su segundo factor.")
    if request.path_info == ENROL:
        return None
    return Stopped(f"{ENROL}?{urlencode({'next': _wanted(request)})}", 403, "Active primero su segundo factor.")


def _first_password(request: HttpRequest) -> Stopped | None:
    """Redirect for a user who must first choose a password of their own."""
    if MUST_CHANGE not in request.session or request.path_info in (CHANGE_PAGE, ENROL):
        return None
    return Stopped(CHANGE_PAGE, 403, "Cambie primero su contraseña.")


def is_complete(request: HttpRequest, user: User) -> bool:
    """Whether the session has everything that the account requires."""
    device = second_factor.device_of(user)
    if device is None:
        return not second_factor.is_required()
    return bool(request.session.get(DEVICE_ID_SESSION_KEY) == device.persistent_id)


def _factor_gone(request: HttpRequest, user: User) -> sessions.Ended | None:
    """End of a session whose second factor was removed: the phone was lost, or belonged to somebody else."""
    opened_by = request.session.get(DEVICE_ID_SESSION_KEY)
    if opened_by is None:
        return None
    device = second_factor.device_of(user)
    return None if device is not None and device.persistent_id == opened_by else sessions.Ended.FACTOR_GONE


def _answer(request: HttpRequest, stopped: Stopped) -> HttpResponse:
    if not sessions.is_fetched(request):
        return HttpResponseRedirect(stopped.to)
    answer = JsonResponse({"error": stopped.words, "login": stopped.to}, status=stopped.status)
    if request.headers.get("HX-Request") == "true":
        answer.headers["HX-Redirect"] = stopped.to
    answer.headers["Cache-Control"] = "no-store, private"
    return answer


def _login(request: HttpRequest, why: sessions.Ended | None = None) -> str:
    asked = {"next": _wanted(request), **({"motivo": why.value} if why else {})}
    return f"{reverse('staff_login')}?{urlencode(asked, safe='/')}"


def _wanted(request: HttpRequest) -> str:
    """URL to return to: the page itself, or for a form or script request the page it came from."""
    if request.method in ("GET", "HEAD") and not sessions.is_fetched(request):
        return request.get_full_path()
    came_from = request.headers.get("Referer", "")
    if came_from and url_has_allowed_host_and_scheme(came_from, {request.get_host()}):
        parts = urlsplit(came_from)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return next(path for path in GUARDED_PATHS if request.path_info.startswith(path))
