"""Answers of the staff pages to too many tries: 429, in Spanish, with `Retry-After`."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from clients import hashing
from staff import authentication
from staff.pages import page, staff_page

_ANY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def locked(request: HttpRequest, seconds: int) -> HttpResponse:
    """The name is locked or delayed. The session is flushed."""
    request.session.flush()
    request.axes_locked_out = False  # type: ignore[attr-defined]  # answered here, not by axes
    answer = page(request, "locked", status=429, minutes=-(-seconds // 60))
    answer.headers["Retry-After"] = str(seconds)
    return answer


def too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    """The address tries too often, or too many passwords are being checked. The session stays."""
    answer = page(request, "too_many", status=429, seconds=seconds)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def answer_to(request: HttpRequest, fault: Exception) -> HttpResponse | None:
    """Answer for a page that checks or sets a password but knows nothing of limits. None for other exceptions."""
    match fault:
        case authentication.LockedOut():
            return _locked_page(request, fault.seconds)
        case authentication.TooManyTries():
            return _too_many_page(request, fault.seconds)
        case hashing.HashesBusy():
            return _too_many_page(request, hashing.RETRY_AFTER)
    return None


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """Answer of django-axes' middleware to a lockout in a login that is not ours (AXES_LOCKOUT_CALLABLE)."""
    name = (credentials or {}).get("username") or ""
    return _locked_page(request, authentication.seconds_locked(request, name, at=timezone.now()) or 1)


@staff_page(*_ANY)
def _locked_page(request: HttpRequest, seconds: int) -> HttpResponse:
    return locked(request, seconds)


@staff_page(*_ANY)
def _too_many_page(request: HttpRequest, seconds: int) -> HttpResponse:
    return too_many(request, seconds)
