"""Views of the OpenAPI document and of its page. Scripts, styles and pictures are files of this server."""

import gzip
import hashlib
import json
from functools import cache

from csp.constants import NONE, SELF
from csp.decorators import csp_replace, csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import condition, require_safe

from external_api.openapi.generator import document

LOADS = {"script-src": [SELF], "connect-src": [SELF], "img-src": ["data:"]}
"""In addition to every page's policy (config.policies). `data:` are the icons in Swagger UI's own style sheet."""


@cache
def _text() -> str:
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":"))


@cache
def _compressed() -> bytes:
    """The document by gzip. It holds no secret, so that its length gives none away (BREACH)."""
    return gzip.compress(_text().encode(), mtime=0)


@cache
def _tag() -> str:
    return f'W/"{hashlib.sha256(_text().encode()).hexdigest()[:32]}"'


@require_safe
@condition(etag_func=lambda request: _tag())
def openapi(request: HttpRequest) -> HttpResponse:
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if not _takes_gzip(request):
        return HttpResponse(_text(), content_type="application/json", headers=headers)
    headers["Content-Encoding"] = "gzip"
    return HttpResponse(_compressed(), content_type="application/json", headers=headers)


def _takes_gzip(request: HttpRequest) -> bool:
    """Whether Accept-Encoding names gzip, or anything, without refusing it (RFC 9110, section 12.5.3)."""
    accepted: dict[str, bool] = {}
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = part.partition(";")
        accepted[name.strip()] = weight.replace(" ", "").rstrip("0.") != "q="
    return accepted.get("gzip", accepted.get("*", False))


@csp_update(LOADS)
@csp_replace({"form-action": [NONE]})
@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    response = render(request, "openapi/reference.html")
    response["Referrer-Policy"] = "no-referrer"
    return response
