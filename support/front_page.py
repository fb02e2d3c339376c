"""Start page of the installation, and what browsers and people ask for beside it."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.http import require_safe

ROBOTS = "".join(
    ["User-agent: *\n"]
    + [
        f"Disallow: {path}\n"
        for path in ("/admin/", "/soporte/", "/cuenta/", "/sandbox/", "/recibos/", "/api/", "/v1/", "/external")
    ]
)


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Ways into the installation: of companies, of clients, and of staff."""
    return render(request, "start.html", {"brand": settings.BRAND, "sandbox": settings.SANDBOX_MARK})


@require_safe
def with_slash(request: HttpRequest) -> HttpResponse:
    """Redirect to the same address with a slash at its end, as people leave it out. APPEND_SLASH is off: a contract
    never redirects."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(f"{request.path}/{'?' + query if query else ''}")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Icon for whoever asks by the old name: bookmarks, and browsers on an answer that is no page."""
    return HttpResponseRedirect(static("aval/icon.svg"))


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    return HttpResponse(ROBOTS, content_type="text/plain; charset=utf-8")
