"""Contract 2: access, the shape of an answer, and the table of errors.

Source: "Documentación Técnica de la API - InformaPerú"; texts the document prints are copied from it.
Statuses and codes: docs/contracts/informaperu.md, Answers.
What the document leaves open: docs/contracts/informaperu.md, Open points.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings

from clients import errors as client_errors
from clients.errors import Refused
from clients.models import Contract
from clients.twins import TwinIsFull
from external_api.frontdoor import errors
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.headers import error_headers
from external_api.informaperu.presenters import cooldown_block
from tokens import errors as token_errors
from tokens.cooldown import format_wait

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView


class LoginRefused(Refused):
    """Wrong name or password, an unknown name, or an account that is not staff."""


class StaffForbidden(Refused):
    """Staff account without the right to see this."""


@dataclass(frozen=True)
class Row:
    """Answer to one error: status, `error`, `code`, and `message` unless DETAILS has one for it."""

    status: int
    code: str
    error: str
    message: str = ""


TABLE: Mapping[type[Refused], Row] = {
    errors.BadRequest: Row(400, "ERR_VALIDATION", "Solicitud inválida"),
    errors.InvalidFields: Row(400, "ERR_VALIDATION", "Datos inválidos", "Uno o más campos no son válidos."),
    token_errors.ViaNotAvailable: Row(400, "ERR_VALIDATION", "Datos inválidos", "Uno o más campos no son válidos."),
    errors.Unauthorized: Row(
        401, "ERR_UNAUTHORIZED", "No autorizado", "La credencial falta, es inválida o ha expirado."
    ),
    LoginRefused: Row(401, "ERR_INVALID_CREDENTIALS", "No autorizado", "Usuario o contraseña incorrectos."),
    StaffForbidden: Row(403, "ERR_FORBIDDEN", "Acceso denegado", "Su cuenta no tiene permiso para esta consulta."),
    client_errors.ApplicantNotFound: Row(
        404, "ERR_CLIENT_NOT_FOUND", "Cliente no encontrado", "No existe un cliente con ese id."
    ),
    errors.NoSuchPath: Row(404, "ERR_NOT_FOUND", "No encontrado", "La ruta solicitada no existe."),
    client_errors.ApplicantAlreadyValidated: Row(
        409, "ERR_CLIENT_ALREADY_VALIDATED", "Cliente ya validado", "El cliente ya completó su validación."
    ),
    token_errors.TokenStillActive: Row(
        409, "ERR_TOKEN_STILL_ACTIVE", "Token aún activo", "El token todavía no ha expirado."
    ),
    token_errors.CooldownActive: Row(429, "ERR_COOLDOWN_ACTIVE", "Tiempo de espera obligatorio"),
    errors.RateLimited: Row(
        429, "ERR_RATE_LIMITED", "Demasiadas solicitudes", "Se superó el límite permitido. Intente más tarde."
    ),
    TwinIsFull: Row(
        429,
        "ERR_TEST_DATA_FULL",
        "Datos de prueba llenos",
        "La empresa de prueba no admite más filas. Vacíela con /partners/v1/test/reset.",
    ),
    token_errors.WrongCode: Row(400, "ERR_INVALID_TOKEN", "Token inválido"),
    token_errors.TriesUsedUp: Row(
        400, "ERR_MAX_ATTEMPTS", "Intentos agotados", "Se agotaron los 5 intentos y el token fue invalidado."
    ),
    token_errors.TokenExpired: Row(400, "ERR_TOKEN_EXPIRED", "Token expirado", "El tiempo de 2:30 min ha expirado."),
    token_errors.NoPendingToken: Row(
        400, "ERR_NO_PENDING_TOKEN", "Sin token pendiente", "No hay tokens activos para este cliente."
    ),
    client_errors.ApplicantLocked: Row(
        403, "ERR_CLIENT_LOCKED", "Cliente bloqueado", "Demasiados códigos errados. Comuníquese con soporte."
    ),
    errors.WrongMethod: Row(405, "ERR_METHOD_NOT_ALLOWED", "Método no permitido", "La ruta no acepta este método."),
    errors.IdempotencyConflict: Row(409, "ERR_IDEMPOTENCY_CONFLICT", "Conflicto de idempotencia"),
    errors.TooLarge: Row(413, "ERR_PAYLOAD_TOO_LARGE", "Solicitud demasiado grande"),
    errors.WrongMediaType: Row(
        415, "ERR_UNSUPPORTED_MEDIA_TYPE", "Formato no soportado", "El cuerpo debe ser application/json en UTF-8."
    ),
    errors.CompressedBody: Row(
        415,
        "ERR_UNSUPPORTED_MEDIA_TYPE",
        "Formato no soportado",
        "El cuerpo debe enviarse sin comprimir, sin Content-Encoding.",
    ),
    errors.InternalFault: Row(500, "ERR_INTERNAL", "Error interno", "Ocurrió un error inesperado. Intente más tarde."),
    errors.Unavailable: Row(
        503, "ERR_UNAVAILABLE", "Servicio no disponible", "El servicio no está disponible. Intente en unos segundos."
    ),
}


@dataclass(frozen=True)
class ErrorDetail:
    """Additions of an error to its row: a message of its own, further keys, headers, another status."""

    message: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0


def _cooldown_detail(error: token_errors.CooldownActive) -> ErrorDetail:
    remaining = format_wait(error.state.remaining(at=error.at))
    block = cooldown_block(error.via, error.state, at=error.at)
    return ErrorDetail(
        message=f"Límite de intentos alcanzado. Debe esperar {remaining}.",
        more={"data": block},
        headers={"Retry-After": str(block["remaining_seconds"])},
    )


def _wrong_code_detail(error: token_errors.WrongCode) -> ErrorDetail:
    left = error.attempts_remaining
    tries = "Le queda 1 intento." if left == 1 else f"Le quedan {left} intentos."
    return ErrorDetail(message=f"El token no coincide. {tries}", more={"data": {"attempts_remaining": left}})


def _idempotency_detail(error: errors.IdempotencyConflict) -> ErrorDetail:
    if error.running:
        return ErrorDetail(message="La primera solicitud con esta Idempotency-Key sigue en curso.")
    return ErrorDetail(message="Esta Idempotency-Key ya se usó con otra solicitud.", status=422)


DETAILS: Mapping[type[Refused], Callable[[Any], ErrorDetail]] = {
    errors.BadRequest: lambda error: ErrorDetail(message=error.detail),
    errors.InvalidFields: lambda error: ErrorDetail(more={"details": error.faults}),
    token_errors.ViaNotAvailable: lambda _: ErrorDetail(more={"details": {"via": ["Esta vía no está disponible."]}}),
    token_errors.CooldownActive: _cooldown_detail,
    token_errors.WrongCode: _wrong_code_detail,
    errors.TooLarge: lambda error: ErrorDetail(message=f"El cuerpo supera el límite de {error.limit // 1024**2} MiB."),
    errors.IdempotencyConflict: _idempotency_detail,
}


class InformaPeru:
    """Open as the document shows it, or closed to all but partners: `INFORMAPERU_OPEN`
    (docs/contracts/informaperu.md, Who may call)."""

    name: str = Contract.INFORMAPERU.value
    body_limit: int = 2 * 1024 * 1024
    elements: int = 10_000
    byte_order_mark: bool = False
    credential_kinds: tuple[str, ...] = ("opaque", "jwt")
    error_media_type: str = "application/json"

    def needs_credential(self) -> bool:
        return not settings.INFORMAPERU_OPEN

    def answer_to(self, error: Refused, view: "ContractView | None") -> Answer:
        row = TABLE[type(error)]
        own = DETAILS[type(error)](error) if type(error) in DETAILS else ErrorDetail()
        body = {"error": row.error, "message": own.message or row.message, "code": row.code, **own.more}
        return Answer(own.status or row.status, body, error_headers(error) | own.headers, code=row.code)


INFORMAPERU = InformaPeru()
