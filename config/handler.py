"""Django's WSGI handler, for requests whose Content-Type is anybody's word."""

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """Request whose address and form are UTF-8, whatever charset its Content-Type names.

    Django would read both in any codec of Python's: `unicode_escape` makes a surrogate of plain text, `hex` fails. And
    it would read the query then and there, before there is anybody to answer for what is wrong with it. What a contract
    requires of the header, it asks the header itself.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except Exception:  # noqa: BLE001  Python's parser of mail reads it, and has faults of many kinds
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Request
