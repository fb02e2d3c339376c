"""Bodies and parameters of webhooks."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as InvalidValue
from django.core.validators import EmailValidator
from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from clients.events.models import EventType
from external_api.frontdoor.fields import Text
from external_api.partners.webhook_presenters import DELIVERY_STATUSES
from webhooks import endpoints
from webhooks.addresses import LONGEST_URL, BadUrl
from webhooks.models import Delivery

MOST_IDS = 1000
SETTABLE = ("active", "paused")
_STATUS_OF = {word: status for status, word in DELIVERY_STATUSES.items()}


class UrlField(Text):
    """URL of an endpoint (webhooks.addresses)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST_URL, **kwargs)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """A URL may be left out of a change, but not be empty."""
        if self.optional and data is not serializers.empty and (data is None or not str(data).strip()):
            self.fail("required")
        return super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text")
        try:
            endpoints.check_url(data)
        except BadUrl as fault:
            raise serializers.ValidationError(fault.reason) from None
        return data


class EmailText(Text):
    """An address for notices, or empty."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            EmailValidator()(text)
        except InvalidValue:
            raise serializers.ValidationError("No es un correo válido.") from None
        return text


class EventTypes(serializers.Field[Any, Any, Any, Any]):
    """A list of types of events; null: all."""

    default_error_messages = {
        "not_a_list": "Debe ser una lista de tipos de evento, o null para todos.",
        "empty": "La lista está vacía; para todos los tipos use null.",
        "unknown": "No es un tipo de evento: {name}.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        if not data:
            self.fail("empty")
        for name in data:
            if not isinstance(name, str) or name not in EventType.values:
                self.fail("unknown", name=str(name)[:40])
        return sorted(set(data))

    def to_representation(self, value: Any) -> Any:
        return value


class Moment(serializers.Field[Any, Any, Any, Any]):
    """ISO 8601 with a zone."""

    default_error_messages = {"not_a_moment": "No es un momento como 2026-11-29T15:04:05Z."}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            found = parse_datetime(data) if isinstance(data, str) else None
        except ValueError:
            found = None
        if found is None or found.tzinfo is None or not 2000 <= found.year <= 2999:
            self.fail("not_a_moment")
        return found.astimezone(UTC)

    def to_representation(self, value: Any) -> Any:
        return value


class Ids(serializers.Field[Any, Any, Any, Any]):
    """A list of ids of deliveries."""

    default_error_messages = {"not_ids": f"Debe ser una lista de 1 a {MOST_IDS} ids de entregas."}

    def to_internal_value(self, data: Any) -> list[UUID]:
        if not isinstance(data, list) or not 1 <= len(data) <= MOST_IDS:
            self.fail("not_ids")
        try:
            return [UUID(each) for each in data]
        except (ValueError, AttributeError, TypeError):
            self.fail("not_ids")

    def to_representation(self, value: Any) -> Any:
        return value


class NewEndpoint(serializers.Serializer[Any]):
    """`POST /partners/v1/webhooks`."""

    url = UrlField()
    types = EventTypes(default=None)
    description = Text(max_length=200, required=False)
    email = EmailText(max_length=254, required=False)


class ChangedEndpoint(serializers.Serializer[Any]):
    """`PATCH /partners/v1/webhooks/{id}`. A field that is not given stays."""

    url = UrlField(required=False)
    types = EventTypes(required=False)
    description = Text(max_length=200, required=False)
    email = EmailText(max_length=254, required=False)
    status = Text(one_of=SETTABLE, required=False)


class Replay(serializers.Serializer[Any]):
    """`POST /partners/v1/webhooks/{id}/replay`: `deliveries`, or `since` and `until`."""

    deliveries = Ids(default=None)
    since = Moment(default=None)
    until = Moment(default=None)

    def validate(self, attrs: Any) -> Any:
        if (attrs["deliveries"] is None) == (attrs["since"] is None):
            raise serializers.ValidationError({"deliveries": "Indique `deliveries` o `since`, uno de los dos."})
        if attrs["until"] is not None and (attrs["since"] is None or attrs["until"] <= attrs["since"]):
            raise serializers.ValidationError({"until": "Debe ser posterior a `since`."})
        return attrs


class DeliveriesQuery(serializers.Serializer[Any]):
    """`GET /partners/v1/webhooks/{id}/deliveries`."""

    status = serializers.ChoiceField(
        choices=list(_STATUS_OF),
        default=None,
        error_messages={"invalid_choice": f"Debe ser uno de: {', '.join(_STATUS_OF)}."},
    )
    after = serializers.UUIDField(default=None, error_messages={"invalid": "No es un cursor que hayamos dado."})
    limit = serializers.IntegerField(default=50, min_value=1, max_value=250)

    def validate_status(self, value: str | None) -> Delivery.Status | None:
        return None if value is None else _STATUS_OF[value]
