"""Shapes of contract 1."""

from typing import Literal, NotRequired, TypedDict

DocumentType = Literal["DNI", "CE", "PASAPORTE"]


class NewClient(TypedDict):
    """A row of `alta`."""

    codigo_externo: str
    perfil: str
    correo: str
    nombre: NotRequired[str | None]
    tipo_documento: NotRequired[DocumentType | Literal[""] | None]
    numero_documento: NotRequired[str | None]
    celular: NotRequired[str | None]


class Address(TypedDict):
    """A row of `baja`, and of the filters of both queries."""

    correo: str


class ProcessedRow(TypedDict):
    correo: str
    indice: int


class FailedRow(TypedDict):
    errores: list[str]
    indice: int


class RowResults(TypedDict):
    cuenta_exitos: int
    cuenta_fallos: int
    exitos: list[ProcessedRow]
    fallos: list[FailedRow]


class RowsAnswer(TypedDict):
    """Answer to `alta` and `baja`, also when no row went well."""

    id_solicitud: int
    resultados: RowResults
    timestamp: str


class AuthorisedClient(TypedDict):
    """A row of `clientes_autorizados`."""

    id_solicitud: int
    correo: str
    codigo_cliente: str
    celular: str
    tipo_documento: str
    numero_documento: str
    perfil: str
    timestamp_creado: str
    nombre: str
    suscrito: bool


class SentMessage(TypedDict):
    """A row of `mensajes_enviados`."""

    direccion_correo: str
    timestamp_envio: str
    respuesta_mensaje: Literal["ok", "error"]
    asunto: str
    tipo_mensaje: Literal["boletin", "alerta"]
