"""Addresses that no text is in: a NUL, a lone surrogate, bytes that are no UTF-8. PostgreSQL keeps none of them, and
each view that passed one on would be a fault of its own; so they stop before all views."""

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.defaults import bad_request

from clients.errors import Refused
from external_api.frontdoor import errors as door
from external_api.middleware import in_envelope
from external_api.routing import contract_of

WORDS = "Contiene caracteres que no son texto."
_CODE = re.compile(r"\A(/v1/api/client/[^/]+/verify/)[^/]*")
"""A code of contract 2 that makes no sense is a wrong try: its view counts it and answers."""


class ReadableAddress:
    """400 for an address that is no text, in a contract's envelope below a contract; also for such a form of a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        contract = contract_of(request.path_info)
        fault = _fault(request.path_info, str(request.META.get("QUERY_STRING", "")))
        if fault is None:
            return self.get_response(request)
        if contract is None:
            raise BadRequest("not a text")
        return in_envelope(contract, fault)

    def process_exception(self, request: HttpRequest, fault: Exception) -> HttpResponse | None:
        """A form that is no text, and that a view passed on as it came: its fault, not ours. Django's forms refuse such
        a field in words of their own, so it is asked only after a view stumbled over it."""
        form = request.__dict__.get("_post")
        if not isinstance(fault, (ValueError, DatabaseError)) or form is None:
            return None
        if all(is_text(each) for name, values in form.lists() for each in (name, *values)):
            return None
        return bad_request(request, fault)


def is_text(text: str) -> bool:
    """Whether PostgreSQL can hold it."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def _fault(path: str, query: str) -> Refused | None:
    """What is wrong with an address; None: nothing. Of a path Django leaves encoded what it could not decode."""
    if not _readable(unquote_to_bytes(_CODE.sub(r"\1", path))):
        return door.BadRequest("La dirección contiene caracteres que no son texto.")
    for pair in query.encode("latin-1", "replace").split(b"&"):  # WSGI: each byte as the character of its number
        name, _, value = (unquote_to_bytes(part.replace(b"+", b" ")) for part in pair.partition(b"="))
        if not _readable(name):
            return door.BadRequest("La consulta contiene caracteres que no son texto.")
        if not _readable(value):
            return door.InvalidFields({name.decode()[:50]: [WORDS]})
    return None


def _readable(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\x00" not in raw
