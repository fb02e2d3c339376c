"""Answers of the webhooks, and the one log line of each."""

import logging

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

log = logging.getLogger(__name__)

MAX_BODY = 3 * 1024 * 1024
"""Bytes: Meta's own limit for a notification."""


def too_large(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return not length.isdigit() or int(length) > MAX_BODY


def not_signed(provider: str) -> HttpResponse:
    log.warning("a report without a valid signature", extra={"provider": provider})
    return HttpResponse(status=403)


def database_unavailable(fault: OperationalError | InterfaceError) -> HttpResponse:
    """Answer 503 when the database is unavailable, so that the providers that retry do so."""
    log.error("a report could not be kept", extra={"fault": repr(fault)[:200]})
    return HttpResponse(status=503, headers={"Retry-After": "5"})


def log_unread_parts(provider: str, parts: int) -> None:
    """Log the parts of a signed report that were skipped; a retry would bring the same ones."""
    if parts:
        log.warning("parts of a report cannot be read", extra={"provider": provider, "parts": parts})
