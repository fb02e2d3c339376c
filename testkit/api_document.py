"""What the API clients must have: the operations of the OpenAPI document, and a type for each of its objects."""

import re
from collections.abc import Iterable
from typing import Any

from clients.events.models import EventType
from config.variables import BASE_DIR
from external_api.openapi.generator import document

SHAPES: dict[str, tuple[str, str]] = {
    "AltaBajaRespuesta": ("RowsAnswer", "RowsAnswer"),
    "AltaBajaResultados": ("RowResults", "RowResults"),
    "AvisoDeReuso": ("ReuseWarning", 'NonNullable<TokenSent["warning"]>'),
    "BuzonDePruebas": ("TwinMessages", "TwinMessages"),
    "CancelacionDatos": ("StatusData", 'StatusChanged["data"]'),
    "CancelacionRespuesta": ("StatusChanged", "StatusChanged"),
    "Cliente": ("StaffClient", "StaffClient"),
    "ClienteAutorizado": ("AuthorisedClient", "AuthorisedClient"),
    "ClienteDeAlta": ("NewClient", "NewClient"),
    "ClientePagina": ("ClientsPage", "StaffPage<unknown>"),
    "Cooldown": ("Cooldown", "Cooldown"),
    "CooldownRespuesta": ("CooldownAnswer", "CooldownAnswer"),
    "CorreoDeCliente": ("Address", "Address"),
    "CredencialPropia": ("Key", "Key"),
    "CredencialesDePrueba": ("TwinKeys", "TwinKeys"),
    "DatoAdicional": ("DataPoint", 'NonNullable<ExternalClient["data_points"]>[number]'),
    "DatosBorrados": ("TwinReset", "TwinReset"),
    "EmpresaPropia": ("Me", "Me"),
    "EncabezadoDeExito": ("Header", 'RegistryAnswer["header"]'),
    "Entrega": ("Delivery", "Delivery"),
    "EstadoDelSistema": ("SystemStatus", "SystemStatus"),
    "Evento": ("Event", "Event"),
    "EventoDeMensaje": ("MessageEvent", "MessageEvent"),
    "ExpiracionDatos": ("StatusData", 'StatusChanged["data"]'),
    "ExpiracionRespuesta": ("StatusChanged", "StatusChanged"),
    "FichaDeCliente": ("StaffClientDetail", 'ClientDetailAnswer["data"]'),
    "FichaDeClienteRespuesta": ("ClientDetailAnswer", "ClientDetailAnswer"),
    "FilaDeUso": ("UsageRow", "UsageRow"),
    "FilaFallida": ("FailedRow", 'RowResults["fallos"][number]'),
    "FilaProcesada": ("ProcessedRow", 'RowResults["exitos"][number]'),
    "Limite": ("Limit", "Limit"),
    "LimitesPropios": ("Limits", 'Me["limits"]'),
    "ListaDeWebhooks": ("Webhooks", "Webhooks"),
    "Mensaje": ("StaffMessage", "StaffMessage"),
    "MensajeDeEmpresa": ("Message", "Message"),
    "MensajeDePrueba": ("TwinMessage", "TwinMessage"),
    "MensajeDeToken": ("TokenMessage", 'NonNullable<StaffToken["mensajes"]>[number]'),
    "MensajeEnviado": ("SentMessage", "SentMessage"),
    "MensajePagina": ("MessagesPage", "StaffPage<unknown>"),
    "PaginaDeEntregas": ("DeliveriesPage", "DeliveriesPage"),
    "PaginaDeEventos": ("EventsPage", "EventsPage"),
    "Reenvio": ("Replay", "Replay"),
    "RegistroDatos": ("ClientId", 'Registered["data"]'),
    "RegistroExternoDatos": ("Content", 'RegistryAnswer["content"]'),
    "RegistroExternoRespuesta": ("RegistryAnswer", "RegistryAnswer"),
    "RegistroExternoSolicitud": ("ExternalClient", "ExternalClient"),
    "RegistroRespuesta": ("Registered", "Registered"),
    "RegistroSolicitud": ("Person", "Person"),
    "RelojAvanzado": ("TwinClock", "TwinClock"),
    "SesionRespuesta": ("Session", "Session"),
    "Token": ("StaffToken", "StaffToken"),
    "TokenDatos": ("TokenData", 'TokenSent["data"]'),
    "TokenRespuesta": ("TokenSent", "TokenSent"),
    "Uso": ("Usage", "Usage"),
    "Verificacion": ("Verification", "Verification"),
    "VerificacionDatos": ("StatusData", 'StatusChanged["data"]'),
    "VerificacionRespuesta": ("StatusChanged", "StatusChanged"),
    "Webhook": ("Webhook", "Webhook"),
    "WebhookCambiado": ("WebhookChanges", "WebhookChanges"),
    "WebhookConSecreto": ("WebhookWithSecret", "WebhookWithSecret"),
}
"""Objects of the document, with the name of their type in Python and in TypeScript."""


WITHOUT_TYPE = {
    "AltaSolicitud": "arguments of alta",
    "AvanceDelReloj": "arguments of advance_clock",
    "BajaSolicitud": "arguments of baja",
    "ClientesAutorizadosSolicitud": "arguments of clientes_autorizados",
    "MensajesEnviadosSolicitud": "arguments of mensajes_enviados",
    "ListaRespuesta": "read row by row",
    "ListaResultados": "read row by row",
    "TokenSolicitud": "arguments of request_token",
    "SesionSolicitud": "arguments of login",
    "WebhookNuevo": "arguments of create",
    "ReenvioPedido": "arguments of replay",
    "EncabezadoDeError": "the header of an error",
    "IntentosRestantes": "an attribute of the error WrongCode",
}
"""Objects of the document that have no type in a client, with what they are there."""

ALWAYS_TYPED = {"reason", "via", "state", "outcome", "kind", "by"}
"""Closed lists that programs decide by. Of the others a client has some as text: more may be added to them."""

EVENTS_CHAPTER = BASE_DIR / "docs" / "guia" / "7-eventos.md"


def operations() -> set[tuple[str, str]]:
    """Method and path of each operation; its parameters are in braces."""
    return {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}


def uncalled(made: Iterable[tuple[str, ...]]) -> set[tuple[str, str]]:
    """The operations that are not among these calls, given by method and path."""
    calls = set(made)
    return {
        (method, path)
        for method, path in operations()
        if not any(method == called and _fits(path, url) for called, url in calls)
    }


def _fits(path: str, url: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), url) is not None


def properties_of(name: str) -> set[str]:
    """Keys of an object of the document."""
    return set(document()["components"]["schemas"][name]["properties"])


def required_of(name: str) -> set[str]:
    """Keys that such an object always has."""
    return set(document()["components"]["schemas"][name].get("required", ()))


def words_of(name: str) -> dict[str, set[str]]:
    """Words of each closed list among the values of an object, by key."""
    found = _values_of(name)
    single = {key: {schema["const"]} for key, schema in found.items() if "const" in schema}
    return single | {key: set(schema["enum"]) for key, schema in found.items() if "enum" in schema}


def nullable_of(name: str) -> set[str]:
    """Keys of an object whose value may be null."""
    return {key for key, schema in _values_of(name).items() if "null" in schema["types"]}


def _values_of(name: str) -> dict[str, Any]:
    """Schema of each value of an object, with its types as a set under `types`."""
    return {key: _value(schema) for key, schema in document()["components"]["schemas"][name]["properties"].items()}


def _value(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        parts = [_value(each) for each in schema["anyOf"]]
        whole = {key: each[key] for each in parts for key in each}
        return {**whole, "types": {kind for each in parts for kind in each["types"]}}
    found = schema.get("type", [])
    return {**schema, "types": {found} if isinstance(found, str) else {*found}}


def event_data_keys() -> set[str]:
    """Keys of `data` of an event, by the table of the guide; the document leaves it open."""
    table = re.findall(r"^\| (`[^|]+) \| [^|]+ \| ([^|]*) ?\|$", EVENTS_CHAPTER.read_text(), re.M)
    of_events = [data for types, data in table if set(re.findall("`([^`]+)`", types)) <= {*EventType.values}]
    return {key for data in of_events for key in re.findall("`([^`]+)`", re.sub(r"\([^)]*\)", "", data))}


def objects() -> set[str]:
    """Names of the objects of the document that partners send or receive, its errors apart: those are exceptions."""
    schemas = document()["components"]["schemas"]
    return {name for name, schema in schemas.items() if schema.get("properties") and not name.startswith("Error")}
