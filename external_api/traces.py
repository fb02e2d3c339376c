"""Request tracing: an id in the log and the answer, one traceback for a fault, the user who was denied a page. The log
never has the values of a path or query, nor a body."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

from django.core.exceptions import SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from clients import request_id
from clients.client_ip import caller_address

HEADER = "Request-Id"
log = logging.getLogger("aval.requests")


class RequestTrace:
    """Outermost middleware: gives each request its id, and logs denied pages.

    The id is the one that a proxy or a partner has given it, if it is clean: then their lines and ours can be joined.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request_id.given(request.META.get("HTTP_X_REQUEST_ID"), request.META.get("HTTP_TRACEPARENT"))
        current, token = request_id.begin(lambda: values_of(request), given)
        try:
            response = self.get_response(request)
            # the contracts' errors are rows of ApiRequest, with their callers
            if response.status_code == 403 and not hasattr(response, "contract"):
                log.warning("denied", extra=described(request))
            response.headers[HEADER] = current.id
            if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
                parts = cast(Iterator[bytes], response.streaming_content)
                response.streaming_content = request_id.within(current, parts)
            return response
        finally:
            request_id.end(token)


def described(request: HttpRequest) -> dict[str, Any]:
    """Log fields of a request."""
    return {
        "method": request.method if (request.method or "").isalpha() else "?",
        "route": route_of(request),
        "user": user_of(request),
        "address": caller_address(request.META),
    }


def route_of(request: HttpRequest) -> str:
    """Pattern of the URL, never the URL: that may hold a code or a person's id."""
    match = request.resolver_match
    return (match.route or match.url_name or "?") if match else "?"


def user_of(request: HttpRequest) -> str:
    try:
        return str(request.user.get_username())
    except Exception:  # noqa: BLE001  a log line asks for no more than there is: the database may be what failed
        return ""


def values_of(request: HttpRequest) -> Iterator[str]:
    """Values sent by the caller: those of the path, the query and, where it was read, the form."""
    if request.resolver_match:
        yield from (str(value) for value in request.resolver_match.kwargs.values())
        yield from (str(value) for value in request.resolver_match.args)
    with suppress(SuspiciousOperation):  # more parameters than Django reads: then no view has read them
        for sent in (request.GET, request.__dict__.get("_post")):
            for _, values in sent.lists() if sent else ():
                yield from (str(value) for value in values)


def log_fault(sender: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """Log one traceback for an exception that no view and no middleware caught. Django's own line names the path."""
    log.error("an internal fault", exc_info=sys.exc_info(), extra=described(request) if request else {})


got_request_exception.connect(log_fault, dispatch_uid="aval.write_down_fault")
