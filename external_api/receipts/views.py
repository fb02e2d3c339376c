"""Parse, check, call. A report that we know already, or about a message that is not ours, is answered like any other:
the provider must not send it again."""

import logging
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from external_api.receipts import twilio, whatsapp
from external_api.receipts.errors import NotReadable, NotSigned
from messaging import receipts
from messaging.receipts import Report

log = logging.getLogger(__name__)

LARGEST = 3 * 1024 * 1024
"""Bytes: Meta's own limit for a notification."""


@csrf_exempt
@require_http_methods(["POST"])
def twilio_status(request: HttpRequest, message_id: UUID) -> HttpResponse:
    if _too_large(request):
        return HttpResponse(status=413)
    form = request.POST.dict()
    try:
        twilio.check_signature(request.get_full_path(), form, request.headers.get("X-Twilio-Signature", ""))
    except NotSigned:
        return _not_signed("twilio")
    report = twilio.report(form, message_id)
    return _receive([report] if report else [])


@csrf_exempt
@require_http_methods(["GET", "POST"])
def whatsapp_status(request: HttpRequest) -> HttpResponse:
    if _too_large(request):
        return HttpResponse(status=413)
    try:
        if request.method == "GET":
            return HttpResponse(whatsapp.challenge(request.GET), content_type="text/plain; charset=utf-8")
        whatsapp.check_signature(request.body, request.headers.get("X-Hub-Signature-256", ""))
        return _receive(whatsapp.reports(request.body))
    except NotSigned:
        return _not_signed("whatsapp-cloud")
    except NotReadable:
        log.warning("a report makes no sense", extra={"provider": "whatsapp-cloud"})
        return HttpResponse(status=400)


def _receive(reports: list[Report]) -> HttpResponse:
    """503 while the database is away: the providers that try again shall."""
    try:
        for each in reports:
            receipts.receive(each, at=timezone.now())
    except (OperationalError, InterfaceError) as fault:
        log.error("a report could not be kept", extra={"fault": repr(fault)[:200]})
        return HttpResponse(status=503, headers={"Retry-After": "5"})
    return HttpResponse(status=204)


def _too_large(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return not length.isdigit() or int(length) > LARGEST


def _not_signed(provider: str) -> HttpResponse:
    log.warning("a report without a valid signature", extra={"provider": provider})
    return HttpResponse(status=403)
