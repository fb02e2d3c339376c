"""Headers that the answers of all contracts have (`external_api.traces`, `external_api.frontdoor.limits.headers`)."""

from typing import Any

from external_api.openapi.forms import Named

_REQUEST_ID: dict[str, Any] = {
    "description": "Identifica esta llamada en nuestros registros. Cítelo al pedir soporte.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "required": True,
    "example": "5f2b8c1e9a7d4c3fb0a1d2e3f4051627",
}
_POLICY: dict[str, Any] = {
    "description": "El límite de quien llama: `q` solicitudes cada `w` segundos "
    "(draft-ietf-httpapi-ratelimit-headers-10). Falta solo si la solicitud no llegó a su ruta.",
    "schema": {"type": "string", "pattern": '^"requests";q=[0-9]+;w=60$'},
    "example": '"requests";q=600;w=60',
}
_STATE: dict[str, Any] = {
    "description": "Lo que queda del límite: `r` solicitudes, y `t` segundos hasta que haya más. Una orientación; "
    "falta cuando no se conoce.",
    "schema": {"type": "string", "pattern": '^"requests";r=[0-9]+;t=[0-9]+$'},
    "example": '"requests";r=598;t=42',
}
BEFORE_THE_VIEW = (400, 413, 500, 503)
"""Statuses that a middleware answers with, too, before a caller is known."""


def of_every_answer(status: int, *, rate_limited: bool) -> dict[str, Any]:
    """Headers of each answer with this status; `rate_limited` endpoints state their limit as well."""
    found = {"Request-Id": Named("Request-Id", _REQUEST_ID, kind="headers")}
    if rate_limited:
        policy = {**_POLICY, "required": status not in BEFORE_THE_VIEW}
        found["RateLimit-Policy"] = Named("RateLimit-Policy", policy, general=_POLICY, kind="headers")
        found["RateLimit"] = Named("RateLimit", _STATE, kind="headers")
    return found
