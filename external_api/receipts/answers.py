"""What the webhooks answer, and the one line each leaves in the log."""

import logging

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

log = logging.getLogger(__name__)

LARGEST = 3 * 1024 * 1024
"""Bytes: Meta's own limit for a notification."""


def too_large(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return not length.isdigit() or int(length) > LARGEST


def not_signed(provider: str) -> HttpResponse:
    log.warning("a report without a valid signature", extra={"provider": provider})
    return HttpResponse(status=403)


def away(fault: OperationalError | InterfaceError) -> HttpResponse:
    """The database is away: the providers that try again shall."""
    log.error("a report could not be kept", extra={"fault": repr(fault)[:200]})
    return HttpResponse(status=503, headers={"Retry-After": "5"})


def some_unread(provider: str, parts: int) -> None:
    """Parts of a signed report were skipped; asking for them again would bring the same."""
    if parts:
        log.warning("parts of a report cannot be read", extra={"provider": provider, "parts": parts})
