"""Access decorator of the desk's pages, and their headers."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from csp.constants import SELF
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from staff.pages import PRIVATE_HEADERS
from support.outages import outages

View = Callable[..., HttpResponse]

USE, ACT, UNMASK = "support.use_desk", "support.act_at_desk", "support.unmask_at_desk"
EXPORT, ERASE = "support.export_person", "support.erase_person"

_LOADS = {"script-src": [SELF], "connect-src": [SELF], "img-src": ["data:"]}
"""Sources beyond the common Content-Security-Policy (config.policies): the log's script, and the rows it fetches."""


def desk_page(*methods: str, needs: str = USE) -> Callable[[View], View]:
    """Page for staff with the permission. Others are sent to the login, or told that they may not see it."""

    def wrap(view: View) -> View:
        @require_http_methods(list(methods))
        @csp_update(_LOADS)
        @wraps(view)
        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            user = request.user
            if not user.is_authenticated or not user.is_active or not user.is_staff:
                response: HttpResponse = redirect_to_login(request.get_full_path(), reverse("admin:login"))
            elif not user.has_perms([USE, needs]):
                response = page(request, "forbidden", status=403)
            else:
                response = view(request, *args, **kwargs)
            for name, value in PRIVATE_HEADERS.items():
                response.headers[name] = value
            return response

        return cast(View, inner)

    return wrap


def act_page(*, needs: str) -> Callable[[View], View]:
    """Target of a case's forms. A GET of its address, which stays in the browser after the act, shows the case."""

    def wrap(view: View) -> View:
        act = desk_page("POST", needs=needs)(view)

        @wraps(view)
        def inner(request: HttpRequest, kind: str, key: str, **kwargs: Any) -> HttpResponse:
            return act(request, kind, key, **kwargs) if request.method == "POST" else _to_case(request, kind, key)

        return inner

    return wrap


@desk_page("GET", "HEAD")
def _to_case(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    return HttpResponseRedirect(reverse("support_case", args=[kind, key]))


def page(request: HttpRequest, name: str, *, status: int = 200, **context: Any) -> HttpResponse:
    more = {"brand": settings.BRAND, "sandbox": settings.SANDBOX_MARK, **context}
    if request.user.has_perm(USE):
        more["outages"] = outages()
    return render(request, f"support/{name}.html", more, status=status)
