"""Date hierarchy of a list, without reading the table.

Django's own tag asks for the distinct years, months and days, for which PostgreSQL reads the whole table. Here they are
computed between the first and the last row, which the index finds.
"""

import calendar
from collections.abc import Iterator
from datetime import date
from typing import Any

from django import template
from django.db.models import Max, Min
from django.utils.dates import MONTHS
from django.utils.timezone import localtime

register = template.Library()

Choice = dict[str, str]


@register.inclusion_tag("admin/date_hierarchy.html")
def days_of(cl: Any) -> dict[str, Any]:
    """Years, then the months of a year, then the days of a month; and a link back."""
    name = cl.date_hierarchy
    year, month, day = (_number(cl.params.get(f"{name}__{part}")) for part in ("year", "month", "day"))
    bounds = cl.model._default_manager.aggregate(first=Min(name), last=Max(name))
    if bounds["first"] is None:
        return {"show": False}
    first, last = (localtime(bounds[side]).date() for side in ("first", "last"))

    def link(**parts: int) -> str:
        return str(cl.get_query_string({f"{name}__{part}": value for part, value in parts.items()}, [f"{name}__"]))

    back: tuple[str, str] | None
    if year and month and day:
        back, choices = (_month(year, month), link(year=year, month=month)), [(_day(month, day), "")]
    elif year and month:
        back = (str(year), link(year=year))
        days = _days(year, month, first, last)
        choices = [(_day(month, each), link(year=year, month=month, day=each)) for each in days]
    elif year or first.year == last.year:
        year = year or first.year
        back = ("Todas las fechas", link()) if cl.params.get(f"{name}__year") else None
        choices = [(_month(year, each), link(year=year, month=each)) for each in _months(year, first, last)]
    else:
        back, choices = None, [(str(each), link(year=each)) for each in range(first.year, last.year + 1)]
    return {
        "show": True,
        "back": back and {"title": back[0], "link": back[1]},
        "choices": [{"title": title, "link": where} for title, where in choices],
    }


def _number(text: Any) -> int | None:
    return int(text) if text and str(text).isascii() and str(text).isdigit() and len(str(text)) <= 4 else None


def _months(year: int, first: date, last: date) -> Iterator[int]:
    return (each for each in range(1, 13) if (first.year, first.month) <= (year, each) <= (last.year, last.month))


def _days(year: int, month: int, first: date, last: date) -> Iterator[int]:
    if not (1 <= year <= 9999 and 1 <= month <= 12):
        return iter(())
    each = (date(year, month, number) for number in range(1, calendar.monthrange(year, month)[1] + 1))
    return (day.day for day in each if first <= day <= last)


def _month(year: int, month: int) -> str:
    return f"{str(MONTHS.get(month, month)).capitalize()} de {year}"


def _day(month: int, day: int) -> str:
    return f"{day:02}/{month:02}"
