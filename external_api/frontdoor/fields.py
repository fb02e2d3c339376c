"""Serializer fields that take what a contract documents and nothing else: a number is never made into text."""

from functools import lru_cache
from typing import Any

from rest_framework import serializers

from clients.identity.names import normalised
from external_api.frontdoor.errors import InvalidFields

REQUIRED = "Este campo es obligatorio."


class Text(serializers.Field):
    """A string, NFC, trimmed, inner spaces collapsed. Missing, null and blank are the same.

    Optional fields (`required=False`) come out as "". `one_of` lists the values allowed.
    """

    default_error_messages = {
        "required": REQUIRED,
        "null": REQUIRED,
        "not_text": "Debe ser un texto.",
        "too_long": "No debe pasar de {max_length} caracteres.",
        "control": "Contiene caracteres que no se permiten.",
        "not_listed": "Debe ser uno de: {listed}.",
    }

    def __init__(self, *, max_length: int = 100, one_of: tuple[str, ...] = (), **kwargs: Any) -> None:
        self.max_length = max_length
        self.one_of = one_of
        if not kwargs.get("required", True):
            kwargs.setdefault("default", "")
            kwargs.pop("required")
        kwargs.setdefault("allow_null", True)
        super().__init__(**kwargs)
        self.optional = "default" in kwargs

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        if data is None or (isinstance(data, str) and not data.strip()):
            if self.optional:
                return True, ""
            self.fail("required")
        return super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text")
        text = normalised(data)
        if len(text) > self.max_length:
            self.fail("too_long", max_length=self.max_length)
        if not text.isprintable():
            self.fail("control")
        if self.one_of and text not in self.one_of:
            self.fail("not_listed", listed=", ".join(self.one_of))
        return text

    def to_representation(self, value: Any) -> Any:
        return value


def checked(serializer_class: type[serializers.Serializer[Any]], body: dict[str, Any]) -> dict[str, Any]:
    """Validate a body. Raises InvalidFields with every fault of every field."""
    try:
        return dict(_shared(serializer_class).run_validation(body))
    except serializers.ValidationError as faults:
        by_field: Any = faults.detail
        raise InvalidFields({field: [str(text) for text in texts] for field, texts in by_field.items()}) from None


@lru_cache
def _shared(serializer_class: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """One serializer of a class for all requests: a new one copies each of its fields, which is half of what a
    validation costs. `run_validation` keeps nothing of a body."""
    return serializer_class()
