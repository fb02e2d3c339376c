"""View of the one endpoint of contract 1. Its order: docs/contracts/nopasanada.md, Order of checks."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from django.http import HttpRequest, StreamingHttpResponse

from clients.errors import ContractNotAllowed, CredentialRefused
from clients.models import Credential, Partner
from external_api.frontdoor import limits, strict_json
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.exports import Export, stream
from external_api.frontdoor.views import ContractView, UnknownPath, header_credential
from external_api.nopasanada import bulk, queries
from external_api.nopasanada.contract import (
    MAX_ROWS,
    NOPASANADA,
    ClientsRequired,
    TooManyClients,
    UserRequired,
    WrongAction,
    envelope,
    stamp,
)
from external_api.nopasanada.serializers import emails_of

WRITES = ("alta", "baja")
LARGE_BODY = 64 * 1024
"""Bytes of a body whose token is searched first: an unauthenticated caller's megabytes are not decoded."""
_TOKEN = re.compile(rb'"token"\s{0,20}:\s{0,20}"([\w.-]{1,500})"', re.ASCII)


class RequestView(ContractView):
    contract = NOPASANADA
    http_method_names = ["post"]

    def initial(self, request: HttpRequest) -> None:
        """Authenticate by the header before the body is decoded, or else by the body."""
        if request.method != "POST":
            return
        if header_credential(request) is not None:
            self.check_credential(request)
            limits.count_request(self.caller)
            self._read_raw_body(request)
            self._decode_body()
        else:
            self._read_body_with_token(request)
        self.user_name = _user(self.body.get("usuario"))
        self.action = _action(self.body.get("solicitud"))
        if self.action in WRITES:
            self.check_idempotency_key(request)

    def _read_body_with_token(self, request: HttpRequest) -> None:
        """Count the call as its address's before it is decoded; once the token is valid, as its partner's instead."""
        anonymous = self.caller
        limits.count_request(anonymous)
        self._read_raw_body(request)
        valid = self._valid_tokens() if len(self.raw_body) > LARGE_BODY else {}
        if len(self.raw_body) > LARGE_BODY and not valid:
            raise self._unauthorized()
        self._decode_body()
        token = self.body.get("token")
        credential = valid.get(token) if isinstance(token, str) else None
        if credential is None:
            self.check_credential(request, in_body=token)
        else:
            self.set_credential(credential)
        limits.give_back_request(anonymous)
        limits.count_request(self.caller)

    def _read_raw_body(self, request: HttpRequest) -> None:
        self.raw_body = strict_json.read_body(request, limit=self.contract.body_limit)

    def _decode_body(self) -> None:
        self.body = self.parsed_body()

    def _valid_tokens(self) -> dict[str, Credential]:
        """Valid tokens among the texts after a `"token":`; the decoded body must still name the same one."""
        found = [match[1].decode() for match in _TOKEN.finditer(self.raw_body)]
        valid = {}
        for raw in {*found[:2], *found[-2:]}:  # beside the contract's own, rows may have a field of that name
            with suppress(CredentialRefused, ContractNotAllowed):
                valid[raw] = self.credential_of(raw)
        return valid

    def post(self, request: HttpRequest) -> Any:
        assert self.partner is not None, "initial() refuses a call without a credential"  # noqa: S101  narrows the type
        return self.HANDLERS[self.action](self, self.partner)

    def _alta(self, partner: Partner) -> Answer:
        limits.check_room(self.caller)
        return self._counted(bulk.alta(partner, self._rows(), request_id=self.request_id, at=self.at))

    def _baja(self, partner: Partner) -> Answer:
        return self._counted(bulk.baja(partner, self._rows(), request_id=self.request_id, at=self.at))

    def _clientes_autorizados(self, partner: Partner) -> StreamingHttpResponse:
        return self._streamed(partial(queries.clients, partner, self._filter()))

    def _mensajes_enviados(self, partner: Partner) -> StreamingHttpResponse:
        emails = self._filter()
        days = queries.whole_days(self.body.get("fecha_desde"), self.body.get("fecha_hasta"))
        return self._streamed(partial(queries.messages, partner, days, emails))

    HANDLERS: ClassVar[dict[str, Callable[["RequestView", Partner], Any]]] = {
        "alta": _alta,
        "baja": _baja,
        "clientes_autorizados": _clientes_autorizados,
        "mensajes_enviados": _mensajes_enviados,
    }
    """Method by `solicitud`."""

    def _rows(self) -> list[Any]:
        rows = self.body.get("clientes")
        if not isinstance(rows, list) or not rows:
            raise ClientsRequired
        if len(rows) > MAX_ROWS:
            raise TooManyClients
        return rows

    def _filter(self) -> list[str] | None:
        """The addresses asked for; None for all. An empty array filters nothing
        (docs/contracts/nopasanada.md, Open points)."""
        rows = self.body.get("clientes")
        if rows is None or rows == []:
            return None
        if not isinstance(rows, list):
            raise ClientsRequired
        if len(rows) > MAX_ROWS:
            raise TooManyClients
        return emails_of(rows)

    def _counted(self, results: dict[str, Any]) -> Answer:
        """Answer 200 when all rows succeeded, 207 when some did, 400 when none did
        (docs/contracts/nopasanada.md, Answers)."""
        self.successes, self.failures = results["cuenta_exitos"], results["cuenta_fallos"]
        status = 200 if not self.failures else 207 if self.successes else 400
        return Answer(status, envelope(self.request_id, results, at=self.at))

    def _streamed(self, make: Callable[[], Export]) -> StreamingHttpResponse:
        """Stream `data` first, `cuenta` last: it is known when the rows are out."""
        head = json.dumps({"id_solicitud": self.request_id, "timestamp": stamp(self.at)})[:-1]
        export = make()

        def tail(count: int) -> bytes:
            self.successes = count
            return b'],"cuenta":%d}}' % count

        self.logged = False  # the log row is written when the stream has ended, with its count
        body = stream(
            export, head=(head + ',"resultados":{"data":[').encode(), tail=tail, done=lambda: self.write_log(200)
        )
        return StreamingHttpResponse(body, content_type="application/json")


class NotFoundView(UnknownPath):
    contract = NOPASANADA


def _user(value: Any) -> str:
    """Any non-blank string or number, as given."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise UserRequired


def _action(value: Any) -> str:
    if isinstance(value, str) and value in RequestView.HANDLERS:
        return value
    raise WrongAction
