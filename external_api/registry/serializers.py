"""Serializers of contract 3's body (docs/contracts/registry.md, Fields)."""

import re
from typing import Any

from rest_framework import serializers

from clients.identity import cui
from clients.identity.names import normalised
from external_api.frontdoor.fields import REQUIRED, Text

MAX_DATA_POINTS = 200
MAX_KEY_LENGTH = 100
MAX_VALUE_LENGTH = 1000
"""Characters of a data point's text; the document has no limit, and an address or a remark must fit."""

_PHONE = re.compile(r"[0-9 +()-]{7,20}")
_MIN_DIGITS = 7

_CUI_FAULTS = {
    cui.Fault.SHAPE: "Debe tener 13 dígitos.",
    cui.Fault.CHECK_DIGIT: "El dígito verificador no corresponde.",
    cui.Fault.PLACE: "El departamento o el municipio no existe.",
}


class Cui(Text):
    """13 digits with a valid check digit (the ninth), department and municipality; spaces and hyphens between them are
    left out."""

    def to_internal_value(self, data: Any) -> str:
        text = cui.canonical(super().to_internal_value(data))
        fault = cui.fault_of(text)
        if fault is not None:
            raise serializers.ValidationError(_CUI_FAULTS[fault])
        return text


class Phone(Text):
    """Of any country, as people write it; `555-1234` is the document's (docs/contracts/registry.md, Open points)."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not _PHONE.fullmatch(text) or sum(each.isdigit() for each in text) < _MIN_DIGITS:
            raise serializers.ValidationError(
                "Debe tener de 7 a 20 caracteres entre dígitos, espacios y + - ( ), con al menos 7 dígitos."
            )
        return text


class DataPoints(serializers.Field):
    """`[{"key", "value"}]`, each value of its own type. Missing and null are an empty list
    (docs/contracts/registry.md, Open points)."""

    default_error_messages = {
        "not_a_list": "Debe ser una lista.",
        "too_many": f"No debe tener más de {MAX_DATA_POINTS} datos.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default=list, allow_null=True, **kwargs)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, []) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        if len(data) > MAX_DATA_POINTS:
            self.fail("too_many")
        points: dict[str, Any] = {}
        faults = []
        for number, item in enumerate(data, start=1):
            try:
                key, value = _point(item)
                if key in points:
                    raise serializers.ValidationError("key repetida.")
                points[key] = value
            except serializers.ValidationError as fault:
                faults += [f"Dato {number}: {text}" for text in fault.detail]
        if faults:
            raise serializers.ValidationError(faults)
        return [{"key": key, "value": value} for key, value in points.items()]

    def to_representation(self, value: Any) -> Any:
        return value


def _point(item: Any) -> tuple[str, Any]:
    """Key and value of one data point. Raises ValidationError."""
    if not isinstance(item, dict):
        raise serializers.ValidationError("debe ser un objeto con key y value.")
    try:
        key = _KEY.run_validation(item.get("key"))
    except serializers.ValidationError as fault:
        raise serializers.ValidationError([f"key: {text}" for text in fault.detail]) from None
    if "value" not in item:
        raise serializers.ValidationError(f"value: {REQUIRED}")
    return key, _value(item["value"])


def _value(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        raise serializers.ValidationError("value: Debe ser un texto, un número, true, false o null.")
    text = normalised(value)
    if len(text) > MAX_VALUE_LENGTH:
        raise serializers.ValidationError(f"value: No debe pasar de {MAX_VALUE_LENGTH} caracteres.")
    if not text.isprintable():
        raise serializers.ValidationError("value: Contiene caracteres que no se permiten.")
    return text


_KEY = Text(max_length=MAX_KEY_LENGTH)


class Registration(serializers.Serializer[Any]):
    """`POST /external/client/registry`."""

    cui = Cui()
    first_name = Text()
    last_name = Text()
    phone = Phone()
    product_key = Text()
    product_id = Text()
    origin = Text()
    client_id = Text()
    data_points = DataPoints()
