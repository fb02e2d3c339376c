"""API for partners: access, and the table of its errors as problem documents (RFC 9457).

Source: docs/contracts/partners.md. It is ours, beside the three published contracts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clients.errors import Refused
from clients.events.feed import CursorGone
from clients.twins import MOST_KEYS, TooManyTestKeys, TwinHasNoTwin
from external_api.frontdoor import errors, request_log
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.headers import error_headers
from external_api.models import PARTNERS_API
from webhooks.errors import TooManyEndpoints, UntriedTest
from webhooks.models import Endpoint

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView

PROBLEM_JSON = "application/problem+json"
"""Media type of an error (RFC 9457, section 3)."""


class NoSuchResource(Refused):
    """There is nothing under this id, or it is another partner's."""


@dataclass(frozen=True)
class Problem:
    """One kind of error: `code` for programs, `title` for people, `detail` of one without words of its own."""

    status: int
    code: str
    title: str
    detail: str


class TestKeyRequired(Refused):
    """A live key was used for what only a test key may do."""


TABLE: Mapping[type[Refused], Problem] = {
    errors.BadRequest: Problem(400, "invalid_request", "Solicitud incorrecta", ""),
    errors.InvalidFields: Problem(
        400, "invalid_parameter", "Parámetro incorrecto", "Uno o más parámetros no son válidos."
    ),
    errors.Unauthorized: Problem(
        401, "unauthorized", "No autorizado", "El token o JWT falta, es desconocido, venció o fue revocado."
    ),
    TestKeyRequired: Problem(
        403, "test_key_required", "Hace falta una credencial de prueba", "Solo con una de prueba."
    ),
    TwinHasNoTwin: Problem(
        403,
        "live_key_required",
        "Hace falta una credencial de producción",
        "Con una credencial de prueba no se emiten otras.",
    ),
    errors.NoSuchPath: Problem(404, "no_such_path", "No encontrado", "La ruta no existe."),
    NoSuchResource: Problem(404, "not_found", "No encontrado", "No hay nada de su empresa con ese id."),
    errors.WrongMethod: Problem(405, "method_not_allowed", "Método no permitido", "La ruta no acepta este método."),
    CursorGone: Problem(
        410, "cursor_gone", "Cursor vencido", "Ya no están todos los eventos que siguen. Continúe con `oldest`."
    ),
    TooManyEndpoints: Problem(
        409, "too_many_webhooks", "Demasiados webhooks", f"Ya tiene {Endpoint.MOST} webhooks. Borre uno."
    ),
    UntriedTest: Problem(409, "test_pending", "Prueba pendiente", "La prueba anterior aún no se envió."),
    errors.IdempotencyConflict: Problem(
        409,
        "idempotency_key_in_use",
        "Conflicto de idempotencia",
        "La primera solicitud con esta clave sigue en curso.",
    ),
    TooManyTestKeys: Problem(
        409,
        "too_many_test_keys",
        "Demasiadas credenciales de prueba",
        f"Su empresa tiene {MOST_KEYS} credenciales de prueba vigentes, o le falta poco. Pida que se revoque alguna.",
    ),
    errors.TooLarge: Problem(413, "too_large", "Solicitud demasiado grande", "El cuerpo supera el límite."),
    errors.WrongMediaType: Problem(
        415, "unsupported_media_type", "Formato no admitido", "El cuerpo debe ser application/json en UTF-8."
    ),
    errors.CompressedBody: Problem(
        415,
        "unsupported_encoding",
        "Formato no admitido",
        "El cuerpo debe enviarse sin comprimir, sin Content-Encoding.",
    ),
    errors.RateLimited: Problem(
        429, "rate_limited", "Demasiadas solicitudes", "Se superó el límite permitido. Intente más tarde."
    ),
    errors.InternalFault: Problem(
        500, "internal_error", "Error interno", "Ocurrió un error inesperado. Intente más tarde."
    ),
    errors.Unavailable: Problem(
        503, "unavailable", "Servicio no disponible", "El servicio no está disponible. Intente en unos segundos."
    ),
}


KEY_OF_ANOTHER_REQUEST = Problem(
    422, "idempotency_key_reused", "Conflicto de idempotencia", "La clave ya se usó con otra solicitud."
)


class Partners:
    """Any live credential of a partner, whatever contracts it has."""

    name: str = PARTNERS_API
    body_limit: int = 64 * 1024
    elements: int = 10_000
    byte_order_mark: bool = False
    credential_kinds: tuple[str, ...] = ("opaque", "jwt")
    error_media_type: str = PROBLEM_JSON

    def needs_credential(self) -> bool:
        return True

    def answer_to(self, error: Refused, view: "ContractView | None") -> Answer:
        problem = TABLE[type(error)]
        more: dict[str, Any] = {}
        if isinstance(error, errors.IdempotencyConflict) and not error.running:
            problem = KEY_OF_ANOTHER_REQUEST
        detail = problem.detail
        match error:
            case errors.BadRequest():
                detail = error.detail
            case errors.InvalidFields():
                more = {"errors": error.faults}
            case CursorGone():
                more = {"oldest": str(error.oldest)}
        body = {
            "type": f"urn:aval:problem:{problem.code}",
            "title": problem.title,
            "status": problem.status,
            "detail": detail,
            "code": problem.code,
            "request_id": request_log.id_in_answer(error, view),
            **more,
        }
        return Answer(problem.status, body, error_headers(error), code=type(error).__name__, content_type=PROBLEM_JSON)


PARTNERS = Partners()
