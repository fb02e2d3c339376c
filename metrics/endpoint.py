"""`GET /metrics`: in the web processes for the bearer of METRICS_TOKEN, and on a port of its own (METRICS_PORT).

Before everything that asks for a Host, a session or HTTPS: Prometheus calls processes by their addresses. It is never
open: without a token the web processes have no such page.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from metrics.scrape import scraped

PATH = "/metrics"
HEADERS = {"Cache-Control": "no-store"}
_CHALLENGE = {**HEADERS, "WWW-Authenticate": "Bearer"}


def may_scrape(authorization: str) -> bool:
    """Whether a request with this Authorization header has the token. Compared in constant time."""
    scheme, _, given = authorization.strip().partition(" ")
    expected: str = settings.METRICS_TOKEN
    return (
        bool(expected) and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), expected.encode())
    )


def is_scrape(path: str) -> bool:
    return path == PATH


class MetricsEndpoint:
    """Middleware that answers scrapes, and passes everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_scrape(request.path_info) or not settings.METRICS_TOKEN:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={**HEADERS, "Allow": "GET, HEAD"})
        if not may_scrape(str(request.META.get("HTTP_AUTHORIZATION", ""))):
            return HttpResponse(status=401, headers=_CHALLENGE)
        body, content_type = scraped(str(request.META.get("HTTP_ACCEPT", "")))
        return HttpResponse(body if request.method == "GET" else b"", content_type=content_type, headers=HEADERS)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI application of the port of its own. It asks for the token where there is one."""
    if not is_scrape(environ["PATH_INFO"]):
        return _plain(start_response, "404 Not Found", HEADERS)
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return _plain(start_response, "405 Method Not Allowed", {**HEADERS, "Allow": "GET, HEAD"})
    if settings.METRICS_TOKEN and not may_scrape(environ.get("HTTP_AUTHORIZATION", "")):
        return _plain(start_response, "401 Unauthorized", _CHALLENGE)
    close_old_connections()
    body, content_type = scraped(environ.get("HTTP_ACCEPT", ""))
    length = {"Content-Type": content_type, "Content-Length": str(len(body))}
    start_response("200 OK", list({**HEADERS, **length}.items()))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _plain(start_response: Callable[..., Any], status: str, headers: dict[str, str]) -> Iterable[bytes]:
    start_response(status, [*headers.items(), ("Content-Length", "0")])
    return []
