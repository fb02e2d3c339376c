"""Guard against malformed URLs: those with a NUL, a lone surrogate, or bytes that are not UTF-8. PostgreSQL stores none
of them, and each view that passed one on would fail; so they end before all views."""

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.defaults import bad_request

from clients.errors import Refused
from external_api.frontdoor import errors
from external_api.middleware import error_response
from external_api.routing import contract_of

NOT_TEXT = "Contiene caracteres que no son texto."
_CODE = re.compile(r"\A(/v1/api/client/[^/]+/verify/)[^/]*")
"""A malformed code of contract 2 is a wrong try: its view counts it and answers."""


class MalformedUrlGuard:
    """Answer 400 to a malformed URL, below a contract in its envelope; also to a malformed form of a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        fault = _fault(request.path_info, str(request.META.get("QUERY_STRING", "")))
        if fault is None:
            return self.get_response(request)
        contract = contract_of(request.path_info)
        if contract is None:
            raise BadRequest("not a text")
        return error_response(contract, fault)

    def process_exception(self, request: HttpRequest, fault: Exception) -> HttpResponse | None:
        """Answer 400 to a malformed form that a view passed on. Django's forms have their own error for such a field,
        so the form is checked only after a view failed."""
        form = request.__dict__.get("_post")
        if not isinstance(fault, (ValueError, DatabaseError)) or form is None:
            return None
        if all(is_text(each) for name, values in form.lists() for each in (name, *values)):
            return None
        return bad_request(request, fault)


def is_text(text: str) -> bool:
    """True where PostgreSQL can store the text."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def _fault(path: str, query: str) -> Refused | None:
    """The fault of a URL, or None. Django leaves encoded the parts of a path that it could not decode."""
    if not query and path.isascii() and "%" not in path and "\x00" not in path:
        return None  # as most URLs of the contracts are
    if not _is_text_in_utf8(unquote_to_bytes(_CODE.sub(r"\1", path))):
        return errors.BadRequest("La dirección contiene caracteres que no son texto.")
    for pair in query.encode("latin-1", "replace").split(b"&"):  # WSGI: each byte as the character of its number
        name, _, value = (unquote_to_bytes(part.replace(b"+", b" ")) for part in pair.partition(b"="))
        if not _is_text_in_utf8(name):
            return errors.BadRequest("La consulta contiene caracteres que no son texto.")
        if not _is_text_in_utf8(value):
            return errors.InvalidFields({name.decode()[:50]: [NOT_TEXT]})
    return None


def _is_text_in_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\x00" not in raw
