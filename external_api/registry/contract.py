"""Contract 3 on one screen: who may call, the header over every answer, what each refusal is called.

Source: "Registrar un Cliente", sections 1 to 4; the texts of 200, 400 and 401 are copied from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clients.errors import Refused
from clients.models import Contract
from external_api.frontdoor import errors as door
from external_api.frontdoor import request_log
from external_api.frontdoor.contract import Answer

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView


@dataclass(frozen=True)
class Row:
    """How one refusal is told: status, `title` and `message` of its header."""

    status: int
    title: str
    message: str


_INVALID = Row(400, "Solicitud Incorrecta", "Los datos proporcionados no son válidos.")
_KEY_OF_ANOTHER = Row(422, "Conflicto de Idempotencia", "La Idempotency-Key ya se usó con otra solicitud.")

TABLE: Mapping[type[Refused], Row] = {
    door.BadRequest: _INVALID,
    door.InvalidFields: _INVALID,
    door.Unauthorized: Row(401, "No Autorizado", "El token de autenticación es inválido o ha expirado."),
    door.NoSuchPath: Row(404, "No Encontrado", "La ruta solicitada no existe."),
    door.WrongMethod: Row(405, "Método No Permitido", "La ruta no acepta este método."),
    door.IdempotencyConflict: Row(
        409, "Conflicto de Idempotencia", "La primera solicitud con esta Idempotency-Key sigue en curso."
    ),
    door.TooLarge: Row(413, "Solicitud Demasiado Grande", "El cuerpo supera el límite de 2 MiB."),
    door.WrongMediaType: Row(415, "Formato No Soportado", "El cuerpo debe ser application/json en UTF-8."),
    door.RateLimited: Row(429, "Demasiadas Solicitudes", "Se superó el límite permitido. Intente más tarde."),
    door.InternalFault: Row(500, "Error Interno", "Ocurrió un error inesperado. Intente más tarde."),
    door.Unavailable: Row(503, "Servicio No Disponible", "El servicio no está disponible. Intente en unos segundos."),
}


def header(title: str, message: str, *, kind: str, status: int, request_id: int) -> dict[str, str]:
    """The block over every answer; `code` is text, as in the document."""
    return {"title": title, "message": message, "type": kind, "code": str(status), "event_id": f"event_{request_id}"}


def registered(client: UUID, *, request_id: int) -> Answer:
    title, message = "Registro Exitoso", "El cliente ha sido registrado correctamente."
    above = header(title, message, kind="success", status=200, request_id=request_id)
    return Answer(200, {"header": above, "content": {"client_id": str(client)}})


class Registry:
    """JWTs only, and always."""

    name: str = Contract.REGISTRY.value
    body_limit: int = 2 * 1024 * 1024
    elements: int = 10_000  # 200 data points need about 1,200
    credential_kinds: tuple[str, ...] = ("jwt",)

    def needs_credential(self) -> bool:
        return True

    def refuse(self, refusal: Refused, view: "ContractView | None") -> Answer:
        row = TABLE[type(refusal)]
        headers: dict[str, str] = {}
        content: dict[str, Any] = {}
        match refusal:
            case door.BadRequest():  # no field of the body is to blame
                content = {"content": {"errors": {"request": [refusal.detail]}}}
            case door.InvalidFields():
                content = {"content": {"errors": refusal.faults}}
            case door.IdempotencyConflict(running=False):
                row = _KEY_OF_ANOTHER
            case door.WrongMethod():
                headers = {"Allow": ", ".join(refusal.allowed)}
            case door.Unauthorized():
                headers = {"WWW-Authenticate": "Bearer"}
            case door.RateLimited() | door.Unavailable():
                headers = {"Retry-After": str(refusal.retry_after)}
        number = request_log.number_for(refusal, view)
        above = header(row.title, row.message, kind="error", status=row.status, request_id=number)
        return Answer(row.status, {"header": above, **content}, headers, code=type(refusal).__name__)


REGISTRY = Registry()
