"""Shapes of contract 2."""

from typing import Literal, NotRequired, TypedDict

from aval_client.shapes.nopasanada import DocumentType

Via = Literal["S", "W", "I", "C"]
"""SMS, WhatsApp, voice call, e-mail."""
Operator = Literal["MOVISTAR", "CLARO", "ENTEL", "BITEL", "FLASH", "CUY", "SUMA", "DOLPHIN", "INTERMAX", "OTRO"]


class Person(TypedDict):
    """Body of `POST /client`."""

    tipo_documento: DocumentType
    documento: str
    digito_verificador: NotRequired[str | None]
    nombres: str
    apellido_paterno: str
    apellido_materno: NotRequired[str | None]
    correo: str
    departamento: str
    provincia: str
    distrito: str


class ClientId(TypedDict):
    id: str


class Registered(TypedDict):
    message: str
    data: ClientId


class ReuseWarning(TypedDict):
    message: str
    code: Literal["PHONE_REUSE_WARNING"]


class TokenData(TypedDict):
    token_id: str
    expires_in_seconds: int


class TokenSent(TypedDict):
    message: str
    warning: NotRequired[ReuseWarning]
    data: TokenData


class StatusData(TypedDict):
    status: str


class StatusChanged(TypedDict):
    """Answer to `verify`, `cancel` and `expire`."""

    message: str
    data: StatusData


class Cooldown(TypedDict):
    via: Via
    can_request: bool
    remaining_seconds: int
    attempts_24h: int
    next_attempt: int
    available_at: str | None


class CooldownAnswer(TypedDict):
    data: Cooldown


class Session(TypedDict):
    """Answer to `POST /auth/login`."""

    token: str
    token_type: Literal["Bearer"]
    expires_in: int


class SystemStatus(TypedDict):
    status: str
    timestamp: str
    uptime: float
