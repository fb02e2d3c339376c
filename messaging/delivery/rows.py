"""Messages from the rows of a claim."""

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from messaging.models import Message

_FIELDS = [field.attname for field in Message._meta.concrete_fields]


def from_rows(rows: Sequence[Sequence[Any]]) -> list[Message]:
    """Messages from rows with all columns of the model, in the order in which they became due, alerts first."""
    found = [Message.from_db(DEFAULT_DB_ALIAS, _FIELDS, row) for row in rows]
    return sorted(found, key=lambda message: (message.kind, message.next_attempt_at))
