"""Bulk actions on selected rows. They ask for a reason first."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from clients.client_ip import caller_address

MAX_ROWS = 50
"""Most rows of one action, so that a mistake cannot reach everybody."""


def run_on_selected(
    page: "ModelAdmin[Any]",
    request: HttpRequest,
    queryset: QuerySet[Any],
    name: str,
    title: str,
    form_class: type[forms.Form],
    act: Callable[..., bool],
) -> HttpResponse | None:
    """The form for the reason; once filled in, calls `act(row, by=, address=, at=, **fields)` for each row and returns
    to the list. `name` is the admin action's."""
    rows = list(queryset[: MAX_ROWS + 1])
    if len(rows) > MAX_ROWS:
        messages.error(request, f"Seleccione {MAX_ROWS} {page.opts.verbose_name_plural} como máximo.")
        return None
    form = form_class(request.POST if "confirmed" in request.POST else None)
    if form.is_valid():
        who = {"by": request.user.get_username(), "address": caller_address(request.META), "at": timezone.now()}
        done = sum(act(row, **who, **form.cleaned_data) for row in rows)
        messages.success(request, f"{title}: {done} de {len(rows)}.")
        return None
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": title,
        "form": form,
        "rows": rows,
        "action": name,
        "checkbox": ACTION_CHECKBOX_NAME,
        "back": request.path,
    }
    return TemplateResponse(request, "admin/act.html", context)
