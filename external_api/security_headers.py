"""Security headers on every answer, also one that no view made: a bad Host, a fault, a redirect, a static file.

Django's and django-csp's middleware set their own on the way; this one is outside of them all and adds what is missing.
"""

from collections.abc import Callable

from csp.constants import HEADER as POLICY
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase, ResponseHeaders


def always() -> dict[str, str]:
    """Headers of an answer that sets none of them itself."""
    return {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "Permissions-Policy": settings.PERMISSIONS_POLICY,
        POLICY: build_policy(),
    }


def _strict_transport() -> dict[str, str]:
    """Header of an answer over HTTPS (RFC 6797), as SecurityMiddleware, which contracts pass by, sets it for pages."""
    if not settings.SECURE_HSTS_SECONDS:
        return {}
    value = f"max-age={settings.SECURE_HSTS_SECONDS}"
    value += "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
    value += "; preload" if settings.SECURE_HSTS_PRELOAD else ""
    return {"Strict-Transport-Security": value}


class PagePolicy(CSPMiddleware):
    """Content-Security-Policy of pages. A contract's answer gets the common one from `SecurityHeaders`, ready made."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if hasattr(response, "contract") else super().process_response(request, response)


class SecurityHeaders:
    """Second outermost middleware; a view's own header stays."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._always = ResponseHeaders(always())._store
        self._over_https = {**self._always, **ResponseHeaders(_strict_transport())._store}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        headers = response.headers
        # Django's `setdefault` would check and encode six constants again for every answer
        headers._store = {**(self._over_https if request.is_secure() else self._always), **headers._store}
        return response
