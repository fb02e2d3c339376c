"""Contract 2 on one screen: who may call, what an answer looks like, what each refusal is called.

Source: "Documentación Técnica de la API - InformaPerú"; texts the document prints are copied from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings

from clients import errors as people
from clients.errors import Refused
from clients.models import Contract
from external_api.frontdoor import errors as door
from external_api.frontdoor.contract import Answer
from external_api.informaperu.presenters import cooldown_block
from tokens import errors as tokens
from tokens.cooldown import in_words

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView


class LoginRefused(Refused):
    """Wrong name or password, an unknown name, or nobody of the staff."""


class StaffForbidden(Refused):
    """One of the staff, without the right to see this."""


@dataclass(frozen=True)
class Row:
    """How one refusal is told: status, `error`, `code`, and `message` unless the refusal words its own."""

    status: int
    code: str
    error: str
    message: str = ""


TABLE: Mapping[type[Refused], Row] = {
    door.BadRequest: Row(400, "ERR_VALIDATION", "Solicitud inválida"),
    door.InvalidFields: Row(400, "ERR_VALIDATION", "Datos inválidos", "Uno o más campos no son válidos."),
    tokens.ViaNotAvailable: Row(400, "ERR_VALIDATION", "Datos inválidos", "Uno o más campos no son válidos."),
    door.Unauthorized: Row(401, "ERR_UNAUTHORIZED", "No autorizado", "La credencial falta, es inválida o ha expirado."),
    LoginRefused: Row(401, "ERR_INVALID_CREDENTIALS", "No autorizado", "Usuario o contraseña incorrectos."),
    StaffForbidden: Row(403, "ERR_FORBIDDEN", "Acceso denegado", "Su cuenta no tiene permiso para esta consulta."),
    people.ApplicantNotFound: Row(
        404, "ERR_CLIENT_NOT_FOUND", "Cliente no encontrado", "No existe un cliente con ese id."
    ),
    door.NoSuchPath: Row(404, "ERR_NOT_FOUND", "No encontrado", "La ruta solicitada no existe."),
    people.ApplicantAlreadyValidated: Row(
        409, "ERR_CLIENT_ALREADY_VALIDATED", "Cliente ya validado", "El cliente ya completó su validación."
    ),
    tokens.TokenStillActive: Row(409, "ERR_TOKEN_STILL_ACTIVE", "Token aún activo", "El token todavía no ha expirado."),
    tokens.CooldownActive: Row(429, "ERR_COOLDOWN_ACTIVE", "Tiempo de espera obligatorio"),
    door.RateLimited: Row(
        429, "ERR_RATE_LIMITED", "Demasiadas solicitudes", "Se superó el límite permitido. Intente más tarde."
    ),
    tokens.WrongCode: Row(400, "ERR_INVALID_TOKEN", "Token inválido"),
    tokens.TriesUsedUp: Row(
        400, "ERR_MAX_ATTEMPTS", "Intentos agotados", "Se agotaron los 5 intentos y el token fue invalidado."
    ),
    tokens.TokenExpired: Row(400, "ERR_TOKEN_EXPIRED", "Token expirado", "El tiempo de 2:30 min ha expirado."),
    tokens.NoPendingToken: Row(
        400, "ERR_NO_PENDING_TOKEN", "Sin token pendiente", "No hay tokens activos para este cliente."
    ),
    people.ApplicantLocked: Row(
        403, "ERR_CLIENT_LOCKED", "Cliente bloqueado", "Demasiados códigos errados. Comuníquese con soporte."
    ),
    door.WrongMethod: Row(405, "ERR_METHOD_NOT_ALLOWED", "Método no permitido", "La ruta no acepta este método."),
    door.IdempotencyConflict: Row(409, "ERR_IDEMPOTENCY_CONFLICT", "Conflicto de idempotencia"),
    door.TooLarge: Row(413, "ERR_PAYLOAD_TOO_LARGE", "Solicitud demasiado grande"),
    door.WrongMediaType: Row(
        415, "ERR_UNSUPPORTED_MEDIA_TYPE", "Formato no soportado", "El cuerpo debe ser application/json en UTF-8."
    ),
    door.InternalFault: Row(500, "ERR_INTERNAL", "Error interno", "Ocurrió un error inesperado. Intente más tarde."),
    door.Unavailable: Row(
        503, "ERR_UNAVAILABLE", "Servicio no disponible", "El servicio no está disponible. Intente en unos segundos."
    ),
}


@dataclass(frozen=True)
class Words:
    """What a refusal adds to its row: a message of its own, further keys, headers, another status."""

    message: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0


def _cooldown(refusal: tokens.CooldownActive) -> Words:
    remaining = in_words(refusal.state.remaining(at=refusal.at))
    block = cooldown_block(refusal.via, refusal.state, at=refusal.at)
    return Words(
        message=f"Límite de intentos alcanzado. Debe esperar {remaining}.",
        more={"data": block},
        headers={"Retry-After": str(block["remaining_seconds"])},
    )


def _wrong_code(refusal: tokens.WrongCode) -> Words:
    left = refusal.attempts_remaining
    tries = "Le queda 1 intento." if left == 1 else f"Le quedan {left} intentos."
    return Words(message=f"El token no coincide. {tries}", more={"data": {"attempts_remaining": left}})


def _idempotency(refusal: door.IdempotencyConflict) -> Words:
    if refusal.running:
        return Words(message="La primera solicitud con esta Idempotency-Key sigue en curso.")
    return Words(message="Esta Idempotency-Key ya se usó con otra solicitud.", status=422)


def _later(refusal: door.RateLimited | door.Unavailable) -> Words:
    return Words(headers={"Retry-After": str(refusal.retry_after)})


OWN_WORDS: Mapping[type[Refused], Callable[[Any], Words]] = {
    door.BadRequest: lambda refusal: Words(message=refusal.detail),
    door.InvalidFields: lambda refusal: Words(more={"details": refusal.faults}),
    tokens.ViaNotAvailable: lambda _: Words(more={"details": {"via": ["Esta vía no está disponible."]}}),
    tokens.CooldownActive: _cooldown,
    tokens.WrongCode: _wrong_code,
    door.TooLarge: lambda refusal: Words(message=f"El cuerpo supera el límite de {refusal.limit // 1024**2} MiB."),
    door.IdempotencyConflict: _idempotency,
    door.WrongMethod: lambda refusal: Words(headers={"Allow": ", ".join(refusal.allowed)}),
    door.Unauthorized: lambda _: Words(headers={"WWW-Authenticate": "Bearer"}),
    door.RateLimited: _later,
    door.Unavailable: _later,
}


class InformaPeru:
    """Open as the document shows it, or closed to all but partners: `INFORMAPERU_OPEN`."""

    name: str = Contract.INFORMAPERU.value
    body_limit: int = 2 * 1024 * 1024
    elements: int = 10_000
    credential_kinds: tuple[str, ...] = ("opaque", "jwt")

    def needs_credential(self) -> bool:
        return not settings.INFORMAPERU_OPEN

    def refuse(self, refusal: Refused, view: "ContractView | None") -> Answer:
        row = TABLE[type(refusal)]
        own = OWN_WORDS[type(refusal)](refusal) if type(refusal) in OWN_WORDS else Words()
        body = {"error": row.error, "message": own.message or row.message, "code": row.code, **own.more}
        return Answer(own.status or row.status, body, own.headers, code=row.code)


INFORMAPERU = InformaPeru()
