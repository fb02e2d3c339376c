"""Shapes of contract 3."""

from typing import NotRequired, TypedDict


class DataPoint(TypedDict):
    key: str
    value: str | int | float | bool | None


class ExternalClient(TypedDict):
    """Body of `POST /external/client/registry`. `client_id` is the partner's own id."""

    cui: str
    first_name: str
    last_name: str
    phone: str
    product_key: str
    product_id: str
    origin: str
    client_id: str
    data_points: NotRequired[list[DataPoint] | None]


class Header(TypedDict):
    title: str
    message: str
    type: str
    code: str
    event_id: str


class Content(TypedDict):
    client_id: str


class RegistryAnswer(TypedDict):
    header: Header
    content: Content
