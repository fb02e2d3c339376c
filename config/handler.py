"""WSGI handler whose requests are read as UTF-8, whatever their Content-Type says."""

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
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
