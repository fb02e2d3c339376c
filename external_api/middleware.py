"""Around all views: the access log, and the promise that a contract's URL space answers in its envelope."""

import json
import logging
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from clients.errors import Refused
from external_api.frontdoor.address import caller_address
from external_api.frontdoor.contract import Contract
from external_api.frontdoor.refusals import BadRequest, InternalFault, NoSuchPath, TooLarge
from external_api.spaces import contract_of

access = logging.getLogger("aval.access")
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class AccessLog:
    """One line for each request, by route and never by path: a path of contract 2 may hold a code."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        access.info(
            "request",
            extra={
                "method": request.method if (request.method or "").isalpha() else "?",
                "route": (match.url_name or match.route) if match else "?",
                "status": response.status_code,
                "ms": round((time.perf_counter() - started) * 1000, 1),
                "address": caller_address(request),
            },
        )
        return response


class ContractEnvelope:
    """Answers below a contract that no view of it made (a bad Host header, a middleware's fault) get its envelope."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        contract = contract_of(request.path_info)
        response = self.get_response(request)
        if contract is None or getattr(response, "contract", None) == contract.name:
            return response
        return _enveloped(contract, response.status_code)


_BY_STATUS: dict[int, Callable[[Contract], Refused]] = {
    400: lambda _: BadRequest("La solicitud no es válida."),
    404: lambda _: NoSuchPath(),
    413: lambda contract: TooLarge(contract.body_limit),
}


def _enveloped(contract: Contract, status: int) -> HttpResponse:
    refusal = _BY_STATUS.get(status, lambda _: InternalFault())(contract)
    answer = contract.refuse(refusal, None)
    body = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(body, status=answer.status, content_type="application/json", headers=dict(answer.headers))
