"""Contract 3: access, the header of every answer, and the table of errors.

Source: "Registrar un Cliente", sections 1 to 4; the texts of 200, 400 and 401 are copied from it. The others:
docs/contracts/registry.md, Answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clients.errors import Refused
from clients.models import Contract
from clients.twins import TwinIsFull
from external_api.frontdoor import errors, request_log
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.headers import error_headers

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView


@dataclass(frozen=True)
class Row:
    """Answer to one error: status, `title` and `message` of its header."""

    status: int
    title: str
    message: str


_INVALID = Row(400, "Solicitud Incorrecta", "Los datos proporcionados no son válidos.")
_KEY_OF_ANOTHER = Row(422, "Conflicto de Idempotencia", "La Idempotency-Key ya se usó con otra solicitud.")

TABLE: Mapping[type[Refused], Row] = {
    errors.BadRequest: _INVALID,
    errors.InvalidFields: _INVALID,
    errors.Unauthorized: Row(401, "No Autorizado", "El token de autenticación es inválido o ha expirado."),
    errors.NoSuchPath: Row(404, "No Encontrado", "La ruta solicitada no existe."),
    errors.WrongMethod: Row(405, "Método No Permitido", "La ruta no acepta este método."),
    errors.IdempotencyConflict: Row(
        409, "Conflicto de Idempotencia", "La primera solicitud con esta Idempotency-Key sigue en curso."
    ),
    errors.TooLarge: Row(413, "Solicitud Demasiado Grande", "El cuerpo supera el límite de 2 MiB."),
    errors.WrongMediaType: Row(415, "Formato No Soportado", "El cuerpo debe ser application/json en UTF-8."),
    errors.CompressedBody: Row(
        415, "Formato No Soportado", "El cuerpo debe enviarse sin comprimir, sin Content-Encoding."
    ),
    errors.RateLimited: Row(429, "Demasiadas Solicitudes", "Se superó el límite permitido. Intente más tarde."),
    TwinIsFull: Row(
        429, "Datos de Prueba Llenos", "La empresa de prueba no admite más filas. Vacíela con /partners/v1/test/reset."
    ),
    errors.InternalFault: Row(500, "Error Interno", "Ocurrió un error inesperado. Intente más tarde."),
    errors.Unavailable: Row(503, "Servicio No Disponible", "El servicio no está disponible. Intente en unos segundos."),
}


def header(title: str, message: str, *, kind: str, status: int, request_id: int) -> dict[str, str]:
    """The header of every answer; `code` is text, as in the document."""
    return {"title": title, "message": message, "type": kind, "code": str(status), "event_id": f"event_{request_id}"}


def registered(client: UUID, *, request_id: int) -> Answer:
    title, message = "Registro Exitoso", "El cliente ha sido registrado correctamente."
    answer_header = header(title, message, kind="success", status=200, request_id=request_id)
    return Answer(200, {"header": answer_header, "content": {"client_id": str(client)}})


class Registry:
    """JWTs only; a credential is always required (docs/contracts/registry.md, Who may call)."""

    name: str = Contract.REGISTRY.value
    body_limit: int = 2 * 1024 * 1024
    elements: int = 10_000  # 200 data points need about 1,200
    byte_order_mark: bool = True
    credential_kinds: tuple[str, ...] = ("jwt",)
    error_media_type: str = "application/json"

    def needs_credential(self) -> bool:
        return True

    def answer_to(self, error: Refused, view: "ContractView | None") -> Answer:
        row = TABLE[type(error)]
        content: dict[str, Any] = {}
        match error:
            case errors.BadRequest():  # the fault is not in one field
                content = {"content": {"errors": {"request": [error.detail]}}}
            case errors.InvalidFields():
                content = {"content": {"errors": error.faults}}
            case errors.IdempotencyConflict(running=False):
                row = _KEY_OF_ANOTHER
        number = request_log.id_in_answer(error, view)
        answer_header = header(row.title, row.message, kind="error", status=row.status, request_id=number)
        return Answer(row.status, {"header": answer_header, **content}, error_headers(error), code=type(error).__name__)


REGISTRY = Registry()
