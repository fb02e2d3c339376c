"""Base view of all contracts' endpoints: authenticate, limit, parse, act, answer in the contract's envelope.

The order: credential, limits, method, body, Idempotency-Key, the endpoint itself. Contract 1, which may have its
credential in the body, has its own (docs/contracts/nopasanada.md, Order of checks). Errors of the front door and of the
domain are answered by the contract's own table.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, ClassVar, cast
from uuid import UUID

from django.core.handlers.wsgi import WSGIRequest
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clients.client_ip import caller_address, limiting_key
from clients.credentials import authenticate
from clients.errors import ContractNotAllowed, CredentialRefused, Refused
from clients.models import Credential, Partner
from external_api.frontdoor import idempotency, limits, request_log, strict_json
from external_api.frontdoor.contract import Answer, Contract
from external_api.frontdoor.errors import InternalFault, NoSuchPath, RateLimited, Unauthorized, Unavailable, WrongMethod
from external_api.models import IdempotentAnswer
from external_api.sql import INSERT_REQUEST
from tokens.sql import RequestRow

log = logging.getLogger(__name__)


class JsonNegotiation(BaseContentNegotiation):
    """JSON always, whatever Accept says: a contract has one format, and 406 is in none of its tables."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


def header_credential(request: Request) -> str | None:
    """The credential after `Bearer` in the Authorization header; None for another scheme, or no header."""
    scheme, _, raw = request.headers.get("Authorization", "").strip().partition(" ")
    return raw if scheme.lower() == "bearer" else None


class _Replayed(Exception):
    """The call was answered before; carries that answer."""

    def __init__(self, stored: idempotency.StoredAnswer) -> None:
        super().__init__()
        self.stored = stored


class ContractView(APIView):
    """One endpoint. Subclasses set `contract` and `action` and write `get` or `post`, returning an Answer."""

    contract: ClassVar[Contract]
    action: str = ""
    content_negotiation_class = JsonNegotiation
    http_method_names = ["get", "head", "post"]
    rate_limited: ClassVar[bool] = True
    logged: bool = True
    takes_credential: ClassVar[bool] = True
    takes_body: ClassVar[bool] = True
    answer_shows_secret: bool = False
    """True where the answer holds a credential or the like: it is then stored sealed for a retry."""

    credential: Credential | None = None
    caller: limits.Caller
    """The address, and from the check of a credential on its partner."""
    body: dict[str, Any]
    raw_body: bytes = b""
    user_name: str = ""
    subject: UUID | None = None
    """Id of the client the call is about, once known."""
    answer_code: str = ""
    successes: int | None = None
    failures: int | None = None
    _request_id: int | None = None
    _idempotent: IdempotentAnswer | None = None

    @property
    def partner(self) -> Partner | None:
        return self.credential.partner if self.credential else None

    @property
    def request_id(self) -> int:
        """This call's id; taken from the sequence at first use."""
        if self._request_id is None:
            self._request_id = request_log.next_id()
        return self._request_id

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        self.at = timezone.now()
        self.address = caller_address(request.META)
        self.caller = limits.Caller(None, limiting_key(self.address))
        self._started = time.perf_counter()
        try:
            return self._dispatch(request, *args, **kwargs)
        finally:
            self._free_body(request)

    def _dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        response = cast(HttpResponse, super().dispatch(request, *args, **kwargs))
        if isinstance(response, Response):
            response.render()
        if self._idempotent is not None:
            self._store_answer(response)
        if self.logged:
            self.write_log(response.status_code)
        if self.rate_limited:
            for name, value in limits.headers(self.caller).items():
                response.headers[name] = value
        response.contract = self.contract.name  # type: ignore[attr-defined]
        return response

    def _free_body(self, request: Any) -> None:
        """Free the body. View, request and answer refer to each other, so what they hold stays until Python's collector
        runs, which is seldom, and by then 8 MiB a call are gigabytes."""
        self.raw_body, self.body = b"", {}
        if "_body" in request.__dict__:
            request._body, request._stream = b"", BytesIO()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.prepare(request)
        if self.takes_credential:
            self.check_credential(request)
        if self.rate_limited:
            limits.count_request(self.caller)
        if request.method == "POST" and self.takes_body and "post" in self.http_method_names:
            self.raw_body = strict_json.read_body(cast(WSGIRequest, request._request), limit=self.contract.body_limit)
            self.body = self.parsed_body()
            if "HTTP_IDEMPOTENCY_KEY" in request.META:
                self.check_idempotency_key(request)

    def parsed_body(self) -> dict[str, Any]:
        """The object that the body is. Raises BadRequest."""
        contract = self.contract
        return strict_json.parse_object(
            self.raw_body, elements=contract.elements, byte_order_mark=contract.byte_order_mark
        )

    def prepare(self, request: Request) -> None:
        """Set what every answer needs, also an error's."""
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.body = {}

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, _Replayed):
            replay = HttpResponse(exc.stored.body, status=exc.stored.status, content_type="application/json")
            replay["Idempotency-Replayed"] = "true"
            return replay
        return self._respond(self.contract.answer_to(self._as_error(exc), self))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(response, Answer):
            response = self._respond(response)
        if isinstance(response, Response):
            return super().finalize_response(request, response, *args, **kwargs)
        return response

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        raise WrongMethod(self.allowed_methods)

    def _as_error(self, exc: Exception) -> Refused:
        if isinstance(exc, Refused):
            if isinstance(exc, RateLimited):
                self.logged = False  # a flood must not fill the table
            return exc
        if isinstance(exc, (OperationalError, InterfaceError)):
            log.error("the database did not answer", extra={"action": self.action, "fault": repr(exc)[:300]})
            return Unavailable()
        user = self.user_name or (self.partner.slug if self.partner else "")
        log.exception("an internal fault", extra={"action": self.action, "route": self._route, "user": user})
        return InternalFault()

    @property
    def _route(self) -> str:
        match = self.request.resolver_match
        return match.route if match else "?"

    def _respond(self, answer: Answer) -> Response:
        self.answer_code = answer.code
        return Response(answer.body, status=answer.status, headers=dict(answer.headers))

    def check_credential(self, request: Request, *, in_body: Any = None) -> None:
        """Authenticate by the Authorization header, or else by the field of the body where a contract has one."""
        raw = header_credential(request)
        if raw is None:
            raw = in_body if isinstance(in_body, str) and in_body else None
        if raw is None:
            if self.contract.needs_credential():
                raise self._unauthorized()
            return
        try:
            self.set_credential(self.credential_of(raw))
        except (CredentialRefused, ContractNotAllowed) as fault:
            raise self._unauthorized() from fault

    def set_credential(self, credential: Credential | None) -> None:
        self.credential = credential
        self.caller = limits.Caller(credential.partner if credential else None, self.caller.address_key)

    def credential_of(self, raw: str) -> Credential:
        """Raises CredentialRefused, ContractNotAllowed."""
        credential = authenticate(raw.strip(), at=self.at, kinds=self.contract.credential_kinds)
        if self.contract.name not in credential.partner.contracts:
            raise ContractNotAllowed
        return credential

    def _unauthorized(self) -> Unauthorized:
        self.set_credential(None)
        limits.count_refused_credential(self.caller)
        return Unauthorized()

    def check_idempotency_key(self, request: Request) -> None:
        key = request.headers.get("Idempotency-Key")
        if key is None or self.partner is None:
            return
        asked = b"\n".join([str(request.method).encode(), request.path.encode(), self.raw_body])
        begun = idempotency.begin(self.partner, self.contract.name, key, asked=asked, at=self.at)
        if isinstance(begun, idempotency.StoredAnswer):
            raise _Replayed(begun)
        self._idempotent = begun

    def _store_answer(self, response: HttpResponse) -> None:
        row = self._idempotent
        if row is not None:
            try:
                idempotency.finish(
                    row, status=response.status_code, body=response.content, shows_secret=self.answer_shows_secret
                )
            except OperationalError as fault:  # the key lapses by itself; the answer is sent all the same
                log.error("an answer could not be kept", extra={"fault": repr(fault)[:300]})

    def write_log(self, status: int) -> None:
        """Write the ApiRequest row; a view that streams calls it itself, when the stream has ended."""
        request_log.write(self._request_id, self._log_row(status, self.answer_code)())

    def row_of_success(self, status: int = 200) -> RequestRow:
        """The ApiRequest row of a success, for an act that writes it with its own changes. The view then sets `logged`
        to False, once the act has returned."""
        return RequestRow(INSERT_REQUEST, self._log_row(status, ""))

    def _log_row(self, status: int, code: str) -> Callable[[], dict[str, Any]]:
        partner = self.partner
        return partial(
            request_log.row,
            contract=self.contract.name,
            partner_id=partner.pk if partner else None,
            user=self.user_name,
            action=self.action,
            status=status,
            code=code,
            address=self.address,
            started=self._started,
            at=self.at,
            subject=self.subject,
            successes=self.successes,
            failures=self.failures,
        )


class UnknownPath(ContractView):
    """Answer where no endpoint of the contract matches: the envelope's 404, for every method."""

    action = "?"
    takes_credential = False
    takes_body = False
    http_method_names = ["get", "head", "post", "put", "patch", "delete", "options", "trace"]

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        self.http_method_names = [str(request.method).lower()]
        setattr(self, str(request.method).lower(), self._raise_not_found)
        return super().dispatch(request, *args, **kwargs)

    def _raise_not_found(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        raise NoSuchPath
