"""Shapes that the endpoints of contract 2 share: ways, operators, the cooldown, errors."""

from collections.abc import Mapping, Sequence

from clients.identity.phones import OPERATORS
from external_api.frontdoor.contract import Answer
from external_api.informaperu.contract import TABLE
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.shapes import Schema, answered, one_of_these, or_null, text
from messaging.models import Via

VIA: Schema = Named("Via", one_of_these(Via.values, "`S` SMS, `W` WhatsApp, `I` llamada (IVR), `C` correo."))
OPERATOR: Schema = Named("Operador", one_of_these(OPERATORS))
MESSAGE = text("Para mostrar.")
COOLDOWN = Named(
    "Cooldown",
    answered(
        {
            "via": VIA,
            "can_request": shapes.described(shapes.BOOLEAN, "Si puede pedir un token ahora mismo."),
            "remaining_seconds": shapes.described(shapes.COUNT, "Cuánto falta, en segundos."),
            "attempts_24h": shapes.described(
                shapes.COUNT, "Solicitudes de sus clientes que cuentan, de las últimas 24 horas."
            ),
            "next_attempt": {"type": "integer", "minimum": 1, "description": "Qué intento sería el próximo."},
            "available_at": {**or_null(shapes.MOMENT), "description": "Desde cuándo; `null` si no hay que esperar."},
        }
    ),
)
_EXTRAS: Mapping[str, Schema] = {
    "details": shapes.FAULTS_BY_FIELD,
    "ERR_INVALID_TOKEN": Named(
        "IntentosRestantes", answered({"attempts_remaining": {"type": "integer", "minimum": 1, "maximum": 4}})
    ),
    "ERR_COOLDOWN_ACTIVE": COOLDOWN,
}
_TITLE = text("Título, para mostrar.")
_ANY_ERROR = answered(
    {
        "error": _TITLE,
        "message": MESSAGE,
        "code": Named("CodigoDeErrorInformaPeru", text(enum=sorted({row.code for row in TABLE.values()}))),
        "details": shapes.FAULTS_BY_FIELD,
        "data": {
            "description": "Con `ERR_INVALID_TOKEN` los intentos que quedan, con `ERR_COOLDOWN_ACTIVE` la espera.",
            "anyOf": [_EXTRAS["ERR_INVALID_TOKEN"], COOLDOWN],
        },
    },
    may_lack=("details", "data"),
)
"""Any error of the contract."""


def error_schema(answers: Sequence[Answer]) -> Schema:
    """Schema of one status's errors: each code with the keys that its answers have beside the common three."""
    by_code: dict[str, set[str]] = {}
    for answer in answers:
        by_code.setdefault(answer.code, set()).update(set(answer.body) - {"error", "message", "code"})
    schemas = [_error(code, extras) for code, extras in sorted(by_code.items())]
    return Named("ErrorInformaPeru", schemas[0] if len(schemas) == 1 else {"oneOf": schemas}, general=_ANY_ERROR)


def _error(code: str, extras: set[str]) -> Schema:
    known = {name: _EXTRAS["details"] if name == "details" else _EXTRAS[code] for name in sorted(extras)}
    shape = {"error": _TITLE, "message": MESSAGE, "code": text(const=code), **known}
    return answered(shape, may_lack=("details",))
