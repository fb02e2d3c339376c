"""The document, and the page that shows it. Its scripts, styles and pictures are files of this server."""

import json
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from external_api.openapi.generator import document

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing of any other host is loaded or asked. `data:` are the icons inside Swagger UI's own style sheet."""


@cache
def _text() -> str:
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":"))


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_text(), content_type="application/json", headers={"Cache-Control": "no-cache"})


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    response = render(request, "openapi/reference.html")
    response["Content-Security-Policy"] = CONTENT_POLICY
    response["Referrer-Policy"] = "no-referrer"
    return response
