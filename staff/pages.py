"""Rendering and headers of the login and account pages."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

View = Callable[..., HttpResponse]

PRIVATE_HEADERS = {"Cache-Control": "no-store, private", "X-Robots-Tag": "noindex, nofollow"}
"""Headers of a page that no cache may store and no search engine may list."""


class CodeForm(forms.Form):
    """Form for a code of the app or a backup code."""

    codigo = forms.CharField(label="Código", max_length=20, strip=True)


class ReasonForm(forms.Form):
    """Form for the reason of an action, which the audit keeps."""

    motivo = forms.CharField(label="Motivo", min_length=3, max_length=500, strip=True)


def staff_page(*methods: str) -> Callable[[View], View]:
    """Page with secrets in its forms, stored in no cache."""

    def wrap(view: View) -> View:
        @require_http_methods(list(methods))
        @sensitive_post_parameters("password", "codigo", "new_password1", "new_password2")
        @wraps(view)
        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = view(request, *args, **kwargs)
            for name, value in PRIVATE_HEADERS.items():
                response.headers[name] = value
            return response

        return inner

    return wrap


def page(request: HttpRequest, name: str, *, status: int = 200, **context: Any) -> HttpResponse:
    return render(
        request,
        f"staff/{name}.html",
        {"brand": settings.BRAND, "sandbox": settings.SANDBOX_MARK, **context},
        status=status,
    )
