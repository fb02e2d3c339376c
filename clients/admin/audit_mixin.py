"""Whoever writes a row by hand leaves its before and after in the audit: one piece for every page that writes.

Django's own log (`LogEntry`) says that somebody changed the field «contratos», not from what to what, and its rows can
be deleted. It is not the audit.
"""

import hashlib
from datetime import date, datetime, time
from typing import Any, cast

from django.db.models import ManyToManyField, Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from clients.admin.base import actor, address
from clients.models import audit

LONGEST = 1_000
"""Characters of a text that are kept; of a longer one also its SHA-256, so that any other text can be told from it."""

Values = dict[str, Any]
Change = dict[str, Any]
"""`{"field", "before", "after"}`, as `clients.external_clients` writes them too."""


def values_of(row: Model, *, without: frozenset[str] = frozenset()) -> Values:
    """Every field of a row as the database has it, in words that JSON has. Of a relation, the names at its far end."""
    found = {
        field.name: _plain(getattr(row, field.name))
        for field in row._meta.fields
        if not field.primary_key and field.name not in without
    }
    for field in row._meta.many_to_many:
        if field.name not in without:
            found[field.name] = sorted(_name(each) for each in _all(row, field))
    return found


def _all(row: Model, field: "ManyToManyField[Any, Any]") -> "QuerySet[Any]":
    return cast("QuerySet[Any]", getattr(row, field.name).all())


def _name(row: Any) -> str:
    """A permission's own text asks for its content type, one by one; its code is what grants."""
    return row.codename if hasattr(row, "codename") else str(row)


def _plain(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST:
        digest = hashlib.sha256(value.encode()).hexdigest()
        return f"{value[:LONGEST]}… ({len(value)} caracteres, SHA-256 {digest})"
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return value.isoformat() if isinstance(value, datetime | date | time) else str(value)


def changes_between(before: Values, after: Values) -> list[Change]:
    return [
        {"field": name, "before": before.get(name), "after": value}
        for name, value in after.items()
        if before.get(name) != value
    ]


def who(request: HttpRequest) -> dict[str, Any]:
    """Who does it, when and from where, as `audit` takes it."""
    return {"at": timezone.now(), "by": actor(request), "address": address(request)}


class Audited:
    """For a ModelAdmin: creating, changing and deleting are audited as `<audited_as>.created` and so on.

    The row is locked and read again before it is written: what was shown in the form may have changed since, and what
    is written down must be what was there. Django saves within one transaction, the entry with it.
    """

    audited_as: str
    not_audited: frozenset[str] = frozenset()
    """Fields that change by themselves, or whose values are nobody's to read."""
    opts: Any

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.was = {}
        if change:
            form.was = values_of(
                type(obj)._default_manager.select_for_update().get(pk=obj.pk), without=self.not_audited
            )
        super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last thing that is saved: relations too are as they will stay."""
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        row = type(form.instance)._default_manager.get(pk=form.instance.pk)
        changes = changes_between(form.was, values_of(row, without=self.not_audited))
        if changes or not change:
            action = "changed" if change else "created"
            audit(row, f"{self.audited_as}.{action}", **who(request), changes=changes, **self.audit_also(row))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._audit_deletion(request, obj)
        super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        for row in queryset:
            self._audit_deletion(request, row)
        super().delete_queryset(request, queryset)  # type: ignore[misc]

    def audit_also(self, row: Any) -> dict[str, Any]:
        """What the entry says beside before and after."""
        return {}

    def _audit_deletion(self, request: HttpRequest, row: Any) -> None:
        was = values_of(row, without=self.not_audited)
        changes = [{"field": name, "before": value, "after": None} for name, value in was.items()]
        audit(row, f"{self.audited_as}.deleted", **who(request), changes=changes, **self.audit_also(row))
