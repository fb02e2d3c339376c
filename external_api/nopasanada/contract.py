"""Contract 1 on one screen: one endpoint, its envelope, what each refusal is called.

Source: "Documento de Integración API NoPasaNadaPE v1"; the texts are copied from it, where it prints them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from clients.errors import Refused
from clients.models import Contract
from external_api.frontdoor import errors as door
from external_api.frontdoor import request_log
from external_api.frontdoor.contract import Answer

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView

LIMA = ZoneInfo("America/Lima")
ROWS_AT_MOST = 10_000


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
    door.BadRequest: (400, "JSON incorrecto."),
    door.InvalidFields: (400, "JSON incorrecto."),
    door.Unauthorized: (401, "Token incorrecto."),
    UserRequired: (400, "Usuario requerido."),
    WrongAction: (404, "Solicitud incorrecta."),
    ClientsRequired: (400, "Clientes requeridos."),
    TooManyClients: (400, "Demasiados clientes."),
    WrongDate: (400, "Fecha Invalida."),
    door.NoSuchPath: (404, "Ruta no encontrada."),
    door.WrongMethod: (405, "Metodo no permitido."),
    door.IdempotencyConflict: (409, "Idempotency-Key en uso."),
    door.TooLarge: (413, "Solicitud demasiado grande."),
    door.WrongMediaType: (415, "El cuerpo debe ser application/json en UTF-8."),
    door.RateLimited: (429, "Demasiadas solicitudes."),
    door.InternalFault: (500, "Error interno."),
    door.Unavailable: (503, "Servicio no disponible."),
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
    credential_kinds: tuple[str, ...] = ("opaque",)

    def needs_credential(self) -> bool:
        return True

    def refuse(self, refusal: Refused, view: "ContractView | None") -> Answer:
        status, text = TABLE[type(refusal)]
        headers: dict[str, str] = {}
        match refusal:
            case door.IdempotencyConflict(running=False):
                status, text = 422, "Idempotency-Key usada con otra solicitud."
            case door.WrongMethod():
                headers = {"Allow": ", ".join(refusal.allowed)}
            case door.Unauthorized():
                headers = {"WWW-Authenticate": "Bearer"}
            case door.RateLimited() | door.Unavailable():
                headers = {"Retry-After": str(refusal.retry_after)}
        at = view.at if view is not None else timezone.now()
        body = envelope(request_log.number_for(refusal, view), {"error": text}, at=at)
        return Answer(status, body, headers, code=type(refusal).__name__)


NOPASANADA = NoPasaNada()
