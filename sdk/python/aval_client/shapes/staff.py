"""Shapes of the staff's queries of contract 2."""

from typing import NotRequired, TypedDict

from aval_client.shapes.informaperu import Operator, Via
from aval_client.shapes.nopasanada import DocumentType


class MessageEvent(TypedDict):
    fecha: str
    estado: str
    intento: int
    proveedor: str | None
    detalle: str | None


class StaffMessage(TypedDict):
    id: str
    empresa: str | None
    tipo: str
    via: Via
    destino: str
    asunto: str
    estado: str
    intentos: int
    token: str | None
    id_solicitud: int | None
    proveedor: str | None
    id_proveedor: str | None
    respuesta_proveedor: str | None
    creado: str
    enviar_antes_de: str | None
    enviado: str | None
    entregado: str | None
    eventos: list[MessageEvent]


class TokenMessage(StaffMessage):
    texto: str | None


class StaffToken(TypedDict):
    id: str
    via: Via
    destino: str
    operador: Operator | None
    resultado: str
    intentos_errados: int
    creado: str
    vence: str
    cerrado: str | None
    intento_devuelto: str | None
    intento_cliente: int
    espera_cliente_segundos: int
    intento_destino: int
    espera_destino_segundos: int
    mensajes: NotRequired[list[TokenMessage]]


class StaffClient(TypedDict):
    id: str
    empresa: str | None
    tipo_documento: DocumentType
    documento: str
    digito_verificador: str
    nombres: str
    apellido_paterno: str
    apellido_materno: str
    correo: str
    departamento: str
    provincia: str
    distrito: str
    estado: str
    via_validada: Via | None
    destino_validado: str | None
    operador: Operator | None
    bloqueado: str | None
    creado: str
    actualizado: str
    validado: str | None


class StaffClientDetail(StaffClient):
    codigos_errados_seguidos: int
    tokens: NotRequired[list[StaffToken]]


class ClientDetailAnswer(TypedDict):
    data: StaffClientDetail


class ClientsPage(TypedDict):
    data: list[StaffClient]
    next: str | None
    previous: str | None


class MessagesPage(TypedDict):
    data: list[StaffMessage]
    next: str | None
    previous: str | None
