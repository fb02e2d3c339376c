"""Contract 1 in the document: one endpoint, four requests, distinguished by `solicitud`."""

from collections.abc import Sequence
from typing import Any

from clients.identity.documents import DOCUMENT_TYPES
from clients.twins import TwinIsFull
from external_api.frontdoor import errors
from external_api.frontdoor.contract import Answer
from external_api.nopasanada import contract
from external_api.nopasanada.contract import MAX_ROWS, NOPASANADA, envelope
from external_api.nopasanada.serializers import EMAIL_NOT_FOUND, FAULTS, NUMBER_INVALID
from external_api.nopasanada.views import RequestView
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.operations import AT, NUMBER, Operation, Success, common_errors, sample_answer
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
_CLIENT: Schema = Named(
    "ClienteDeAlta",
    asked(
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
    ),
)
_ADDRESS: Schema = Named("CorreoDeCliente", asked({"correo": _EMAIL}, required=["correo"]))
_DAY = "Día de Lima, AAAA-MM-DD, incluido. Sin él, o con `null` o texto vacío, no hay límite."


def _request(action: str, **more: Schema) -> Named:
    rows_needed = ["clientes"] if action in ("alta", "baja") else []
    schema = asked(
        {"token": _TOKEN, "usuario": _USER, "solicitud": text(const=action), **more},
        required=["usuario", "solicitud", *rows_needed],
    )
    return Named(f"{''.join(word.capitalize() for word in action.split('_'))}Solicitud", schema)


_FILTER = {
    **listed(_ADDRESS, "Opcional. Si tiene filas, solo se responde por esos correos."),
    "type": ["array", "null"],
    "maxItems": MAX_ROWS,
}
_ROWS = f"De 1 a {MAX_ROWS} filas."
_REQUESTS = {
    "alta": _request("alta", clientes=listed(_CLIENT, _ROWS, minItems=1, maxItems=MAX_ROWS)),
    "baja": _request("baja", clientes=listed(_ADDRESS, _ROWS, minItems=1, maxItems=MAX_ROWS)),
    "clientes_autorizados": _request("clientes_autorizados", clientes=_FILTER),
    "mensajes_enviados": _request(
        "mensajes_enviados", fecha_desde=optional(_DAY), fecha_hasta=optional(_DAY), clientes=_FILTER
    ),
}
_ONE_REQUEST: Schema = {"oneOf": list(_REQUESTS.values())}
BODY: Schema = Named(
    "Solicitud",
    _ONE_REQUEST,
    general={
        **_ONE_REQUEST,
        "discriminator": {
            "propertyName": "solicitud",
            "mapping": {action: f"#/components/schemas/{schema.name}" for action, schema in _REQUESTS.items()},
        },
    },
)
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


def _enveloped(name: str, results: Schema) -> Schema:
    number = shapes.described(shapes.COUNT, "El número de esta solicitud; 0 si la base de datos no responde.")
    shape = answered({"id_solicitud": number, "resultados": results, "timestamp": shapes.STAMP})
    return Named(name, shape)


_INDEX = shapes.described(shapes.COUNT, "La posición de la fila en `clientes`, desde 0.")


def _rows(*, good: Schema, bad: Schema) -> Schema:
    """The answer to alta and baja, with so many valid and invalid rows."""
    results = Named("AltaBajaResultados", _row_results(good, bad), general=_row_results({}, {}))
    return _enveloped("AltaBajaRespuesta", results)


_GOOD: Schema = Named("FilaProcesada", answered({"correo": text(), "indice": _INDEX}))
_FAULT: Schema = Named("FallaDeFila", text(enum=list(FAULTS)))
_BAD: Schema = Named("FilaFallida", answered({"errores": listed(_FAULT, minItems=1), "indice": _INDEX}))


def _row_results(good: Schema, bad: Schema) -> Schema:
    return answered(
        {
            "cuenta_exitos": {**shapes.COUNT, **good},
            "cuenta_fallos": {**shapes.COUNT, **bad},
            "exitos": listed(_GOOD),
            "fallos": listed(_BAD, "Cada fila que no se procesó, con todos sus errores."),
        }
    )


_NONE: Schema = {"const": 0}
_SOME: Schema = {"minimum": 1}


_AUTHORIZED: Schema = Named(
    "ClienteAutorizado",
    answered(
        {
            "celular": text("9 dígitos, o vacío."),
            "codigo_cliente": text("El `codigo_externo` del alta."),
            "correo": text(),
            "id_solicitud": shapes.described(shapes.INTEGER, "La solicitud de alta."),
            "nombre": text(),
            "numero_documento": text(),
            "perfil": text(),
            "timestamp_creado": shapes.STAMP,
            "tipo_documento": Named("TipoDocumentoGuardado", text(enum=["", *DOCUMENT_TYPES])),
            "suscrito": shapes.described(
                shapes.BOOLEAN, "Si el cliente completó su suscripción y no se dio de baja de ella."
            ),
        }
    ),
)
_SENT: Schema = Named(
    "MensajeEnviado",
    answered(
        {
            "direccion_correo": text(),
            "timestamp_envio": shapes.STAMP,
            "respuesta_mensaje": text(
                "`error`: rechazado, o no llegó; si después se sabe que llegó, `ok`.", enum=["ok", "error"]
            ),
            "asunto": text(),
            "tipo_mensaje": text(enum=["boletin", "alerta"]),
        }
    ),
)
# One schema for both queries: an answer without rows does not say which of the two was asked.
_LISTING: Schema = _enveloped(
    "ListaRespuesta",
    Named(
        "ListaResultados",
        answered(
            {
                "cuenta": shapes.COUNT,
                "data": {
                    "description": "Filas de `clientes_autorizados` o de `mensajes_enviados`, según lo pedido.",
                    "anyOf": [
                        {"title": "ClientesAutorizados", **listed(_AUTHORIZED)},
                        {"title": "MensajesEnviados", **listed(_SENT)},
                    ],
                },
            }
        ),
    ),
)


def _shown(results: dict[str, Any]) -> dict[str, Any]:
    return envelope(NUMBER, results, at=AT)


def error_schema(answers: Sequence[Answer]) -> Schema:
    described = sorted({answer.body["resultados"]["error"] for answer in answers})
    words = Named("TextoDeErrorNoPasaNada", text(enum=described), general=text(enum=_all_errors()))
    return _enveloped("ErrorNoPasaNada", Named("ErrorNoPasaNadaResultados", answered({"error": words})))


def _all_errors() -> list[str]:
    other_body = sample_answer(NOPASANADA, errors.IdempotencyConflict(running=False))
    return sorted({words for _, words in contract.TABLE.values()} | {other_body.body["resultados"]["error"]})


_GOOD_ROW = {"correo": "juan.perez@dominio.com", "indice": 0}
SUCCESSES = {
    200: Success(
        "Operación exitosa. En alta y baja: todas las filas se procesaron.",
        {"anyOf": [_rows(good=_SOME, bad=_NONE), _LISTING]},
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
            TwinIsFull(),
            *common_errors(NOPASANADA, body=True, idempotent=True),
        ],
    )
}
