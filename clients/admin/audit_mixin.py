"""Admin mixin that audits every manual change with the values before and after.

Django's own `LogEntry` says which fields changed, not from what to what, and its rows can be deleted. It is not the
audit.
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
"""Longest text in an entry, in characters. A longer text is cut and its SHA-256 is added, so that two long texts can be
told apart."""

Values = dict[str, Any]
Change = dict[str, Any]
"""`{"field", "before", "after"}`, as in `clients.external_clients`."""


def values_of(row: Model, *, without: frozenset[str] = frozenset()) -> Values:
    """All field values of a row, read from the database, as JSON values. A relation becomes the names of its rows."""
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
    """Name of a related row. For a permission its codename: the text of a permission needs a query for each content
    type."""
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
    """Keyword arguments for `audit`: the user, the time and the address of a request."""
    return {"at": timezone.now(), "by": actor(request), "address": address(request)}


class Audited:
    """Audit for a ModelAdmin: writes `<audited_as>.created`, `.changed` and `.deleted`.

    The row is locked and read again before it is saved: it may have changed since the form was shown, and the entry
    must hold the values that were replaced. Django saves in one transaction, which includes the entry.
    """

    audited_as: str
    not_audited: frozenset[str] = frozenset()
    """Fields left out of the entries: they change by themselves, or hold secrets."""
    opts: Any

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.was = {}
        if change:
            form.was = values_of(
                type(obj)._default_manager.select_for_update().get(pk=obj.pk), without=self.not_audited
            )
        super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last step of saving in Django: relations are saved here, so that the entry includes them."""
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
        """Additional values for the entry."""
        return {}

    def _audit_deletion(self, request: HttpRequest, row: Any) -> None:
        was = values_of(row, without=self.not_audited)
        changes = [{"field": name, "before": value, "after": None} for name, value in was.items()]
        audit(row, f"{self.audited_as}.deleted", **who(request), changes=changes, **self.audit_also(row))
