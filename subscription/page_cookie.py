"""Cookie of a link's page, without which its form does nothing: mail scanners that submit forms keep no cookies.

Not Django's CSRF token: these pages send `Referrer-Policy: no-referrer`, so that browsers post with `Origin: null`.
"""

import hashlib

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from subscription.models import LINK_LIFETIME


def set_on(response: HttpResponse, request: HttpRequest, token: str) -> None:
    """Set the cookie of a link's page. It lives as long as a link does, and is sent to this page only."""
    response.set_cookie(
        _name(token),
        _value(token),
        max_age=LINK_LIFETIME,
        path=request.path.rstrip("/"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def has(request: HttpRequest, token: str) -> bool:
    """Test whether the request comes from a browser that was shown the link's page."""
    return constant_time_compare(request.COOKIES.get(_name(token), ""), _value(token))


def _name(token: str) -> str:
    return f"aval_pagina_{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def _value(token: str) -> str:
    return salted_hmac("subscription.page_cookie", token, algorithm="sha256").hexdigest()
