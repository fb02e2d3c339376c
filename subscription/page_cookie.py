"""Cookie of a link's page, without which its form does nothing: mail scanners that submit forms keep no cookies.

Not Django's CSRF token: these pages send `Referrer-Policy: no-referrer`, so that browsers post with `Origin: null`.
"""

import hashlib

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from clients.keyed_hashes import is_hash_of, keyed_hash
from subscription.models import LINK_LIFETIME

_SALT = "subscription.page_cookie"


def set_on(response: HttpResponse, request: HttpRequest, token: str) -> None:
    """Set the cookie of a link's page. It lives as long as a link does, and is sent to this page only."""
    response.set_cookie(
        _name(token),
        keyed_hash(_SALT, token),
        max_age=LINK_LIFETIME,
        path=request.path.rstrip("/"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def has(request: HttpRequest, token: str) -> bool:
    """Test whether the request comes from a browser that was shown the link's page."""
    return is_hash_of(_SALT, token, request.COOKIES.get(_name(token), ""))


def _name(token: str) -> str:
    return f"aval_pagina_{hashlib.sha256(token.encode()).hexdigest()[:8]}"
