"""Contract 3 in the document: its one endpoint."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from clients.twins import TwinIsFull
from external_api.frontdoor import errors
from external_api.frontdoor.contract import Answer
from external_api.frontdoor.fields import REQUIRED
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.operations import Operation, Success, common_errors, sample_answer
from external_api.openapi.shapes import Schema, answered, asked, listed, text
from external_api.registry.contract import REGISTRY, TABLE, registered
from external_api.registry.serializers import MAX_DATA_POINTS, MAX_KEY_LENGTH, MAX_VALUE_LENGTH
from external_api.registry.views import RegistryView

TAG = "Registro de clientes externos"

EXAMPLE: dict[str, Any] = {
    "cui": "2380033370713",
    "first_name": "Juan",
    "last_name": "Pérez",
    "phone": "555-1234",
    "product_key": "ABC123",
    "product_id": "98765",
    "origin": "website",
    "client_id": "CL123456",
    "data_points": [{"key": "name", "value": "Juan"}],
}
"""Section 2 of the document."""


def _short(description: str) -> Schema:
    return text(f"{description} De 1 a 100 caracteres imprimibles.", minLength=1, maxLength=100)


_POINT: Schema = Named(
    "DatoAdicional",
    asked(
        {
            "key": text(f"De 1 a {MAX_KEY_LENGTH} caracteres, sin repetirse.", minLength=1, maxLength=MAX_KEY_LENGTH),
            "value": {
                "type": ["string", "number", "boolean", "null"],
                "maxLength": MAX_VALUE_LENGTH,
                "description": f"Texto de hasta {MAX_VALUE_LENGTH} caracteres, número, `true`, `false` o `null`. "
                "Conserva su tipo.",
            },
        },
        required=["key", "value"],
    ),
)
BODY: Schema = Named(
    "RegistroExternoSolicitud",
    asked(
        {
            "cui": text(
                "CUI de Guatemala: 13 dígitos, también en grupos con espacios o guiones; con dígito verificador, "
                "departamento y municipio correctos.",
                pattern="^[0-9](?:[ .-]*[0-9]){12}$",
            ),
            "first_name": _short("Nombres."),
            "last_name": _short("Apellidos."),
            "phone": text(
                "De 7 a 20 caracteres entre dígitos, espacios y `+ - ( )`, con al menos 7 dígitos.",
                pattern="^[0-9 +()-]{7,20}$",
            ),
            "product_key": _short("Clave del producto."),
            "product_id": _short("Id del producto."),
            "origin": _short("De dónde viene el registro."),
            "client_id": _short("El id del cliente en su sistema. El mismo `client_id` actualiza al mismo cliente."),
            "data_points": {
                **listed(_POINT, f"Opcional. Hasta {MAX_DATA_POINTS} datos, cada `key` una sola vez."),
                "type": ["array", "null"],
                "maxItems": MAX_DATA_POINTS,
            },
        },
        required=[name for name in EXAMPLE if name != "data_points"],
    ),
)

_EVENT = text("`event_` y el número de la solicitud. Cítelo al pedir soporte.", pattern="^event_[0-9]+$")


def _one_of(values: list[str]) -> Schema:
    return {"const": values[0]} if len(values) == 1 else {"enum": values}


def _header(kind: str, titles: list[str], codes: list[str]) -> Schema:
    return answered(
        {
            "title": text("Título, para mostrar.", **_one_of(titles)),
            "message": text("Explicación, para mostrar."),
            "type": text(const=kind),
            "code": text("El estado HTTP, como texto.", **_one_of(codes)),
            "event_id": _EVENT,
        }
    )


_CLIENT_ID = shapes.described(shapes.UUID, "Nuestro id del cliente; no cambia nunca.")
_SUCCESS: Schema = Named(
    "RegistroExternoRespuesta",
    answered(
        {
            "header": Named("EncabezadoDeExito", _header("success", ["Registro Exitoso"], ["200"])),
            "content": Named("RegistroExternoDatos", answered({"client_id": _CLIENT_ID})),
        }
    ),
)
_CONTENT: Schema = Named("ErrorRegistroContenido", answered({"errors": shapes.FAULTS_BY_FIELD}))


def error_schema(answers: Sequence[Answer]) -> Schema:
    headers = [answer.body["header"] for answer in answers]
    titles, codes = (sorted({header[name] for header in headers}) for name in ("title", "code"))
    shape = {"header": _error_header(titles, codes)}
    general = answered({**shape, "content": _CONTENT}, may_lack=("content",))
    if any("content" in answer.body for answer in answers):
        shape["content"] = _CONTENT
    return Named("ErrorRegistro", answered(shape), general=general)


def _error_header(titles: list[str], codes: list[str]) -> Schema:
    """Header of an error with one of these titles; published with those of the whole contract."""
    every_title, every_code = sorted({row.title for row in TABLE.values()}), {str(row.status) for row in TABLE.values()}
    other_body = sample_answer(REGISTRY, errors.IdempotencyConflict(running=False))
    general = _header("error", every_title, sorted({*every_code, str(other_body.status)}))
    for name, part in (("title", "TituloDeErrorRegistro"), ("code", "CodigoDeErrorRegistro")):
        general["properties"][name] = Named(part, general["properties"][name])
    return Named("EncabezadoDeError", _header("error", titles, codes), general=general)


REGISTRY_OPERATION = Operation(
    id="registrarClienteExterno",
    tag=TAG,
    summary="Registra o actualiza un cliente",
    description="Guarda al cliente bajo su `client_id`. El mismo `client_id` otra vez reemplaza sus datos y devuelve "
    "el mismo `content.client_id`, así que repetir la solicitud es seguro.",
    contract=REGISTRY,
    error_schema=error_schema,
    security=[{"jwtEmpresa": []}],
    body=BODY,
    body_examples={"documento": EXAMPLE},
    idempotent=True,
    successes={
        200: Success(
            "El cliente quedó registrado.",
            _SUCCESS,
            {"documento": dict(registered(UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6"), request_id=67890).body)},
        )
    },
    errors=[
        errors.InvalidFields({"cui": ["Debe tener 13 dígitos."], "first_name": [REQUIRED]}),
        errors.Unauthorized(),
        TwinIsFull(),
        *common_errors(REGISTRY, body=True, idempotent=True),
    ],
)
OPERATIONS = {RegistryView: REGISTRY_OPERATION}
