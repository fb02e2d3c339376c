"""API for partners in the document."""

from collections.abc import Mapping, Sequence
from typing import Any

from clients.events.feed import MOST, Cursor, CursorGone
from clients.events.models import EventType
from clients.models import Contract, Credential
from external_api.frontdoor import errors
from external_api.frontdoor.contract import Answer
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.informaperu import path_parameter
from external_api.openapi.informaperu_shapes import VIA
from external_api.openapi.operations import Operation, Success, common_errors, in_query
from external_api.openapi.shapes import Schema, answered, listed, one_of_these, or_null, text
from external_api.partners.contract import KEY_OF_ANOTHER_REQUEST, PARTNERS, TABLE, NoSuchResource
from external_api.partners.presenters import OUTCOMES, STATES
from external_api.partners.serializers import GROUPS
from external_api.partners.usage import COLUMNS
from external_api.partners.views import EventsView, MessageView, MeView, UsageView, VerificationView
from messaging.models import Message, Via
from messaging.reasons import Reason

TAG = "Eventos y consultas"
_SECURITY: Sequence[Mapping[str, list[str]]] = [{"tokenEmpresa": []}, {"jwtEmpresa": []}]
MOMENT = {"type": "string", "format": "date-time", "description": "ISO 8601, UTC."}
MAYBE_MOMENT = or_null(MOMENT)
_MASKED = text("Destino tapado, como `9•• ••• 321` o `j•••@dominio.com`.")
_A_CURSOR = str(Cursor("9f2c4e6a8b0d1f35", 901342, 77120))
_MESSAGE_ID, _TOKEN_ID = "01a226c4-68fa-7257-bd4a-8bf20a4aca44", "01a226c4-68f1-7aa0-93b2-5d0c1e7f2a90"
_CLIENT_ID = "5b0d6f0e-7a3c-4e0b-9a64-2f1f0b8f4c11"
AT = "2026-11-29T15:04:05.123456Z"

_REASON = {
    **or_null(Named("Motivo", one_of_these([str(each) for each in Reason]))),
    "description": "Por qué no llegó o no se verificó; `null` mientras puede llegar, o si llegó.",
}
_LIMIT = Named(
    "Limite",
    answered(
        {
            "limit": {**or_null(shapes.COUNT), "description": "Cuánto se permite; `null` si no hay límite."},
            "remaining": {**or_null(shapes.COUNT), "description": "Lo que queda; `null` si no se conoce."},
        }
    ),
)
_PARTNER: Schema = Named(
    "EmpresaPropia",
    answered(
        {
            "name": shapes.STRING,
            "slug": shapes.STRING,
            "test": shapes.described(shapes.BOOLEAN, "Si la credencial es de prueba."),
            "contracts": listed(one_of_these(Contract.values), "Los contratos que puede usar."),
            "limits": Named(
                "LimitesPropios",
                answered({"requests_per_minute": _LIMIT, **{f"messages_per_day_{via}": _LIMIT for via in Via.values}}),
            ),
            "keys": listed(
                Named(
                    "CredencialPropia",
                    answered(
                        {
                            "prefix": text("Con qué comienza."),
                            "kind": one_of_these(Credential.Kind.values),
                            "created_at": MOMENT,
                            "last_used_at": MAYBE_MOMENT,
                            "expires_at": MAYBE_MOMENT,
                            "is_this_one": shapes.described(shapes.BOOLEAN, "Si es la de esta llamada."),
                        }
                    ),
                ),
                "Las credenciales vigentes, la más nueva primero.",
            ),
        }
    ),
)
_MESSAGE: Schema = Named(
    "MensajeDeEmpresa",
    answered(
        {
            "id": shapes.UUID,
            "kind": one_of_these(Message.Kind.values),
            "via": VIA,
            "to": _MASKED,
            "state": one_of_these(STATES.values()),
            "reason": _REASON,
            "attempts": shapes.described(shapes.COUNT, "Cuántas veces se entregó a un proveedor."),
            "verification_id": or_null(shapes.UUID),
            "created_at": MOMENT,
            "sent_at": MAYBE_MOMENT,
            "delivered_at": MAYBE_MOMENT,
        }
    ),
)
_VERIFICATION: Schema = Named(
    "Verificacion",
    answered(
        {
            "id": shapes.described(shapes.UUID, "El `token_id` de InformaPerú."),
            "client_id": shapes.UUID,
            "via": VIA,
            "to": _MASKED,
            "outcome": one_of_these(OUTCOMES.values()),
            "reason": _REASON,
            "wrong_attempts": shapes.COUNT,
            "created_at": MOMENT,
            "expires_at": MOMENT,
            "finished_at": MAYBE_MOMENT,
            "messages": listed(_MESSAGE, "Del más antiguo al más nuevo."),
        }
    ),
)
_USAGE: Schema = Named(
    "Uso",
    answered(
        {
            "from": shapes.DATE,
            "to": shapes.DATE,
            "by": one_of_these(GROUPS),
            "rows": listed(
                Named(
                    "FilaDeUso",
                    answered(
                        {
                            "day": shapes.DATE,
                            "via": VIA,
                            "outcome": one_of_these(sorted({*STATES.values(), *OUTCOMES.values()})),
                            **{name: shapes.COUNT for name in COLUMNS},
                        },
                        may_lack=GROUPS,
                    ),
                ),
                "Una por día, vía o resultado, según `by`.",
            ),
            "missing": listed(shapes.DATE, "Días que aún se cuentan: vuelva a preguntar en unos minutos."),
        }
    ),
)
_EVENT: Schema = Named(
    "Evento",
    answered(
        {
            "id": text("Único. Un evento repetido tiene el mismo.", pattern="^evt_[0-9]+$"),
            "type": Named("TipoDeEvento", one_of_these(EventType.values)),
            "subject": text("De quién o de qué: el id de un código, un mensaje o un cliente, o el `id_solicitud`."),
            "at": MOMENT,
            "data": Named("DatosDeEvento", {"type": "object", "additionalProperties": True}),
            "test": shapes.described(shapes.BOOLEAN, "Si es de una credencial de prueba."),
        }
    ),
)
_FEED: Schema = Named(
    "PaginaDeEventos",
    answered(
        {
            "events": listed(_EVENT, "En su orden.", maxItems=MOST),
            "next": text("Cursor para la página siguiente; guárdelo después de procesar esta."),
            "up_to_date": shapes.described(shapes.BOOLEAN, "Si ya no hay más por leer."),
        }
    ),
)
_SHOWN_MESSAGE: dict[str, Any] = {
    "id": _MESSAGE_ID,
    "kind": "verificacion",
    "via": "S",
    "to": "9•• ••• 321",
    "state": "sent",
    "reason": None,
    "attempts": 1,
    "verification_id": _TOKEN_ID,
    "created_at": AT,
    "sent_at": AT,
    "delivered_at": None,
}
_SHOWN_VERIFICATION: dict[str, Any] = {
    "id": _TOKEN_ID,
    "client_id": _CLIENT_ID,
    "via": "S",
    "to": "9•• ••• 321",
    "outcome": "verified",
    "reason": None,
    "wrong_attempts": 1,
    "created_at": AT,
    "expires_at": AT,
    "finished_at": AT,
    "messages": [_SHOWN_MESSAGE],
}
_SHOWN_FEED: dict[str, Any] = {
    "events": [
        {
            "id": "evt_77120",
            "type": "verification.sent",
            "subject": _TOKEN_ID,
            "at": AT,
            "data": {"message_id": _MESSAGE_ID, "kind": "verificacion", "via": "S", "to": "9•• ••• 321"},
            "test": False,
        }
    ],
    "next": _A_CURSOR,
    "up_to_date": True,
}
_SHOWN_USAGE: dict[str, Any] = {
    "from": "2026-11-01",
    "to": "2026-11-29",
    "by": "day",
    "rows": [{"day": "2026-11-28", **dict(zip(COLUMNS, (412, 377, 398, 371, 362), strict=True))}],
    "missing": [],
}
_SHOWN_PARTNER: dict[str, Any] = {
    "name": "Financiera Andina",
    "slug": "financiera-andina",
    "test": False,
    "contracts": ["informaperu"],
    "limits": {
        "requests_per_minute": {"limit": 600, "remaining": 598},
        **{f"messages_per_day_{via}": {"limit": 10_000, "remaining": 9_877} for via in Via.values},
    },
    "keys": [
        {
            "prefix": "aB3x",
            "kind": "opaque",
            "created_at": AT,
            "last_used_at": AT,
            "expires_at": None,
            "is_this_one": True,
        }
    ],
}

_EXTRAS: dict[str, Schema] = {
    "errors": shapes.FAULTS_BY_FIELD,
    "oldest": text("Cursor con el que se sigue: el primer evento que se conserva."),
}


def _problem(codes: Sequence[str], statuses: Sequence[int], extras: Sequence[str]) -> Schema:
    return answered(
        {
            "type": one_of_these([f"urn:aval:problem:{code}" for code in codes]),
            "title": text("Título, para mostrar."),
            "status": {"type": "integer", "enum": list(statuses)},
            "detail": text("Explicación, para mostrar."),
            "code": one_of_these(codes),
            "request_id": shapes.described(shapes.INTEGER, "El número de la solicitud. Cítelo al pedir soporte."),
            **{name: _EXTRAS[name] for name in extras},
        },
        may_lack=tuple(extras),
    )


def error_schema(answers: Sequence[Answer]) -> Schema:
    """Schema of one status's problems; published as that of every problem of the API."""
    codes = sorted({answer.body["code"] for answer in answers})
    extras = [name for name in _EXTRAS if any(name in answer.body for answer in answers)]
    problems = [*TABLE.values(), KEY_OF_ANOTHER_REQUEST]
    every = sorted({problem.code for problem in problems})
    general = _problem(every, sorted({problem.status for problem in problems}), list(_EXTRAS))
    general["properties"]["code"] = Named("CodigoDeProblema", general["properties"]["code"])
    general["properties"]["type"] = text("`urn:aval:problem:` y el código.", pattern="^urn:aval:problem:[a-z_]+$")
    return Named("ErrorDeEmpresa", _problem(codes, sorted({a.status for a in answers}), extras), general=general)


def written(name: str, properties: dict[str, Schema], *required: str) -> Schema:
    """A named body of a write. Other fields are refused."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return Named(name, {**schema, "required": list(required)} if required else schema)


NO_FIELDS = written("SinCampos", {})
UNKNOWN_FIELD = errors.InvalidFields({"url": ["No es un campo de este recurso."]})
"""Example of the answer to a field that a body must not have."""


def operation(
    id: str,
    summary: str,
    description: str,
    success: Success,
    *,
    status: int = 200,
    parameters: Sequence[Schema] = (),
    errors_: Sequence[Any] = (),
    allow: tuple[str, ...] = ("GET", "HEAD"),
    tag: str = TAG,
    **written: Any,
) -> Operation:
    """An operation of this API; `written` are `body`, `body_examples`, `body_required` and `idempotent` of a write."""
    return Operation(
        id=id,
        tag=tag,
        summary=summary,
        description=description,
        contract=PARTNERS,
        error_schema=error_schema,
        security=_SECURITY,
        parameters=parameters,
        successes={status: success},
        errors=[
            *errors_,
            errors.Unauthorized(),
            *common_errors(PARTNERS, body="body" in written, idempotent=written.get("idempotent", False)),
        ],
        allow=allow,
        **written,
    )


KEPT = ("Cache-Control",)
ME = operation(
    "miEmpresa",
    "Qué puede hacer su empresa",
    "Nombre, contratos, límites con lo que queda de ellos hoy, y credenciales vigentes con su último uso.",
    Success("La empresa de la credencial.", _PARTNER, {"empresa": _SHOWN_PARTNER}, KEPT),
)
MESSAGE = operation(
    "mensajePropio",
    "Qué pasó con un mensaje",
    "Un código, boletín o alerta de su empresa, por el `message_id` de un evento. Nunca muestra el código.",
    Success("El mensaje.", _MESSAGE, {"codigo": _SHOWN_MESSAGE}, KEPT),
    parameters=[path_parameter("message", shapes.STRING, "El id del mensaje.", _MESSAGE_ID)],
    errors_=[NoSuchResource()],
)
VERIFICATION = operation(
    "verificacionPropia",
    "Qué pasó con un código",
    "Un código que pidió su empresa, por su `token_id`, con sus mensajes. Nunca muestra el código.",
    Success("La verificación.", _VERIFICATION, {"verificada": _SHOWN_VERIFICATION}, KEPT),
    parameters=[path_parameter("verification", shapes.STRING, "El `token_id` que devolvió InformaPerú.", _TOKEN_ID)],
    errors_=[NoSuchResource()],
)
USAGE = operation(
    "usoPropio",
    "Cuánto usó su empresa",
    "Mensajes y códigos por día, vía o resultado, con los días de Lima. Sin `from`, desde el primer día del mes de "
    "`to`; sin `to`, hasta hoy. Hasta 366 días. Mientras corre una consulta de su empresa, otra se responde 503.",
    Success("Las cuentas.", _USAGE, {"dias": _SHOWN_USAGE}, KEPT),
    parameters=[
        in_query("from", "El primer día.", shapes.DATE),
        in_query("to", "El último día, incluido.", shapes.DATE),
        in_query("by", "Por qué se agrupa.", {**one_of_these(GROUPS), "default": GROUPS[0]}),
    ],
    errors_=[errors.InvalidFields({"from": ["No es un día como 2026-11-29."]})],
)
EVENTS = operation(
    "eventos",
    "Lo que pasó, en orden y sin huecos",
    "Una página de los eventos que siguen a `after`. Guarde `next` cuando haya procesado la página y pida desde ahí la "
    "siguiente: ningún evento se pierde. Con `up_to_date` no hay más; `Retry-After` dice cuándo volver. Los eventos se "
    "conservan 30 días, salvo que la instalación diga otra cosa.",
    Success("Una página, que puede estar vacía.", _FEED, {"pagina": _SHOWN_FEED}, KEPT),
    parameters=[
        in_query(
            "after", "El `next` de la página anterior; sin él, desde el primer evento que se conserva.", shapes.STRING
        ),
        in_query("types", "Tipos separados por comas; sin él, todos.", shapes.STRING),
        in_query("limit", "Cuántos como máximo.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 100}),
    ],
    errors_=[
        errors.InvalidFields({"limit": [f"Asegúrese de que este valor sea menor o igual a {MOST}."]}),
        CursorGone(Cursor("9f2c4e6a8b0d1f35", 0, 0)),
    ],
)
OPERATIONS = {MeView: ME, UsageView: USAGE, MessageView: MESSAGE, VerificationView: VERIFICATION, EventsView: EVENTS}
