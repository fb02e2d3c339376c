"""What a request leaves in the log: an id that its answer carries too, one traceback for a fault, the name of whoever
was denied a page. Never the values of a path or query, nor a body."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from clients.client_ip import caller_address
from external_api import request_id

HEADER = "Request-Id"
log = logging.getLogger("aval.requests")


class RequestTrace:
    """Outermost: gives each request its id, and writes down who was denied a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        in_hand, token = request_id.take(lambda: values_of(request))
        try:
            response = self.get_response(request)
            # the contracts' refusals are rows of ApiRequest, with their callers
            if response.status_code == 403 and not hasattr(response, "contract"):
                log.warning("denied", extra=described(request))
            response.headers[HEADER] = in_hand.id
            return response
        finally:
            request_id.give_up(token)


def described(request: HttpRequest) -> dict[str, Any]:
    """A request as the log may name it."""
    return {
        "method": request.method if (request.method or "").isalpha() else "?",
        "route": route_of(request),
        "user": user_of(request),
        "address": caller_address(request.META),
    }


def route_of(request: HttpRequest) -> str:
    """The pattern of its address, never the address: that may hold a code or a person's id."""
    match = request.resolver_match
    return (match.route or match.url_name or "?") if match else "?"


def user_of(request: HttpRequest) -> str:
    try:
        return str(request.user.get_username())
    except Exception:  # noqa: BLE001  a log line asks for no more than there is: the database may be what failed
        return ""


def values_of(request: HttpRequest) -> Iterator[str]:
    """What somebody sent: the values of the path, the query and, where it was read, the form."""
    if request.resolver_match:
        yield from (str(value) for value in request.resolver_match.kwargs.values())
        yield from (str(value) for value in request.resolver_match.args)
    with suppress(SuspiciousOperation):  # more parameters than are read: then nobody has read them
        for sent in (request.GET, request.__dict__.get("_post")):
            for _, values in sent.lists() if sent else ():
                yield from (str(value) for value in values)


def write_down_fault(sender: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """One traceback for an exception that no view and no middleware caught. Django's own line names the path."""
    log.error("an internal fault", exc_info=sys.exc_info(), extra=described(request) if request else {})


got_request_exception.connect(write_down_fault, dispatch_uid="aval.write_down_fault")
