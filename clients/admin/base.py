"""What every page of the admin stands on: lists that stay fast whatever a table holds, and rows that are only read."""

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

from clients.admin.audit_display import history_of
from clients.client_ip import caller_address
from clients.identity.names import normalised

if TYPE_CHECKING:  # unfold has no types; its classes are Django's with another look
    from django.contrib.admin import ModelAdmin, TabularInline
else:
    from unfold.admin import ModelAdmin, TabularInline

COUNTED = 5_000
"""Rows a list counts, and so can be leafed through; who looks for an older one filters or searches."""
TOO_MANY = "Son demasiadas filas para ese filtro. Elija también una fecha, o busque."


def actor(request: HttpRequest) -> str:
    """The member of staff, as the audit names him."""
    return request.user.get_username()


def address(request: HttpRequest) -> str:
    """Where he sits, as the front door reads it."""
    return caller_address(request.META)


class LimitedPaginator(Paginator):
    """Never counts a big table to its end. The rows keep their order while they are counted: so PostgreSQL walks the
    index that the page walks, and stops, where without an order it would read the table from its beginning."""

    template_name = "admin/limited_pagination.html"

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return int(rows[:COUNTED].count())

    @cached_property
    def said(self) -> str:
        """The number of rows as staff reads it: exact, or what the statistics of the table say, or a lower bound."""
        if self.count < COUNTED:
            return _spaced(self.count)
        rows = cast("QuerySet[Any]", self.object_list)
        everybody = rows.model._default_manager.all()  # which itself leaves out who was forgotten
        is_narrowed = rows.query.where != everybody.query.where
        estimate = 0 if is_narrowed else _estimate(rows.model._meta.db_table)
        return f"unos {_spaced(estimate)}" if estimate > COUNTED else f"más de {_spaced(COUNTED)}"


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")


def _estimate(table: str) -> int:
    """What autovacuum last counted, to three figures: more would look exact. Nothing (-1 there) where it never came."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
        (found,) = cursor.fetchone()
    step: int = 10 ** max(0, len(str(max(found, 0))) - 3)
    return max(0, int(found)) // step * step


class BoundedList(ChangeList):
    """A list that says so when PostgreSQL gives up on a filter (`statement_timeout`), instead of failing."""

    def get_ordering_field(self, field_name: Any) -> Any:
        """Only what the page offers: `?o=` in an address would sort by any column, and have no index to do it by."""
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
    """A page of the back office. Sorted by the order its index has, by no other column; nothing is counted twice."""

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
        """Django's page, with the audit's entries instead of its own log's."""
        label, key = self.opts.label_lower, unquote(object_id)
        entries = partial(history_of, label, key)  # asked when the page is made: whether the row exists is asked first
        return super().history_view(request, object_id, {"entries": entries, **(extra_context or {})})


class ReadOnly(Page):
    """Rows that code writes and staff reads."""

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


class CompanyFilter(admin.RelatedFieldListFilter):
    """Filters by partner under its Spanish name, whatever the column is called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "empresa"


class HappenedFilter(admin.EmptyFieldListFilter):
    """Whether a moment is written down: «Sí» and «No», not Django's «No vacío» and «Vacío»."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice, word in zip(super().choices(changelist), ("Todos", "No", "Sí"), strict=True):
            yield {**choice, "display": word}


def kept(changelist: Any, parameter: str | None) -> list[tuple[str, str]]:
    """What else narrows the list, for the hidden fields of a filter that is a form of its own."""
    pairs = [
        (name, value) for name, values in changelist.filter_params.items() for value in values if name != parameter
    ]
    return [*pairs, ("q", changelist.query)] if changelist.query else pairs


class ChosenFilter(admin.SimpleListFilter):
    """A choice of many: a box to choose from, not a list of links longer than the page."""

    template = "admin/chosen_filter.html"

    def choices(self, changelist: Any) -> Iterator[Any]:
        choices = [(value, label, value == self.value()) for value, label in self.lookup_choices]
        yield {"kept": kept(changelist, self.parameter_name), "name": self.parameter_name, "choices": choices}


class TypedFilter(admin.SimpleListFilter):
    """Typed, not chosen: a list of the values there are would read the whole table."""

    template = "admin/typed_filter.html"

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {"kept": kept(changelist, self.parameter_name), "name": self.parameter_name, "value": self.value() or ""}

    def typed(self) -> str:
        return normalised(self.value() or "")
