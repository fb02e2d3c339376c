"""Base view of all contracts' endpoints: authenticate, limit, parse, act, answer in the contract's envelope.

The order: credential, limits, method, body, Idempotency-Key, the endpoint itself. Contract 1, which may have its
credential in the body, has its own (docs/contracts/nopasanada.md, Order of checks). Errors of the front door and of the
domain are answered by the contract's own table.
"""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db import Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.views import APIView

from clients import request_id
from clients.client_ip import caller_address, limiting_key
from clients.credentials import Known, authenticate, known
from clients.errors import ContractNotAllowed, CredentialChanged, CredentialRefused, Refused
from clients.models import Credential, Partner
from external_api.frontdoor import idempotency, limits, request_log, strict_json
from external_api.frontdoor.contract import Answer, Contract
from external_api.frontdoor.errors import InternalFault, NoSuchPath, RateLimited, Unauthorized, Unavailable, WrongMethod
from external_api.frontdoor.json_response import json_response
from external_api.models import IdempotentAnswer
from external_api.sql import INSERT_REQUEST
from tokens.sql import RequestRow

log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

METHODS_WITH_BODY = ("POST", "PATCH")
"""Methods that write what their body says. An Idempotency-Key has an effect on them alone."""


def header_credential(request: HttpRequest) -> str | None:
    """The credential after `Bearer` in the Authorization header; None for another scheme, or no header."""
    scheme, _, raw = str(request.META.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    return raw if scheme.lower() == "bearer" else None


class _Replayed(Exception):
    """The call was answered before; carries that answer."""

    def __init__(self, stored: idempotency.StoredAnswer) -> None:
        super().__init__()
        self.stored = stored


class ContractView(APIView):
    """One endpoint. Subclasses set `contract` and `action` and write `get` or `post`, returning an Answer.

    It is an APIView for the OpenAPI document, which finds endpoints by that. Of DRF's dispatch nothing is used: a
    contract has one format whatever Accept says (406 is in none of their tables), and credentials, errors and limits of
    its own.
    """

    contract: ClassVar[Contract]
    action: str = ""
    answer_headers: ClassVar[Mapping[str, str]] = {}
    """Headers of each answer of this endpoint, also of an error."""
    http_method_names = ["get", "head", "post"]
    rate_limited: ClassVar[bool] = True
    logged: bool = True
    takes_credential: ClassVar[bool] = True
    takes_body: ClassVar[bool] = True
    act_confirms_credential: ClassVar[bool] = False
    """True where the act takes `known` and compares its version with the database's (see `confirmed`). The credential
    is then taken from memory, and every answer but that of a success is preceded by a look into the database."""
    answer_shows_secret: bool = False
    """True where the answer holds a credential or the like: it is then stored sealed for a retry."""

    credential: Credential | None = None
    known: Known | None = None
    """The credential, while it is only known from memory and may have ended."""
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
    _raw_credential: str = ""
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
        self.body = {}
        self._started = time.perf_counter()
        try:
            return self._dispatch(request, *args, **kwargs)
        finally:
            self._free_body(request)

    def _dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = self._answered(request, *args, **kwargs)
        for name, value in self.answer_headers.items():
            response.headers[name] = value
        if self._idempotent is not None:
            self._store_answer(response)
        if self.logged:
            self.write_log(response.status_code)
        if self.rate_limited:
            for name, value in limits.headers(self.caller).items():
                response.headers[name] = value
        response.contract = self.contract.name  # type: ignore[attr-defined]
        partner, subject = self.partner, self.subject
        request_id.note(
            partner=partner.slug if partner else None,
            client=str(subject) if subject else None,
            id_solicitud=self._request_id,
        )
        return response

    def _answered(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            self.initial(request)
            method = str(request.method).lower()
            handler = getattr(self, method, None) if method in self.http_method_names else None
            if handler is None:
                raise WrongMethod(self.allowed_methods)
            answer = handler(request, *args, **kwargs)
        except Exception as exc:  # noqa: BLE001  each has its answer, and what is not the caller's fault is logged
            return self.handle_exception(exc)
        return self._respond(answer) if isinstance(answer, Answer) else answer

    def _free_body(self, request: Any) -> None:
        """Free the body. View, request and answer refer to each other, so what they hold stays until Python's collector
        runs, which is seldom, and by then 8 MiB a call are gigabytes."""
        self.raw_body, self.body = b"", {}
        if "_body" in request.__dict__:
            request._body, request._stream = b"", BytesIO()

    def initial(self, request: HttpRequest) -> None:
        """Check everything that comes before the endpoint itself. Raises the errors of the front door."""
        if self.takes_credential:
            self.check_credential(request)
        if self.rate_limited:
            limits.count_request(self.caller)
        if request.method in METHODS_WITH_BODY and self.takes_body and request.method.lower() in self.http_method_names:
            self.raw_body = strict_json.read_body(request, limit=self.contract.body_limit)
            self.body = self.parsed_body()
            if "HTTP_IDEMPOTENCY_KEY" in request.META:
                self.check_idempotency_key(request)

    def parsed_body(self) -> dict[str, Any]:
        """The object that the body is. Raises BadRequest."""
        contract = self.contract
        return strict_json.parse_object(
            self.raw_body, elements=contract.elements, byte_order_mark=contract.byte_order_mark
        )

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        try:
            self.confirm_credential()
        except (Refused, Error) as fault:
            exc = fault
        if isinstance(exc, _Replayed):
            kind = "application/json" if exc.stored.status < 400 else self.contract.error_media_type
            replay = HttpResponse(exc.stored.body, status=exc.stored.status, content_type=kind)
            replay["Idempotency-Replayed"] = "true"
            return replay
        return self._respond(self.contract.answer_to(self._as_error(exc), self))

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

    def _respond(self, answer: Answer) -> HttpResponse:
        self.answer_code = answer.code
        return json_response(answer)

    def check_credential(self, request: HttpRequest, *, in_body: Any = None) -> None:
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
        raw = raw.strip()
        found = known(raw, at=self.at) if self.act_confirms_credential else None
        if found is None or not self._allows(found.credential):
            return self._authenticated(raw)
        self.known, self._raw_credential = found, raw
        return found.credential

    def _authenticated(self, raw: str) -> Credential:
        credential = authenticate(raw, at=self.at, kinds=self.contract.credential_kinds)
        if not self._allows(credential):
            raise ContractNotAllowed
        return credential

    def _allows(self, credential: Credential) -> bool:
        contract = self.contract
        return credential.kind in contract.credential_kinds and contract.name in credential.partner.contracts

    def confirm_credential(self) -> None:
        """Authenticate by the database, where the credential is only known from memory. Raises Unauthorized,
        RateLimited."""
        if self.known is None:
            return
        self.known = None
        try:
            self.set_credential(self._authenticated(self._raw_credential))
        except (CredentialRefused, ContractNotAllowed) as fault:
            raise self._unauthorized() from fault

    def confirmed(self, act: Callable[[], _Result]) -> _Result:
        """Result of an act that compares the version of `known`; of a second one where that has changed.

        Raises Unauthorized, RateLimited, and what the act raises.
        """
        try:
            result = act()
        except CredentialChanged:
            self.confirm_credential()
            return act()
        self.known = None
        return result

    def _unauthorized(self) -> Unauthorized:
        self.set_credential(None)
        limits.count_refused_credential(self.caller)
        return Unauthorized()

    def check_idempotency_key(self, request: HttpRequest) -> None:
        key = request.headers.get("Idempotency-Key")
        if key is None or self.partner is None:
            return
        self.confirm_credential()
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

    def _raise_not_found(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        raise NoSuchPath
