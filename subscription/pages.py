"""Rendering of the public pages, and the headers that keep them and their links private."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from staff.pages import PRIVATE_HEADERS

View = Callable[..., HttpResponse]

MAX_BODY = 16 * 1024
"""Bytes; a form of one field. Checked before anything reads the body: an upload would go to disk first."""


def form_page(view: View) -> View:
    """Decorate a page with no secret in its URL. A CSRF token keeps other sites from submitting its form."""
    return _private_page(csrf_protect(view), referrer="same-origin")


def link_page(view: View) -> View:
    """Decorator of a page whose URL holds a token, which must not leak to any other site.

    No CSRF token: only a person who has the link may act, and the page must work in a mail program that keeps no
    cookies (RFC 8058 demands it). Nor could there be one: `no-referrer` makes browsers send `Origin: null`.
    """
    return _private_page(view, referrer="no-referrer")


def page(request: HttpRequest, name: str, *, status: int = 200, **context: Any) -> HttpResponse:
    return render(request, f"subscription/{name}.html", {"brand": settings.BRAND, **context}, status=status)


def _private_page(view: View, *, referrer: str) -> View:
    guarded = require_http_methods(["GET", "HEAD", "POST"])(view)

    @csrf_exempt  # only so that the body's size is checked first; form_page checks the token inside
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = HttpResponse(status=413) if _too_large(request) else guarded(request, *args, **kwargs)
        for name, value in (*PRIVATE_HEADERS.items(), ("Referrer-Policy", referrer)):
            response.headers[name] = value
        return response

    return inner


def _too_large(request: HttpRequest) -> bool:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY
    except ValueError:
        return False
