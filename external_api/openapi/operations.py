"""Operations of the document: endpoints with their answers and errors. Status, text and headers of an error are those
that the contract itself answers with, for one sample of each error."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from clients.errors import Refused
from external_api.frontdoor import errors
from external_api.frontdoor.contract import Answer, Contract
from external_api.frontdoor.views import ContractView
from external_api.openapi.answer_headers import of_every_answer
from external_api.openapi.causes import cause_of
from external_api.openapi.shapes import Schema

AT = datetime(2025, 12, 15, 20, 45, 33, 187130, tzinfo=UTC)
"""Time of the sample errors."""
NUMBER = 67891
"""Request id of the sample errors."""

HEADERS: Mapping[str, Schema] = {
    "Retry-After": {
        "description": "Segundos que hay que esperar antes de repetir la solicitud.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Accept-Encoding": {"description": "RFC 9110, 15.5.16.", "schema": {"type": "string", "const": "identity"}},
    "Allow": {"description": "Los métodos que la ruta acepta.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string", "const": "Bearer"}},
    "Link": {"description": 'La guía para empresas, con `rel="help"` (RFC 8288).', "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "Presente cuando se repite, byte por byte, la primera respuesta a la misma Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
    "Cache-Control": {"description": "La respuesta no se guarda.", "schema": {"type": "string", "const": "no-store"}},
}
NOT_PROMISED = frozenset({"Link"})
"""Headers for people who read an answer: programs must not count on them."""
# Without an example: calls made from the reference page would all send the same key.
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Opcional. De 1 a 255 caracteres ASCII visibles, una clave nueva por operación (por ejemplo, un "
    "UUID). Repetir la solicitud con la misma clave dentro de 24 horas devuelve la primera respuesta. "
    "Sin credencial no tiene efecto.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
ERROR_SCHEMA = Callable[[Sequence[Answer]], Schema]


@dataclass(frozen=True)
class Success:
    """A documented answer: its schema (None: it has no body), its examples by name, the headers it always has."""

    description: str
    schema: Schema | None
    examples: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Operations that take a value of this answer: their id -> parameter -> JSON pointer."""


@dataclass(frozen=True)
class Operation:
    """One endpoint in the document. `errors` has a sample of each error it can answer with."""

    id: str
    tag: str
    summary: str
    description: str
    contract: Contract
    error_schema: ERROR_SCHEMA
    successes: Mapping[int, Success]
    errors: Sequence[Refused]
    security: Sequence[Mapping[str, list[str]]]
    parameters: Sequence[Schema] = ()
    body: Schema | None = None
    body_examples: Mapping[str, Any] = field(default_factory=dict)
    body_required: bool = True
    idempotent: bool = False
    allow: tuple[str, ...] = ("POST",)

    def document(self, *, rate_limited: bool) -> dict[str, Any]:
        """The Operation Object, in the strict form."""
        described: dict[str, Any] = {
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "security": list(self.security),
        }
        parameters = [*self.parameters, *([IDEMPOTENCY_KEY] if self.idempotent else [])]
        if parameters:
            described["parameters"] = parameters
        if self.body is not None:
            described["requestBody"] = {
                "required": self.body_required,
                "content": {"application/json": _content(self.body, self.body_examples)},
            }
        described["responses"] = {
            str(status): {
                **each,
                "headers": {**of_every_answer(status, rate_limited=rate_limited), **each.get("headers", {})},
            }
            for status, each in sorted(self._responses().items())
        }
        return described

    def _responses(self) -> dict[int, dict[str, Any]]:
        responses = {status: self._success(success) for status, success in self.successes.items()}
        for status, cases in self._errors_by_status().items():
            response = _error_response(cases, self.error_schema)
            if status in responses:  # contract 1 answers 400 to a request of which every row failed, too
                response = _both(responses[status], response)
            if self.idempotent and status in (400, 404):
                response["headers"] = {**response.get("headers", {}), **_headers(["Idempotency-Replayed"])}
            responses[status] = response
        return responses

    def _success(self, success: Success) -> dict[str, Any]:
        response: dict[str, Any] = {"description": success.description}
        if success.schema is not None:
            response["content"] = {"application/json": _content(success.schema, success.examples)}
        headers = _headers(success.headers, required=True)
        if self.idempotent:
            headers |= _headers(["Idempotency-Replayed"])
        if headers:
            response["headers"] = headers
        if success.links:
            response["links"] = {id: {"operationId": id, "parameters": takes} for id, takes in success.links.items()}
        return response

    def _errors_by_status(self) -> dict[int, list[tuple[Refused, Answer]]]:
        by_status: dict[int, list[tuple[Refused, Answer]]] = defaultdict(list)
        for error in (*self.errors, errors.WrongMethod(list(self.allow))):
            answer = sample_answer(self.contract, error)
            by_status[answer.status].append((error, answer))
        return by_status


def sample_answer(contract: Contract, error: Refused) -> Answer:
    """The contract's answer to an error, with a fixed id and time."""
    view = ContractView()
    view.at = AT
    view._request_id = NUMBER
    return contract.answer_to(error, view)


def _error_response(cases: Sequence[tuple[Refused, Answer]], error_schema: ERROR_SCHEMA) -> dict[str, Any]:
    answers = [answer for _, answer in cases]
    named = {f"{number}. {name_of(answer)}": answer.body for number, answer in enumerate(answers, 1)}
    everywhere = set.intersection(*(set(answer.headers) for answer in answers))
    headers = {name: spoken for answer in answers for name, spoken in _headers(answer.headers).items()}
    for name in everywhere - NOT_PROMISED:
        headers[name] = {**headers[name], "required": True}
    return {
        "description": "\n".join(f"- **{name_of(answer)}** {cause_of(error)}" for error, answer in cases),
        "content": {answers[0].content_type: _content(error_schema(answers), named)},
        **({"headers": headers} if headers else {}),
    }


def in_query(name: str, description: str, schema: Schema) -> Schema:
    """An optional parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def name_of(answer: Answer) -> str:
    """Name by which a partner's program tells errors apart: the code, the text or the title, as the contract has it."""
    body = answer.body
    if "resultados" in body:
        return str(body["resultados"]["error"])
    return f"{body['code']}." if "code" in body else f"{body['header']['title']}."


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    first, second = one["content"]["application/json"], other["content"]["application/json"]
    return {
        "description": f"{one['description']}\n\n{other['description']}",
        "content": {
            "application/json": {
                "schema": {"oneOf": [first["schema"], second["schema"]]},
                "examples": {**first["examples"], **second["examples"]},
            }
        },
    }


def _content(schema: Schema, examples: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"schema": schema, **({"examples": shown} if shown else {})}


def _headers(names: Any, *, required: bool = False) -> dict[str, Any]:
    return {name: {**HEADERS[name], **({"required": True} if required else {})} for name in names}


def common_errors(contract: Contract, *, body: bool, idempotent: bool = False) -> list[Refused]:
    """The front door's errors for any endpoint; more for those with a body, and with an Idempotency-Key."""
    unreadable = "El cuerpo debe ser un objeto JSON." if body else "La solicitud no es válida."
    found: list[Refused] = [
        errors.RateLimited(60),
        errors.InternalFault(),
        errors.Unavailable(),
        errors.BadRequest(unreadable),
    ]
    if body:
        found += [errors.TooLarge(contract.body_limit), errors.WrongMediaType(), errors.CompressedBody()]
    if idempotent:
        found += [errors.IdempotencyConflict(running=True), errors.IdempotencyConflict(running=False)]
    return found
