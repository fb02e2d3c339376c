"""Contract 1 in the document: one endpoint, four requests, distinguished by `solicitud`."""

from collections.abc import Sequence
from typing import Any

from clients.identity.documents import DOCUMENT_TYPES
from external_api.frontdoor import errors
from external_api.frontdoor.contract import Answer
from external_api.nopasanada import contract
from external_api.nopasanada.contract import MAX_ROWS, NOPASANADA, envelope
from external_api.nopasanada.serializers import EMAIL_NOT_FOUND, FAULTS, NUMBER_INVALID
from external_api.nopasanada.views import RequestView
from external_api.openapi import shapes
from external_api.openapi.operations import AT, NUMBER, Operation, Success, common_errors
from external_api.openapi.shapes import Schema, answered, asked, listed, optional, text

TAG = "NoPasaNadaPE"

# --- requests -----------------------------------------------------------------------------------------------

_USER: Schema = {
    "type": ["string", "number"],
    "description": "Quién hace la solicitud, según lo acordado. Cualquier texto que no esté en blanco, o un número.",
}
_TOKEN: Schema = text(
    "El token, para quien no puede enviar la cabecera `Authorization`. Si van los dos, vale la cabecera."
)
_EMAIL: Schema = text("Dirección de correo; se guarda y se devuelve en minúsculas.", maxLength=254)
_CLIENT: Schema = asked(
    {
        "nombre": optional("De 5 a 50 letras, espacios, apóstrofos, guiones y puntos."),
        "tipo_documento": optional(f"{', '.join(DOCUMENT_TYPES)}. Va junto con `numero_documento`."),
        "numero_documento": optional("DNI: 8 dígitos. CE: 9 dígitos. PASAPORTE: de 6 a 12 letras y dígitos."),
        "celular": optional("Exactamente 9 dígitos."),
        "codigo_externo": text("El código del cliente en su sistema. Puede repetirse.", minLength=1, maxLength=100),
        "perfil": text("Para segmentar envíos.", minLength=1, maxLength=100),
        "correo": _EMAIL,
    },
    required=["codigo_externo", "perfil", "correo"],
)
_ADDRESS: Schema = asked({"correo": _EMAIL}, required=["correo"])
_DAY = "Día de Lima, AAAA-MM-DD, incluido. Sin él, o con `null` o texto vacío, no hay límite."


def _request(action: str, **more: Schema) -> Schema:
    rows_needed = ["clientes"] if action in ("alta", "baja") else []
    schema = asked(
        {"token": _TOKEN, "usuario": _USER, "solicitud": text(const=action), **more},
        required=["usuario", "solicitud", *rows_needed],
    )
    return {"title": action, **schema}


_FILTER = {
    **listed(_ADDRESS, "Opcional. Si tiene filas, solo se responde por esos correos."),
    "type": ["array", "null"],
    "maxItems": MAX_ROWS,
}
_ROWS = f"De 1 a {MAX_ROWS} filas."
BODY: Schema = {
    "oneOf": [
        _request("alta", clientes=listed(_CLIENT, _ROWS, minItems=1, maxItems=MAX_ROWS)),
        _request("baja", clientes=listed(_ADDRESS, _ROWS, minItems=1, maxItems=MAX_ROWS)),
        _request("clientes_autorizados", clientes=_FILTER),
        _request("mensajes_enviados", fecha_desde=optional(_DAY), fecha_hasta=optional(_DAY), clientes=_FILTER),
    ]
}
EXAMPLES: dict[str, Any] = {
    "alta": {
        "solicitud": "alta",
        "usuario": "MAQ-001",
        "clientes": [
            {
                "nombre": "Juan Pérez",
                "tipo_documento": "DNI",
                "numero_documento": "12345678",
                "celular": "987654321",
                "codigo_externo": "CLI-001",
                "perfil": "VIP3",
                "correo": "juan.perez@dominio.com",
            },
            {
                "nombre": "",
                "tipo_documento": "CE",
                "numero_documento": "0123456780",
                "celular": "",
                "codigo_externo": "CLI-001",
                "perfil": "REGULAR7",
                "correo": "jose.lopez@dominio.com",
            },
        ],
    },
    "baja": {
        "solicitud": "baja",
        "usuario": "admin",
        "clientes": [{"correo": "juan.perez@dominio.com"}, {"correo": "jose.lopez@dominio.com"}],
    },
    "mensajes_enviados": {"solicitud": "mensajes_enviados", "usuario": "MAQ-003"},
    "mensajes_enviados entre fechas": {
        "solicitud": "mensajes_enviados",
        "usuario": "MAQ-002",
        "fecha_desde": "2024-01-01",
        "fecha_hasta": "2024-12-31",
    },
    "clientes_autorizados": {"solicitud": "clientes_autorizados", "usuario": "MAQ-003"},
}
"""The document's own examples, their token moved into the header."""

# --- answers ------------------------------------------------------------------------------------------------


def _enveloped(results: Schema) -> Schema:
    number = shapes.described(shapes.COUNT, "El número de esta solicitud; 0 si la base de datos no responde.")
    return answered({"id_solicitud": number, "resultados": results, "timestamp": shapes.STAMP})


_INDEX = shapes.described(shapes.COUNT, "La posición de la fila en `clientes`, desde 0.")


def _rows(*, good: Schema, bad: Schema) -> Schema:
    """The results of alta and baja, with so many valid and invalid rows."""
    return _enveloped(
        answered(
            {
                "cuenta_exitos": {**shapes.COUNT, **good},
                "cuenta_fallos": {**shapes.COUNT, **bad},
                "exitos": listed(answered({"correo": text(), "indice": _INDEX})),
                "fallos": listed(
                    answered({"errores": listed(text(enum=list(FAULTS)), minItems=1), "indice": _INDEX}),
                    "Cada fila que no se procesó, con todos sus errores.",
                ),
            }
        )
    )


_NONE: Schema = {"const": 0}
_SOME: Schema = {"minimum": 1}


def _listing(row: dict[str, Schema]) -> Schema:
    return _enveloped(answered({"cuenta": shapes.COUNT, "data": listed(answered(row))}))


_CLIENTS = _listing(
    {
        "celular": text("9 dígitos, o vacío."),
        "codigo_cliente": text("El `codigo_externo` del alta."),
        "correo": text(),
        "id_solicitud": shapes.described(shapes.INTEGER, "La solicitud de alta."),
        "nombre": text(),
        "numero_documento": text(),
        "perfil": text(),
        "timestamp_creado": shapes.STAMP,
        "tipo_documento": text(enum=["", *DOCUMENT_TYPES]),
        "suscrito": shapes.described(
            shapes.BOOLEAN, "Si el cliente completó su suscripción y no se dio de baja de ella."
        ),
    }
)
_MESSAGES = _listing(
    {
        "direccion_correo": text(),
        "timestamp_envio": shapes.STAMP,
        "respuesta_mensaje": text(
            "`error`: rechazado, o no llegó; si después se sabe que llegó, `ok`.", enum=["ok", "error"]
        ),
        "asunto": text(),
        "tipo_mensaje": text(enum=["boletin", "alerta"]),
    }
)


def _shown(results: dict[str, Any]) -> dict[str, Any]:
    return envelope(NUMBER, results, at=AT)


def error_schema(answers: Sequence[Answer]) -> Schema:
    described = sorted({answer.body["resultados"]["error"] for answer in answers})
    return _enveloped(answered({"error": text(enum=described)}))


_GOOD_ROW = {"correo": "juan.perez@dominio.com", "indice": 0}
SUCCESSES = {
    200: Success(
        "Operación exitosa. En alta y baja: todas las filas se procesaron.",
        {"anyOf": [_rows(good=_SOME, bad=_NONE), _CLIENTS, _MESSAGES]},
        {
            "baja": _shown({"cuenta_exitos": 1, "cuenta_fallos": 0, "exitos": [_GOOD_ROW], "fallos": []}),
            "clientes_autorizados": _shown(
                {
                    "cuenta": 1,
                    "data": [
                        {
                            "celular": "",
                            "codigo_cliente": "MAQ-007",
                            "correo": "lucho@gmail.com",
                            "id_solicitud": 5,
                            "nombre": "Luis Caceres",
                            "numero_documento": "10025687",
                            "perfil": "VIP9",
                            "timestamp_creado": "2025-12-10 23:08:23.771669",
                            "tipo_documento": "DNI",
                            "suscrito": True,
                        }
                    ],
                }
            ),
            "mensajes_enviados": _shown(
                {
                    "cuenta": 1,
                    "data": [
                        {
                            "direccion_correo": "juna66@kudimi.com",
                            "timestamp_envio": "2025-12-14 19:57:41.077390",
                            "respuesta_mensaje": "ok",
                            "asunto": "Tu Boletín de No Pasa Nada PE - Diciembre 2025",
                            "tipo_mensaje": "boletin",
                        }
                    ],
                }
            ),
        },
    ),
    207: Success(
        "Resultado mixto de alta o baja: unas filas se procesaron y otras no.",
        _rows(good=_SOME, bad=_SOME),
        {
            "alta": _shown(
                {
                    "cuenta_exitos": 1,
                    "cuenta_fallos": 1,
                    "exitos": [_GOOD_ROW],
                    "fallos": [{"errores": [NUMBER_INVALID], "indice": 1}],
                }
            )
        },
    ),
    400: Success(
        "Ninguna fila de alta o baja se procesó (`resultados` tiene la forma de siempre), o la solicitud está mal "
        "hecha (`resultados.error`):",
        _rows(good=_NONE, bad=_SOME),
        {
            "baja": _shown(
                {
                    "cuenta_exitos": 0,
                    "cuenta_fallos": 1,
                    "exitos": [],
                    "fallos": [{"errores": [EMAIL_NOT_FOUND], "indice": 0}],
                }
            )
        },
    ),
}

OPERATIONS = {
    RequestView: Operation(
        id="solicitud",
        tag=TAG,
        summary="Alta, baja y consultas",
        description="Una sola ruta; `solicitud` dice qué se pide. La credencial se revisa antes que los campos, y "
        "estos en orden: `usuario`, `solicitud`, `clientes`. `Idempotency-Key` vale para `alta` y `baja`.",
        contract=NOPASANADA,
        error_schema=error_schema,
        security=[{"tokenEmpresa": []}, {}],
        body=BODY,
        body_examples=EXAMPLES,
        idempotent=True,
        successes=SUCCESSES,
        errors=[
            errors.Unauthorized(),
            contract.UserRequired(),
            contract.WrongAction(),
            contract.ClientsRequired(),
            contract.TooManyClients(),
            contract.WrongDate(),
            *common_errors(NOPASANADA, body=True, idempotent=True),
        ],
    )
}
