"""Base classes of all admin pages: lists that stay fast on large tables, and read-only pages."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.timezone import localtime

from clients import sql
from clients.admin.audit_display import history_of
from clients.client_ip import caller_address
from clients.identity.names import normalised

if TYPE_CHECKING:  # unfold has no types; its classes extend Django's
    from django.contrib.admin import ModelAdmin, TabularInline
else:
    from unfold.admin import ModelAdmin, TabularInline

COUNTED = 5_000
"""Most rows that a list counts and pages through. Older rows are found by filter or search."""
TOO_MANY = "Son demasiadas filas para ese filtro. Elija también una fecha, o busque."


def actor(request: HttpRequest) -> str:
    """User name of the staff member, as the audit records it."""
    return request.user.get_username()


def address(request: HttpRequest) -> str:
    """IP address of the staff member, found as for API calls."""
    return caller_address(request.META)


class LimitedPaginator(Paginator):
    """Paginator that stops counting at COUNTED rows. It counts in the order of the list, so that PostgreSQL reads the
    same index as the page and can stop early."""

    template_name = "admin/limited_pagination.html"

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return int(rows[:COUNTED].count())

    @cached_property
    def said(self) -> str:
        """Number of rows for display: exact, estimated from the table's statistics, or a lower bound."""
        if self.count < COUNTED:
            return _spaced(self.count)
        rows = cast("QuerySet[Any]", self.object_list)
        unfiltered = rows.model._default_manager.all()  # which itself leaves out people who were erased
        is_narrowed = rows.query.where != unfiltered.query.where
        estimate = 0 if is_narrowed else _estimate(rows.model._meta.db_table)
        return f"unos {_spaced(estimate)}" if estimate > COUNTED else f"más de {_spaced(COUNTED)}"


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")


def _estimate(table: str) -> int:
    """Estimate from PostgreSQL's statistics, rounded to three digits so that it does not look exact. Zero or less
    without statistics."""
    with connection.cursor() as cursor:
        cursor.execute(sql.ESTIMATED_ROWS, {"table": table})
        (found,) = cursor.fetchone()
    step: int = 10 ** max(0, len(str(max(found, 0))) - 3)
    return max(0, int(found)) // step * step


class BoundedList(ChangeList):
    """List that shows a message when a filter runs into `statement_timeout`."""

    def get_ordering_field(self, field_name: Any) -> Any:
        """Only the columns that the page offers: `?o=` in a URL could name a column without an index."""
        may = self.sortable_by is None or field_name in self.sortable_by
        return super().get_ordering_field(field_name) if may else None

    def get_results(self, request: HttpRequest) -> None:
        try:
            with transaction.atomic():
                super().get_results(request)
                self.result_list = list(self.result_list)
        except OperationalError:
            messages.warning(request, TOO_MANY)
            self.result_count = self.full_result_count = 0
            self.show_admin_actions = self.can_show_all = self.multi_page = False
            self.paginator = self.model_admin.get_paginator(request, self.root_queryset.none(), self.list_per_page)
            self.result_list = []


class Page(ModelAdmin):
    """Admin page with a list in the order of its index. No other sorting; rows are counted once."""

    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = LimitedPaginator
    sortable_by: ClassVar[Any] = ()
    list_filter_sheet = False
    empty_value_display = "—"
    compressed_fields = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedList

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's history page, with audit entries instead of `LogEntry` rows."""
        label, key = self.opts.label_lower, unquote(object_id)
        entries = partial(history_of, label, key)  # queried by the template, after the check that the row exists
        return super().history_view(request, object_id, {"entries": entries, **(extra_context or {})})


class ReadOnly(Page):
    """Page of rows that only code writes."""

    actions: Sequence[Any] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False
    hide_title = True
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def moment_of(field: str, description: str) -> Any:
    """Column with a date and time in one line, without its seconds: the page of the row has them."""

    @admin.display(description=description)
    def shown(page: Any, row: Any) -> str:
        value = getattr(row, field)
        return f"{localtime(value):%d/%m/%Y %H:%M}" if value else "—"

    return shown


class PartnerFilter(admin.RelatedFieldListFilter):
    """Filter by partner, with its Spanish label whatever the column is called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "empresa"


class IsSetFilter(admin.EmptyFieldListFilter):
    """Filter by whether a date is set, labelled «Sí» and «No» (Django says «No vacío» and «Vacío»)."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice, word in zip(super().choices(changelist), ("Todos", "No", "Sí"), strict=True):
            yield {**choice, "display": word}


def kept(changelist: Any, parameter: str | None) -> list[tuple[str, str]]:
    """The other query parameters, as hidden fields of a filter that has its own form."""
    pairs = [
        (name, value) for name, values in changelist.filter_params.items() for value in values if name != parameter
    ]
    return [*pairs, ("q", changelist.query)] if changelist.query else pairs


class SelectFilter(admin.SimpleListFilter):
    """Filter shown as a select box instead of a list of links longer than the page."""

    template = "admin/chosen_filter.html"

    def choices(self, changelist: Any) -> Iterator[Any]:
        choices = [(value, label, value == self.value()) for value, label in self.lookup_choices]
        yield {"kept": kept(changelist, self.parameter_name), "name": self.parameter_name, "choices": choices}


class TextFilter(admin.SimpleListFilter):
    """Filter with a text field. A list of the existing values would scan the whole table."""

    template = "admin/typed_filter.html"

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {"kept": kept(changelist, self.parameter_name), "name": self.parameter_name, "value": self.value() or ""}

    def typed(self) -> str:
        return normalised(self.value() or "")
