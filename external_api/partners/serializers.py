"""Parameters of the API for partners, and how a body is read."""

from datetime import date
from typing import Any

from rest_framework import serializers

from clients.events.feed import MOST, Cursor, NotACursor
from clients.events.models import EventType
from external_api.frontdoor.errors import InvalidFields
from external_api.frontdoor.fields import checked

LONGEST = 1000
"""Characters of a parameter."""
GROUPS = ("day", "via", "outcome")
MOST_DAYS = 366


class CursorField(serializers.Field):
    """Place in the feed; empty: before all events that are kept."""

    default_error_messages = {"not_a_cursor": "No es un cursor que hayamos dado."}

    def to_internal_value(self, data: Any) -> Cursor | None:
        text = str(data)
        if not text:
            return None
        try:
            return Cursor.read(text[:LONGEST])
        except NotACursor:
            self.fail("not_a_cursor")

    def to_representation(self, value: Any) -> Any:
        return value


class TypesField(serializers.Field):
    """Types of events, separated by commas; empty: all."""

    default_error_messages = {"unknown": "No es un tipo de evento: {name}."}

    def to_internal_value(self, data: Any) -> list[str] | None:
        names = [each.strip() for each in str(data)[:LONGEST].split(",") if each.strip()]
        for name in names:
            if name not in EventType.values:
                self.fail("unknown", name=name[:40])
        return names or None

    def to_representation(self, value: Any) -> Any:
        return value


class DayField(serializers.Field):
    """A day as YYYY-MM-DD, from 2000 on."""

    default_error_messages = {"not_a_day": "No es un día como 2026-11-29."}

    def to_internal_value(self, data: Any) -> date:
        text = str(data)
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self.fail("not_a_day")
        if len(text) != 10 or not 2000 <= day.year <= 2999:
            self.fail("not_a_day")
        return day

    def to_representation(self, value: Any) -> Any:
        return value


class UsageQuery(serializers.Serializer[Any]):
    """`GET /partners/v1/usage`. The days come out as `since` and `until`; None: not given."""

    by = serializers.ChoiceField(
        choices=GROUPS, default=GROUPS[0], error_messages={"invalid_choice": f"Debe ser uno de: {', '.join(GROUPS)}."}
    )

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python, so the two days are named here."""
        days = {"from": DayField(source="since", default=None), "to": DayField(source="until", default=None)}
        return {**days, **super().get_fields()}


class FeedQuery(serializers.Serializer[Any]):
    """`GET /partners/v1/events`."""

    after = CursorField(default=None)
    types = TypesField(default=None)
    limit = serializers.IntegerField(default=100, min_value=1, max_value=MOST)


class NoFields(serializers.Serializer[Any]):
    """A body without fields, or none."""


def given(serializer_class: type[serializers.Serializer[Any]], body: dict[str, Any]) -> dict[str, Any]:
    """The valid values of the fields that a body has. Raises InvalidFields, for a field that there is not, too."""
    unknown = [name for name in body if name not in serializer_class().fields]
    if unknown:
        raise InvalidFields({name[:50]: ["No es un campo de este recurso."] for name in unknown[:20]})
    return {name: value for name, value in checked(serializer_class, body).items() if name in body}
