"""Staff endpoints of contract 2 in the document."""

from typing import Any

from clients import errors as client_errors
from clients.models import Applicant
from external_api.frontdoor import errors
from external_api.informaperu.contract import INFORMAPERU, LoginRefused, StaffForbidden
from external_api.informaperu.staff import ClientDetailView, ClientsView, LoginView, MessagesView
from external_api.informaperu.staff_serializers import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from external_api.informaperu.staff_tokens import TOKEN_LIFETIME
from external_api.openapi import shapes
from external_api.openapi.forms import Named
from external_api.openapi.informaperu import A_CLIENT, CLIENT
from external_api.openapi.informaperu_shapes import OPERATOR, VIA, error_schema
from external_api.openapi.operations import Operation, Success, common_errors, in_query
from external_api.openapi.shapes import Schema, answered, asked, listed, one_of_these, or_null, text
from messaging.models import Message
from tokens.models import VerificationToken

TAG = "Personal de Aval"
_TEXT = shapes.STRING
_MAYBE = or_null(_TEXT)
_MOMENT, _MAYBE_MOMENT = shapes.MOMENT, or_null(shapes.MOMENT)
_CREATED = "2026-02-12T10:30:00-05:00"


_MESSAGE_STATE: Schema = Named("EstadoDeMensaje", one_of_these(Message.State.values))
_MESSAGE_KIND: Schema = Named("TipoDeMensaje", one_of_these(Message.Kind.values))
_CLIENT_STATE: Schema = Named("EstadoDeCliente", one_of_these(Applicant.State.values))
_EVENT = Named(
    "EventoDeMensaje",
    answered(
        {"fecha": _MOMENT, "estado": _MESSAGE_STATE, "intento": shapes.COUNT, "proveedor": _MAYBE, "detalle": _MAYBE}
    ),
)
_MESSAGE: dict[str, Schema] = {
    "id": shapes.UUID,
    "empresa": _MAYBE,
    "tipo": _MESSAGE_KIND,
    "via": VIA,
    "destino": _TEXT,
    "asunto": _TEXT,
    "estado": _MESSAGE_STATE,
    "intentos": shapes.COUNT,
    "token": or_null(shapes.UUID),
    "id_solicitud": or_null(shapes.INTEGER),
    "proveedor": _MAYBE,
    "id_proveedor": _MAYBE,
    "respuesta_proveedor": _MAYBE,
    "creado": _MOMENT,
    "enviar_antes_de": _MAYBE_MOMENT,
    "enviado": _MAYBE_MOMENT,
    "entregado": _MAYBE_MOMENT,
    "eventos": listed(_EVENT, "Del más antiguo al más nuevo."),
}
_CLIENT: dict[str, Schema] = {
    "id": shapes.UUID,
    "empresa": _MAYBE,
    "tipo_documento": shapes.DOCUMENT_TYPE,
    "documento": _TEXT,
    "digito_verificador": _TEXT,
    "nombres": _TEXT,
    "apellido_paterno": _TEXT,
    "apellido_materno": _TEXT,
    "correo": _TEXT,
    "departamento": _TEXT,
    "provincia": _TEXT,
    "distrito": _TEXT,
    "estado": _CLIENT_STATE,
    "via_validada": or_null(VIA),
    "destino_validado": _MAYBE,
    "operador": or_null(OPERATOR),
    "bloqueado": _MAYBE_MOMENT,
    "creado": _MOMENT,
    "actualizado": _MOMENT,
    "validado": _MAYBE_MOMENT,
}
_COVERED = text("Con el código tapado; `null` con destinos tapados.")
_TOKEN: dict[str, Schema] = {
    "id": shapes.UUID,
    "via": VIA,
    "destino": _TEXT,
    "operador": or_null(OPERATOR),
    "resultado": Named("ResultadoDeToken", one_of_these(VerificationToken.Outcome.values)),
    "intentos_errados": shapes.COUNT,
    "creado": _MOMENT,
    "vence": _MOMENT,
    "cerrado": _MAYBE_MOMENT,
    "intento_devuelto": _MAYBE_MOMENT,
    "intento_cliente": shapes.COUNT,
    "espera_cliente_segundos": shapes.COUNT,
    "intento_destino": shapes.COUNT,
    "espera_destino_segundos": shapes.COUNT,
    "mensajes": listed(
        Named("MensajeDeToken", answered({**_MESSAGE, "texto": or_null(_COVERED)})),
        "Falta si la cuenta no puede ver mensajes.",
    ),
}
_DETAIL = Named(
    "FichaDeCliente",
    answered(
        {
            **_CLIENT,
            "codigos_errados_seguidos": shapes.COUNT,
            "tokens": listed(
                Named("Token", answered(_TOKEN, may_lack=("mensajes",))), "Falta si la cuenta no puede ver códigos."
            ),
        },
        may_lack=("tokens",),
    ),
)
_SHOWN_CLIENT: dict[str, Any] = {
    "id": A_CLIENT,
    "empresa": None,
    "tipo_documento": "DNI",
    "documento": "12345678",
    "digito_verificador": "9",
    "nombres": "Juan",
    "apellido_paterno": "Perez",
    "apellido_materno": "Gomez",
    "correo": "juan.perez@example.com",
    "departamento": "Lima",
    "provincia": "Lima",
    "distrito": "Miraflores",
    "estado": "PENDIENTE",
    "via_validada": None,
    "destino_validado": None,
    "operador": None,
    "bloqueado": None,
    "creado": _CREATED,
    "actualizado": _CREATED,
    "validado": None,
}


def _query(name: str, description: str, schema: Schema | None = None, **rules: Any) -> Schema:
    shape = {"type": "string", **rules} if schema is None else schema
    return in_query(name, description, shape)


_LIST = (
    _query("empresa", "El código de la empresa.", pattern="^[A-Za-z0-9_-]{1,50}$"),
    _query("desde", "Primer día de Lima, AAAA-MM-DD.", format="date"),
    _query("hasta", "Último día de Lima, incluido.", format="date"),
    _query("limit", f"Filas por página, de 1 a {MAX_PAGE_SIZE}; {DEFAULT_PAGE_SIZE} si falta.", pattern="^[0-9]{1,3}$"),
    _query("cursor", "El de `next` o `previous`.", maxLength=400),
)


def _page(row: Named) -> Schema:
    link = {"type": ["string", "null"], "description": "La página vecina, o `null`."}
    return Named(f"{row.name}Pagina", answered({"data": listed(row), "next": link, "previous": link}))


def _lookup(id: str, summary: str, parameters: Any, row: Named, shown: Any, *, one: bool = False) -> Operation:
    of_path = [client_errors.ApplicantNotFound(), errors.NoSuchPath()] if one else []
    of_query = [] if one else [errors.InvalidFields({"desde": ["Debe ser una fecha AAAA-MM-DD."]})]
    description = (
        "Con el token de un inicio de sesión y los mismos permisos que en el navegador: quien puede ver las filas "
        "(solicitantes, códigos, mensajes) las recibe completas; quien puede usar la mesa de soporte, con correos y "
        "celulares tapados; los demás, 403. Los filtros por un valor completo valen para todos. Cada consulta queda "
        "en la auditoría. Nunca muestra un código."
    )
    return Operation(
        id=id,
        tag=TAG,
        summary=summary,
        description=description,
        contract=INFORMAPERU,
        error_schema=error_schema,
        security=[{"jwtPersonal": []}],
        parameters=parameters,
        allow=("GET", "HEAD"),
        errors=[errors.Unauthorized(), StaffForbidden(), *of_path, *of_query, *common_errors(INFORMAPERU, body=False)],
        successes={
            200: Success(
                "Lo encontrado.",
                Named(f"{row.name}Respuesta", answered({"data": row})) if one else _page(row),
                {"ejemplo": shown},
                headers=("Cache-Control",),
            )
        },
    )


_LOGIN = Operation(
    id="iniciarSesion",
    tag=TAG,
    summary="Inicio de sesión",
    description="Solo para personal. El token abre las rutas `admin` durante una hora y nada más. Una cuenta con "
    "segundo factor envía además `codigo`; donde la instalación lo exige, una cuenta que no lo tiene no entra por "
    "aquí. Falte o falle lo que sea, la respuesta es la misma. Cinco fallas de un nombre desde una dirección lo "
    "cierran 15 minutos (429).",
    contract=INFORMAPERU,
    error_schema=error_schema,
    security=[],
    body=Named(
        "SesionSolicitud",
        asked(
            {
                "username": text(minLength=1, maxLength=150),
                "password": text("Se toma tal como se escribió.", minLength=1, maxLength=128, format="password"),
                "codigo": text("Los 6 dígitos de su aplicación o un código de respaldo.", maxLength=20),
            },
            required=["username", "password"],
        ),
    ),
    body_examples={
        "documento": {"username": "admin", "password": "tu_password"},
        "con segundo factor": {"username": "admin", "password": "tu_password", "codigo": "123456"},
    },
    successes={
        200: Success(
            "Sesión iniciada.",
            Named(
                "SesionRespuesta",
                answered(
                    {
                        "token": _TEXT,
                        "token_type": text(const="Bearer"),
                        "expires_in": {"type": "integer", "const": int(TOKEN_LIFETIME.total_seconds())},
                    }
                ),
            ),
            {"ejemplo": {"token": "eyJ...", "token_type": "Bearer", "expires_in": int(TOKEN_LIFETIME.total_seconds())}},
            headers=("Cache-Control",),
        )
    },
    errors=[
        errors.InvalidFields({"username": ["Este campo es obligatorio."]}),
        LoginRefused(),
        *common_errors(INFORMAPERU, body=True),
    ],
)
OPERATIONS = {
    LoginView: _LOGIN,
    ClientsView: _lookup(
        "listarClientes",
        "Lista de clientes",
        (
            *_LIST,
            _query("documento", "Hasta 15 letras y dígitos.", pattern="^[0-9A-Za-z]{1,15}$"),
            _query("correo", "Exacto."),
            _query("telefono", "9 dígitos, el primero 9: clientes que lo usaron.", pattern="^9[0-9]{8}$"),
            _query("estado", "Estado del cliente.", _CLIENT_STATE),
        ),
        Named("Cliente", answered(_CLIENT)),
        {"data": [_SHOWN_CLIENT], "next": None, "previous": None},
    ),
    ClientDetailView: _lookup(
        "verCliente",
        "Un cliente, sus tokens y mensajes",
        (CLIENT,),
        _DETAIL,
        {"data": {**_SHOWN_CLIENT, "codigos_errados_seguidos": 0, "tokens": []}},
        one=True,
    ),
    MessagesView: _lookup(
        "listarMensajes",
        "Lista de mensajes",
        (
            *_LIST,
            _query("via", str(VIA["description"]), VIA),
            _query("estado", "Estado del mensaje.", _MESSAGE_STATE),
            _query("destino", "Celular o correo, exacto.", maxLength=254),
            _query("token", "El id del token que llevaba.", format="uuid"),
        ),
        Named("Mensaje", answered(_MESSAGE)),
        {"data": [], "next": None, "previous": None},
    ),
}
