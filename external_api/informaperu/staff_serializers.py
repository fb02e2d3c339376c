"""Serializers of the staff API's queries: filters and page size."""

import re
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework import serializers

from clients.identity import documents, phones
from clients.identity.emails import InvalidEmail, canonical_email
from clients.local_time import midnight
from clients.models import Applicant
from external_api.frontdoor.fields import Text, checked
from external_api.frontdoor.query import query_of
from external_api.informaperu.serializers import Email
from messaging.models import Message, Via

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

_DAY = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}")
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,50}")
_DOCUMENT = re.compile(r"[0-9A-Za-z]{1,15}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Filter(Text):
    """Text of a given pattern; missing and blank filter nothing. The patterns are ASCII: no other script's digits."""

    def __init__(self, pattern: re.Pattern[str], fault: str, **kwargs: Any) -> None:
        self.pattern = pattern
        self.fault = fault
        super().__init__(required=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not self.pattern.fullmatch(text):
            raise serializers.ValidationError(self.fault)
        return text


class Day(Filter):
    """YYYY-MM-DD, a day that exists."""

    def __init__(self) -> None:
        super().__init__(_DAY, "Debe ser una fecha AAAA-MM-DD.")

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            date.fromisoformat(text)
        except ValueError:
            raise serializers.ValidationError(self.fault) from None
        return text


class PageSize(Filter):
    def __init__(self) -> None:
        super().__init__(re.compile(r"[0-9]{1,3}"), f"Debe ser un número de 1 a {MAX_PAGE_SIZE}.")

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not 1 <= int(text) <= MAX_PAGE_SIZE:
            raise serializers.ValidationError(self.fault)
        return text


class Mobile(Text):
    def to_internal_value(self, data: Any) -> str:
        number = super().to_internal_value(data)
        if not phones.mobile_ok(number):
            raise serializers.ValidationError("Debe tener 9 dígitos y comenzar con 9.")
        return number


class Destination(Text):
    """A mobile number or a mailbox."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if phones.mobile_ok(text):
            return text
        try:
            return canonical_email(text)
        except InvalidEmail:
            raise serializers.ValidationError("Debe ser un celular de 9 dígitos o un correo.") from None


class ListQuery(serializers.Serializer[Any]):
    """Whole Lima days, both ends included; a limit; the cursor of `next` or `previous`."""

    empresa = Filter(_SLUG, "Debe ser el código de una empresa.")
    desde = Day()
    hasta = Day()
    limit = PageSize()
    cursor = Text(required=False, max_length=400)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["desde"] and attrs["hasta"] and attrs["desde"] > attrs["hasta"]:
            raise serializers.ValidationError({"hasta": ["No puede ser anterior a desde."]})
        return {
            **attrs,
            "desde": _midnight(attrs["desde"]),
            "hasta": _midnight(attrs["hasta"], days_later=1),
            "limit": int(attrs["limit"] or DEFAULT_PAGE_SIZE),
        }


class ClientsQuery(ListQuery):
    """`GET /admin/clients`."""

    documento = Filter(_DOCUMENT, "Debe tener hasta 15 letras y dígitos.")
    correo = Email(required=False)
    telefono = Mobile(required=False)
    estado = Text(required=False, one_of=tuple(Applicant.State.values))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        return {**attrs, "documento": documents.canonical_number(attrs["documento"])}


class MessagesQuery(ListQuery):
    """`GET /admin/messages`; `token` is the id of the code in a message."""

    via = Text(required=False, one_of=tuple(Via.values))
    estado = Text(required=False, one_of=tuple(Message.State.values))
    destino = Destination(required=False, max_length=254)
    token = Filter(_UUID, "Debe ser un UUID.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        return {**attrs, "token": UUID(attrs["token"]) if attrs["token"] else None}


def checked_query(serializer_class: type[ListQuery], request: HttpRequest) -> tuple[dict[str, Any], dict[str, str]]:
    """Validated query, and its parameters as given: the links to other pages repeat them."""
    given = query_of(request)
    asked = checked(serializer_class, given)
    used = {name: value for name, value in given.items() if value and name in asked and name != "cursor"}
    return asked, used


def _midnight(day: str, *, days_later: int = 0) -> datetime | None:
    if not day:
        return None
    return midnight(date.fromisoformat(day) + timedelta(days=days_later))
