"""Webhooks of Twilio and WhatsApp: parse, check, call. A report that is already known, malformed, or about a message
that is not ours gets the same answer as any other: the provider must not send it again."""

from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from external_api.receipts import twilio, whatsapp
from external_api.receipts.answers import database_unavailable, log_unread_parts, not_signed, too_large
from external_api.receipts.errors import NotReadable, NotSigned
from messaging.delivery import receipts
from messaging.delivery.receipts import Report


@csrf_exempt
@require_http_methods(["POST"])
def twilio_status(request: HttpRequest, message_id: UUID) -> HttpResponse:
    if too_large(request):
        return HttpResponse(status=413)
    form = request.POST
    try:
        twilio.check_signature(request.get_full_path(), form, request.headers.get("X-Twilio-Signature", ""))
        report = twilio.report(form.dict(), message_id)
    except NotSigned:
        return not_signed("twilio")
    except NotReadable:
        return _receive([], "twilio", unread=1)
    return _receive([report] if report else [], "twilio")


@csrf_exempt
@require_http_methods(["GET", "POST"])
def whatsapp_status(request: HttpRequest) -> HttpResponse:
    if too_large(request):
        return HttpResponse(status=413)
    try:
        if request.method == "GET":
            return HttpResponse(whatsapp.challenge(request.GET), content_type="text/plain; charset=utf-8")
        whatsapp.check_signature(request.body, request.headers.get("X-Hub-Signature-256", ""))
        reports, unread = whatsapp.reports(request.body)
    except NotSigned:
        return not_signed("whatsapp-cloud")
    return _receive(reports, "whatsapp-cloud", unread=unread)


def _receive(reports: list[Report], provider: str, *, unread: int = 0) -> HttpResponse:
    try:
        for each in reports:
            receipts.receive(each, at=timezone.now())
    except (OperationalError, InterfaceError) as fault:
        return database_unavailable(fault)
    log_unread_parts(provider, unread)
    return HttpResponse(status=204)
