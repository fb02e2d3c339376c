"""Content-Security-Policy of the admin's pages, beyond the common one (config.policies), and their language."""

from collections.abc import Callable

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

ADMIN = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [UNSAFE_INLINE],
    "connect-src": [SELF],
    "font-src": [SELF],
    "img-src": ["data:"],
}
"""Additional sources for django-unfold. Its pages use Alpine.js, which evaluates expressions in attributes; colours,
and what Alpine and htmx show and hide, are inline styles. Inline scripts stay forbidden, including our own."""


LANGUAGE = (b'<html lang="es-mx"', b'<html lang="es-PE"')
"""The theme writes the code of its catalogue, which is Mexico's; a screen reader is told what the other pages tell."""


FRAMED = ("usage", "service_levels")
"""Names of pages outside of the admin's own URLs that have its frame."""


class AdminPolicy:
    """Middleware that loosens the policy for the admin's pages. The login is a page of our own and keeps the strict
    policy."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        match = request.resolver_match
        is_admin = match is not None and (match.app_name == "admin" or match.url_name in FRAMED)
        if is_admin and not hasattr(response, "_csp_update"):
            response._csp_update = ADMIN  # type: ignore[attr-defined]
        if is_admin and isinstance(response, HttpResponse):
            response.content = response.content.replace(*LANGUAGE, 1)
        return response
