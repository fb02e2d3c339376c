"""Middleware around all views: access log, overload guard, and a contract's envelope on each answer below its URL."""

import logging
import time
from collections.abc import Callable
from functools import lru_cache, partial
from threading import BoundedSemaphore, get_ident
from typing import cast

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLResolver, get_resolver

from clients import request_id
from clients.client_ip import caller_address
from clients.errors import Refused
from external_api.frontdoor.contract import Contract
from external_api.frontdoor.errors import BadRequest, InternalFault, NoSuchPath, TooLarge, Unavailable
from external_api.frontdoor.json_response import json_response
from external_api.probe_paths import STATUS
from external_api.routing import CONTRACT_PREFIXES, contract_of, prefix_of
from metrics import request_counts
from metrics.endpoint import is_scrape

access = logging.getLogger("aval.access")
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class AccessLog:
    """One line for each request, by route and never by path: a path of contract 2 may hold a code.

    Calls of contracts say whose they are by ids: the partner, the client, and the number that the answer may have. It
    counts them for the metrics, too.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        if is_scrape(request.path_info):
            return response
        seconds = time.perf_counter() - started
        contract = contract_of(request.path_info)
        if contract is not None and request.path_info.rstrip("/") != STATUS:  # which balancers ask all the time
            request_counts.observe(contract.name, response.status_code, seconds)
        match = request.resolver_match
        current = request_id.current()
        access.info(
            "request",
            extra={
                "method": request.method if (request.method or "").isalpha() else "?",
                "route": (match.url_name or match.route) if match else "?",
                "status": response.status_code,
                "ms": round(seconds * 1000, 1),
                "address": caller_address(request.META),
                **(current.about if current else {}),
            },
        )
        return response


class ContractEnvelope:
    """Envelope for answers below a contract that no view of it made (a bad Host header, a middleware's fault)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if hasattr(response, "contract"):
            return response
        contract = contract_of(request.path_info)
        if contract is None:
            return response
        return error_response_for_status(contract, response.status_code)


class OverloadGuard:
    """Overload guard: keeps one of a web process's threads free for `GET /status`, which must answer whatever hangs.

    A process has WEB_THREADS + 1 threads, and at most WEB_THREADS requests are in work. The next one waits a moment. If
    no request has finished by then, the oldest has taken seconds and even the youngest a while, the database hangs, and
    a clear 503 now is better than a connection without an answer. A few slow requests (two that wait for one
    applicant's lock) cause no 503 as long as others finish.
    """

    WAIT = 0.2
    """Seconds; under mere load a request finishes in a few hundredths."""
    HANGS_AFTER = 1.5
    """Seconds; beyond the one second that a frozen Redis may cost a request."""
    STALLED_FOR = 0.5
    """Seconds; while slots are freed faster than this, single requests are slow, not everything."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._slots = BoundedSemaphore(settings.WEB_THREADS)
        self._since: dict[int, float] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.rstrip("/") == STATUS:
            return self.get_response(request)
        if not self._slots.acquire(blocking=False) and not self._acquire_late():
            return self._unavailable(request)
        me = get_ident()
        self._since[me] = time.monotonic()
        try:
            return self.get_response(request)
        finally:
            del self._since[me]
            self._slots.release()

    def _acquire_late(self) -> bool:
        """Wait for a slot. False: the database hangs."""
        while not self._something_hangs():  # at once: `/status` would wait behind a queue of waiting requests
            if self._slots.acquire(timeout=self.WAIT):
                return True
        return False

    def _something_hangs(self) -> bool:
        since = list(self._since.values())
        now = time.monotonic()
        if not since or now - min(since) <= self.HANGS_AFTER:
            return False
        return now - max(since) > self.STALLED_FOR

    def _unavailable(self, request: HttpRequest) -> HttpResponse:
        contract = contract_of(request.path_info)
        if contract is None:
            return HttpResponse(status=503, headers={"Retry-After": str(Unavailable.retry_after)})
        return error_response(contract, Unavailable())


class ContractsApart:
    """Calls of the contracts go from here to their views, past the middleware of pages.

    Sessions, forms and policies of pages are not for them, and cost a tenth of a call. Of what Django does around a
    view they need a checked Host, the resolved URL, an answer to any exception, and Content-Length.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.pages = get_response
        self.contracts: dict[str, GetResponse] = {
            prefix: cast(GetResponse, convert_exception_to_response(partial(_call_view, prefix)))
            for prefix in CONTRACT_PREFIXES
        }

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.contracts.get(prefix_of(request.path_info), self.pages)(request)


@lru_cache
def _resolvers(urlconf: str) -> dict[str, URLResolver]:
    """Resolver of each contract's URLs, by its prefix. `resolve` asks the root's patterns first, and copies what the
    contract's own resolver has found."""
    of_contracts = [each for each in get_resolver(urlconf).url_patterns if isinstance(each, URLResolver)]
    return {prefix: each for each in of_contracts if (prefix := f"/{each.pattern}") in CONTRACT_PREFIXES}


def _call_view(prefix: str, request: HttpRequest) -> HttpResponseBase:
    """Call the view that the URL below a contract's prefix names. Raises DisallowedHost and what a view raises."""
    request.get_host()
    request.resolver_match = match = _resolvers(settings.ROOT_URLCONF)[prefix].resolve(request.path_info[1:])
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if isinstance(response, HttpResponse) and not response.has_header("Content-Length"):
        response.headers["Content-Length"] = str(len(response.content))
    return response


_BY_STATUS: dict[int, Callable[[Contract], Refused]] = {
    400: lambda _: BadRequest("La solicitud no es válida."),
    404: lambda _: NoSuchPath(),
    413: lambda contract: TooLarge(contract.body_limit),
}


def error_response_for_status(contract: Contract, status: int) -> HttpResponse:
    """Answer with a contract's error for a status alone."""
    return error_response(contract, _BY_STATUS.get(status, lambda _: InternalFault())(contract))


def error_response(contract: Contract, error: Refused) -> HttpResponse:
    """Answer with an error of a contract where no view of it was reached."""
    response = json_response(contract.answer_to(error, None))
    response["Content-Length"] = len(response.content)  # this is outside of the middleware that sets it
    response.contract = contract.name  # type: ignore[attr-defined]
    return response
