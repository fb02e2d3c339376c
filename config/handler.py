"""WSGI handler whose requests are read as UTF-8, whatever their Content-Type says."""

from typing import Any, cast

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """Request whose URL and form are UTF-8, whatever charset its Content-Type names.

    Django would decode both with any codec of Python: `unicode_escape` makes a surrogate of plain text, and `hex`
    raises. It would also parse the query at once, before any middleware can answer for a fault in it. A contract checks
    the header itself.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except Exception:  # noqa: BLE001  Python's mail parser reads it and raises many kinds
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Request

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request. Django's own sets the thread's URLs to those of ROOT_URLCONF first, where a thread without
        any looks too, and logs errors, as our access log does."""
        handler = cast(Any, self)
        response = cast(HttpResponseBase, handler._middleware_chain(request))
        cast(Any, response)._resource_closers.append(request.close)
        return response
