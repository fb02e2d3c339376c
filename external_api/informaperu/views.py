"""Partner endpoints of contract 2: parse, call the domain, answer.

Their order: docs/contracts/informaperu.md, Order of checks.
"""

import re
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from clients.errors import ApplicantNotFound
from external_api.frontdoor import limits
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.errors import InvalidFields
from external_api.frontdoor.fields import checked
from external_api.frontdoor.views import ContractView, UnknownPath
from external_api.informaperu.contract import INFORMAPERU
from external_api.informaperu.presenters import cooldown_block, reuse_warning
from external_api.informaperu.serializers import CodeRequest, Registration
from messaging.models import Via
from tokens import services
from tokens.errors import TriesUsedUp, WrongCode
from tokens.models import CODE_LIFETIME
from tokens.sql import RequestRow

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def client_id(text: str) -> UUID:
    """Parse the id in a path. A malformed one is answered as an unknown one: 404."""
    if not _UUID.fullmatch(text):
        raise ApplicantNotFound
    return UUID(text)


class InformaPeruView(ContractView):
    contract = INFORMAPERU

    def client(self, text: str) -> UUID:
        """Parse the id in the path, and note it for the request log."""
        self.subject = client_id(text)
        return self.subject

    def origin(self, *, row: RequestRow | None = None) -> services.Origin:
        return services.Origin(self.caller.partner, self.credential, known=self.known, row=row)


class ClientView(InformaPeruView):
    action = "client"
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> Answer:
        data = checked(Registration, self.body)
        limits.check_room(self.caller)
        applicant = services.register(data, origin=self.origin(), at=self.at)
        self.subject = applicant.pk
        message = "Cliente registrado correctamente, proceda a validar su número de celular"
        return Answer(201, {"message": message, "data": {"id": str(applicant.pk)}})


class TokenView(InformaPeruView):
    action = "token"
    http_method_names = ["post"]
    act_confirms_credential = True

    def post(self, request: HttpRequest, client: str) -> Answer:
        applicant_id = self.client(client)
        asked = checked(CodeRequest, self.body)
        limits.check_room(self.caller)
        put_back = limits.reserve_message(self.caller, asked["via"], at=self.at)

        def act() -> services.Requested:
            # with its row, because a message carries the id of its request (DL 1723)
            origin = self.origin(row=self.row_of_success())
            return services.request(applicant_id, **asked, origin=origin, at=self.at)

        try:
            requested = self.confirmed(act)
        except Exception:
            put_back()
            raise
        self.logged = False
        body: dict[str, Any] = {"message": f"Token generado y enviado vía {asked['via']}"}
        if requested.proved_before_by is not None:
            body["warning"] = reuse_warning(asked["via"], requested.proved_before_by)
        body["data"] = {"token_id": str(requested.token_id), "expires_in_seconds": int(CODE_LIFETIME.total_seconds())}
        return Answer(200, body)


class VerifyView(InformaPeruView):
    """A GET that changes data, as the contract has it; so HEAD is not allowed, and the answer must not be cached
    (docs/contracts/informaperu.md, Open points)."""

    action = "verify"
    answer_headers = {"Cache-Control": "no-store"}
    http_method_names = ["get"]
    act_confirms_credential = True

    def get(self, request: HttpRequest, client: str, token: str) -> Answer:
        applicant_id = self.client(client)
        tries = limits.tries_allowed(self.caller, at=self.at)

        def act() -> None:
            origin = self.origin(row=self.row_of_success())
            services.verify(applicant_id, token, tries=tries, origin=origin, at=self.at)

        try:
            self.confirmed(act)
        except (WrongCode, TriesUsedUp):
            limits.count_wrong_code(self.caller, at=self.at)
            raise
        self.logged = False
        limits.count_verified_code(self.caller, at=self.at)
        message = "Token verificado exitosamente. Registro completado."
        return Answer(200, {"message": message, "data": {"status": "VALIDADO"}})


class CancelView(InformaPeruView):
    action = "cancel"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, client: str) -> Answer:
        services.cancel(self.client(client), origin=self.origin(), at=self.at)
        return Answer(200, {"message": "Token cancelado.", "data": {"status": "CANCELADO"}})


class ExpireView(InformaPeruView):
    action = "expire"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, client: str) -> Answer:
        outcome = services.expire(self.client(client), origin=self.origin(), at=self.at)
        return Answer(200, {"message": "Expiración registrada.", "data": {"status": outcome}})


class CooldownView(InformaPeruView):
    action = "cooldown"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, client: str, via: str) -> Answer:
        applicant_id = self.client(client)
        if via not in Via.values:
            raise InvalidFields({"via": [f"Debe ser uno de: {', '.join(Via.values)}."]})
        applicant, state = services.cooldown(applicant_id, via, origin=self.origin(), at=self.at)
        free = not applicant.is_validated and applicant.locked_at is None
        return Answer(200, {"data": cooldown_block(via, state, at=self.at, open_to_requests=free)})


class NotFoundView(UnknownPath):
    contract = INFORMAPERU
