"""Views of the OpenAPI document and of its page. Scripts, styles and pictures are files of this server."""

import json
from functools import cache

from csp.constants import NONE, SELF
from csp.decorators import csp_replace, csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from external_api.openapi.generator import document

LOADS = {"script-src": [SELF], "connect-src": [SELF], "img-src": ["data:"]}
"""In addition to every page's policy (config.policies). `data:` are the icons in Swagger UI's own style sheet."""


@cache
def _text() -> str:
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":"))


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_text(), content_type="application/json", headers={"Cache-Control": "no-cache"})


@csp_update(LOADS)
@csp_replace({"form-action": [NONE]})
@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    response = render(request, "openapi/reference.html")
    response["Referrer-Policy"] = "no-referrer"
    return response
