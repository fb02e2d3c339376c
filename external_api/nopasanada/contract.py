"""Contract 1: access, envelope, and the table of errors.

Source: "Documento de Integración API NoPasaNadaPE v1"; the texts are copied from it, where it prints them.
Statuses and texts: docs/contracts/nopasanada.md, Answers.
What the document leaves open: docs/contracts/nopasanada.md, Open points.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from clients.errors import Refused
from clients.local_time import LIMA
from clients.models import Contract
from clients.twins import TwinIsFull
from external_api.frontdoor import errors, request_log
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.headers import error_headers

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView

MAX_ROWS = 10_000


class UserRequired(Refused):
    """`usuario` is missing or blank."""


class WrongAction(Refused):
    """`solicitud` is missing or none of the four."""


class ClientsRequired(Refused):
    """`clientes` is missing, empty or no array where rows are needed, or of another type where it filters."""


class TooManyClients(Refused):
    """More than 10,000 rows."""


class WrongDate(Refused):
    """Not YYYY-MM-DD, no day of the calendar, or from after until."""


TABLE: Mapping[type[Refused], tuple[int, str]] = {
    errors.BadRequest: (400, "JSON incorrecto."),
    errors.InvalidFields: (400, "JSON incorrecto."),
    errors.Unauthorized: (401, "Token incorrecto."),
    UserRequired: (400, "Usuario requerido."),
    WrongAction: (404, "Solicitud incorrecta."),
    ClientsRequired: (400, "Clientes requeridos."),
    TooManyClients: (400, "Demasiados clientes."),
    WrongDate: (400, "Fecha Invalida."),
    errors.NoSuchPath: (404, "Ruta no encontrada."),
    errors.WrongMethod: (405, "Metodo no permitido."),
    errors.IdempotencyConflict: (409, "Idempotency-Key en uso."),
    errors.TooLarge: (413, "Solicitud demasiado grande."),
    errors.WrongMediaType: (415, "El cuerpo debe ser application/json en UTF-8."),
    errors.CompressedBody: (415, "El cuerpo debe enviarse sin comprimir, sin Content-Encoding."),
    errors.RateLimited: (429, "Demasiadas solicitudes."),
    TwinIsFull: (429, "Datos de prueba llenos."),
    errors.InternalFault: (500, "Error interno."),
    errors.Unavailable: (503, "Servicio no disponible."),
}


def stamp(moment: datetime) -> str:
    """`YYYY-MM-DD hh:mm:ss.dddddd` in Lima, always six decimals."""
    return moment.astimezone(LIMA).strftime("%Y-%m-%d %H:%M:%S.%f")


def envelope(request_id: int, results: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
    return {"id_solicitud": request_id, "resultados": results, "timestamp": stamp(at)}


class NoPasaNada:
    """Opaque tokens only, in the header or in the body; the header wins."""

    name: str = Contract.NOPASANADA.value
    body_limit: int = 8 * 1024 * 1024
    elements: int = 400_000  # 10,000 full rows need 160,000
    byte_order_mark: bool = True
    credential_kinds: tuple[str, ...] = ("opaque",)
    error_media_type: str = "application/json"

    def needs_credential(self) -> bool:
        return True

    def answer_to(self, error: Refused, view: "ContractView | None") -> Answer:
        status, text = TABLE[type(error)]
        if isinstance(error, errors.IdempotencyConflict) and not error.running:
            status, text = 422, "Idempotency-Key usada con otra solicitud."
        at = view.at if view is not None else timezone.now()
        body = envelope(request_log.id_in_answer(error, view), {"error": text}, at=at)
        return Answer(status, body, error_headers(error), code=type(error).__name__)


NOPASANADA = NoPasaNada()
