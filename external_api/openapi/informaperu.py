"""Contract 2 in the document: the partner endpoints. Those of staff are in `staff`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from clients import errors as client_errors
from clients.errors import Refused
from clients.twins import TwinIsFull
from external_api.frontdoor import errors
from external_api.frontdoor.fields import REQUIRED
from external_api.frontdoor.views import ContractView
from external_api.informaperu import views
from external_api.informaperu.contract import INFORMAPERU
from external_api.informaperu.presenters import cooldown_block
from external_api.informaperu.status import StatusView
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.informaperu_shapes import COOLDOWN, MESSAGE, OPERATOR, VIA, error_schema
from external_api.openapi.operations import AT, Operation, Success, common_errors
from external_api.openapi.shapes import Schema, answered, asked, optional, text
from messaging.models import Via
from tokens import errors as token_errors
from tokens.cooldown import CooldownState
from tokens.models import CODE_LIFETIME, VerificationToken

TAG = "InformaPeru"
A_CLIENT = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_SECONDS = int(CODE_LIFETIME.total_seconds())

REGISTRATION: dict[str, Any] = {
    "tipo_documento": "DNI",
    "documento": "12345678",
    "digito_verificador": "9",
    "nombres": "Juan",
    "apellido_paterno": "Perez",
    "apellido_materno": "Gomez",
    "correo": "juan.perez@example.com",
    "departamento": "LIMA",
    "provincia": "LIMA",
    "distrito": "MIRAFLORES",
}
SMS = {"telefono": "987654321", "operador": "MOVISTAR", "via": "S"}
"""The document's own examples."""

# --- requests -----------------------------------------------------------------------------------------------

_NAME = "Letras, espacios, apóstrofos, guiones y puntos, hasta 80."
_PLACE = "Debe existir junto con los otros dos; no importan mayúsculas ni tildes, y se leen otras formas usuales."
_REGISTRATION_BODY = Named(
    "RegistroSolicitud",
    asked(
        {
            "tipo_documento": shapes.DOCUMENT_TYPE,
            "documento": text(
                "DNI: 8 dígitos. CE: 9 dígitos. PASAPORTE: de 6 a 12 letras y dígitos.", minLength=6, maxLength=12
            ),
            "digito_verificador": optional("Obligatorio con DNI: un dígito, o una letra de la A a la K.", maxLength=1),
            "nombres": text(_NAME, minLength=1, maxLength=80),
            "apellido_paterno": text(_NAME, minLength=1, maxLength=80),
            "apellido_materno": optional(f"Opcional. {_NAME}", maxLength=80),
            "correo": text("Dirección de correo; se guarda en minúsculas.", maxLength=254),
            "departamento": text(_PLACE, minLength=1, maxLength=100),
            "provincia": text(_PLACE, minLength=1, maxLength=100),
            "distrito": text(_PLACE, minLength=1, maxLength=100),
        },
        required=[name for name in REGISTRATION if name not in ("digito_verificador", "apellido_materno")],
    ),
)
_TOKEN_BODY = Named(
    "TokenSolicitud",
    asked(
        {
            "via": VIA,
            "telefono": optional("Obligatorio salvo con `C`: 9 dígitos, el primero 9."),
            "operador": {
                "description": "Obligatorio salvo con `C`.",
                "anyOf": [OPERATOR, {"title": "Vacio", "type": ["string", "null"], "enum": ["", None]}],
            },
        },
        required=["via"],
    ),
)
_NO_BODY: Schema = Named("CuerpoOpcional", {"type": "object", "description": "Opcional; nada de él se lee."})


def path_parameter(name: str, schema: Schema, description: str, example: str) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema,
        "description": description,
        "example": example,
    }


CLIENT = path_parameter("client", {"type": "string", "minLength": 1}, "El UUID que devolvió el registro.", A_CLIENT)
CODE = path_parameter(
    "token",
    {"type": "string", "minLength": 1},
    "El código de 4 caracteres, en mayúsculas o minúsculas. O se lee como 0; I y L, como 1.",
    "A1B2",
)
_VIA_PARAMETER = path_parameter("via", {"type": "string", "minLength": 1}, VIA["description"], "S")

# --- answers ------------------------------------------------------------------------------------------------

_WAIT = CooldownState(3, AT + timedelta(minutes=30))


def _client_data(name: str, **data: Schema) -> Schema:
    """An answer with its data: `{name}Respuesta` with `{name}Datos`."""
    return Named(f"{name}Respuesta", answered({"message": MESSAGE, "data": Named(f"{name}Datos", answered(data))}))


# --- endpoints ----------------------------------------------------------------------------------------------


def _operation(
    id: str,
    summary: str,
    description: str,
    *,
    own_errors: Sequence[Refused] = (),
    body: Schema | None = None,
    **more: Any,
) -> Operation:
    of_path: list[Refused] = []
    if more.get("parameters"):
        of_path = [client_errors.ApplicantNotFound(), errors.NoSuchPath()]
    if body is None:
        more["allow"] = ("GET", "HEAD") if id != "verificarCodigo" else ("GET",)
    idempotent = body is not None
    common = common_errors(INFORMAPERU, body=body is not None, idempotent=idempotent)
    opened: list[dict[str, list[str]]] = [] if INFORMAPERU.needs_credential() else [{}]
    return Operation(
        id=id,
        tag=TAG,
        summary=summary,
        description=description,
        contract=INFORMAPERU,
        error_schema=error_schema,
        security=[*opened, {"tokenEmpresa": []}, {"jwtEmpresa": []}],
        body=body,
        idempotent=idempotent,
        errors=[*own_errors, errors.Unauthorized(), *of_path, *common],
        **more,
    )


_OF_A_CLIENT = ("solicitarToken", "verificarCodigo", "cancelarToken", "registrarExpiracion", "consultarCooldown")


def _register() -> Operation:
    answer = _client_data("Registro", id=shapes.described(shapes.UUID, "El id del cliente, para las demás rutas."))
    return _operation(
        "registrarCliente",
        "Registro inicial (paso 1)",
        "Crea un cliente en estado PENDIENTE. La misma persona otra vez (tipo y número de documento), si sigue "
        "PENDIENTE, recibe el mismo id y sus datos se reemplazan.",
        body=_REGISTRATION_BODY,
        body_examples={"documento": REGISTRATION},
        successes={
            201: Success(
                "El cliente quedó registrado.",
                answer,
                {
                    "documento": {
                        "message": "Cliente registrado correctamente, proceda a validar su número de celular",
                        "data": {"id": A_CLIENT},
                    }
                },
                links={id: {"client": "$response.body#/data/id"} for id in _OF_A_CLIENT},
            )
        },
        own_errors=[
            errors.InvalidFields({"correo": ["No es un correo válido."], "nombres": [REQUIRED]}),
            client_errors.ApplicantAlreadyValidated(),
            TwinIsFull(),
        ],
    )


def _request() -> Operation:
    warning = Named("AvisoDeReuso", answered({"message": MESSAGE, "code": text(const="PHONE_REUSE_WARNING")}))
    lifetime: Schema = {"type": "integer", "const": _SECONDS}
    data = Named("TokenDatos", answered({"token_id": shapes.UUID, "expires_in_seconds": lifetime}))
    answer = answered({"message": MESSAGE, "warning": warning, "data": data}, may_lack=("warning",))
    shown = {
        "message": "Token generado y enviado vía S",
        "warning": {
            "message": "Este número ya fue validado el 12/02/2026 por JUAN PEREZ",
            "code": "PHONE_REUSE_WARNING",
        },
        "data": {"token_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "expires_in_seconds": _SECONDS},
    }
    return _operation(
        "solicitarToken",
        "Solicitud de token (paso 2)",
        f"Envía un código de 4 caracteres que vale {_SECONDS} segundos. Con `via` `C` va al correo del cliente. "
        "Reemplaza al token vigente, si lo hay. `warning` aparece solo si otra persona ya validó ese destino.",
        parameters=[CLIENT],
        body=_TOKEN_BODY,
        body_examples={"documento": SMS, "por correo": {"via": "C"}},
        successes={200: Success("El código va en camino.", Named("TokenRespuesta", answer), {"documento": shown})},
        own_errors=[
            errors.InvalidFields({"telefono": ["Debe tener 9 dígitos y comenzar con 9."]}),
            token_errors.ViaNotAvailable(),
            client_errors.ApplicantAlreadyValidated(),
            client_errors.ApplicantLocked(),
            token_errors.CooldownActive(_WAIT, via="S", at=AT),
            TwinIsFull(),
        ],
    )


def _verify() -> Operation:
    shown = {"message": "Token verificado exitosamente. Registro completado.", "data": {"status": "VALIDADO"}}
    return _operation(
        "verificarCodigo",
        "Verificación de código (paso 3)",
        f"Cada código errado cuenta, también uno mal formado: al quinto el token se anula. A los {_SECONDS} segundos "
        "exactos todavía vale. No es repetible: quien reciba un corte de red debe consultar otra vez y leer la "
        "respuesta.",
        parameters=[CLIENT, CODE],
        successes={
            200: Success(
                "El cliente quedó VALIDADO.",
                _client_data("Verificacion", status=text(const="VALIDADO")),
                {"documento": shown},
                headers=("Cache-Control",),
            )
        },
        own_errors=[
            token_errors.WrongCode(4),
            token_errors.TriesUsedUp(),
            token_errors.TokenExpired(),
            token_errors.NoPendingToken(),
            client_errors.ApplicantLocked(),
        ],
    )


def _cancel() -> Operation:
    shown = {"message": "Token cancelado.", "data": {"status": "CANCELADO"}}
    return _operation(
        "cancelarToken",
        "Cancelar token actual",
        "Invalida el token vigente. Cuenta como un intento del historial de 24 horas. El cuerpo es opcional.",
        parameters=[CLIENT],
        body=_NO_BODY,
        body_required=False,
        successes={
            200: Success(
                "El token quedó anulado.",
                _client_data("Cancelacion", status=text(const="CANCELADO")),
                {"documento": shown},
            )
        },
        own_errors=[token_errors.NoPendingToken()],
    )


def _expire() -> Operation:
    Outcome = VerificationToken.Outcome
    shown = {"message": "Expiración registrada.", "data": {"status": "SIN_RESPUESTA"}}
    status = text(
        "`SIN_RESPUESTA` si nadie probó un código; `EXPIRADO` si hubo intentos.",
        enum=[str(Outcome.NO_ANSWER), str(Outcome.EXPIRED)],
    )
    return _operation(
        "registrarExpiracion",
        "Registrar expiración",
        "Cierra un token cuyo tiempo terminó; en sus últimos 5 segundos ya responde 200. Sin esta llamada el sistema "
        "lo cierra solo. El cuerpo es opcional.",
        parameters=[CLIENT],
        body=_NO_BODY,
        body_required=False,
        successes={
            200: Success(
                "El token quedó cerrado.",
                _client_data("Expiracion", status=Named("EstadoDeExpiracion", status)),
                {"documento": shown},
            )
        },
        own_errors=[token_errors.TokenStillActive(), token_errors.NoPendingToken()],
    )


def _cooldown() -> Operation:
    return _operation(
        "consultarCooldown",
        "Consultar estado de cooldown",
        "Cuánto falta para que el cliente pueda pedir otro token por esa vía. No cambia nada.",
        parameters=[CLIENT, _VIA_PARAMETER],
        successes={
            200: Success(
                "El estado de la espera.",
                Named("CooldownRespuesta", answered({"data": COOLDOWN})),
                {
                    "sin espera": {"data": cooldown_block("S", CooldownState(0, None), at=AT)},
                    "con espera": {"data": cooldown_block("S", _WAIT, at=AT)},
                },
            )
        },
        own_errors=[errors.InvalidFields({"via": [f"Debe ser uno de: {', '.join(Via.values)}."]})],
    )


def _status() -> Operation:
    stamp = text("UTC, con milisegundos.", pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z$")
    uptime: Schema = {"type": "number", "minimum": 0, "description": "Segundos desde el arranque."}

    def state(status: str) -> Schema:
        word = Named("Estado", text(const=status), general=text(enum=["ok", "error"]))
        return Named("EstadoDelSistema", answered({"status": word, "timestamp": stamp, "uptime": uptime}))

    shown = {"status": "ok", "timestamp": "2026-02-12T15:30:00.000Z", "uptime": 360.5}
    silent = {**shown, "status": "error"}
    return Operation(
        id="estado",
        tag=TAG,
        summary="Estado del sistema",
        contract=INFORMAPERU,
        error_schema=error_schema,
        description="Si la API y su base de datos funcionan. Responde en menos de un segundo y no tiene límite de uso.",
        security=[],
        allow=("GET", "HEAD"),
        errors=[errors.InternalFault(), errors.BadRequest()],
        successes={
            200: Success("Todo funciona.", state("ok"), {"documento": shown}, headers=("Cache-Control",)),
            503: Success(
                "La base de datos no responde.",
                state("error"),
                {"sin base de datos": silent},
                headers=("Cache-Control", "Retry-After"),
            ),
        },
    )


def operations() -> dict[type[ContractView], Operation]:
    return {
        views.ClientView: _register(),
        views.TokenView: _request(),
        views.VerifyView: _verify(),
        views.CancelView: _cancel(),
        views.ExpireView: _expire(),
        views.CooldownView: _cooldown(),
        StatusView: _status(),
    }
