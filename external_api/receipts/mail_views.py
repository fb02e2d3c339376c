"""Webhooks of the mail services: django-anymail's views, without its exceptions for malformed or unsigned requests.

A wrong password or signature is one line in the log and 403; a malformed event is skipped and logged, and the others of
its batch count.
"""

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.webhooks.base import AnymailCoreWebhookView
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from external_api.receipts.answers import database_unavailable, log_unread_parts, not_signed, too_large

log = logging.getLogger(__name__)

_MALFORMED = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
    OSError,
    AnymailConfigurationError,
)
"""Exceptions of anymail for an event of another shape, or of another kind of webhook."""

_VIEWS: Mapping[str, tuple[str, str]] = {
    "postmark": ("postmark", "PostmarkTrackingWebhookView"),
    "mailgun": ("mailgun", "MailgunTrackingWebhookView"),
    "brevo": ("brevo", "BrevoTrackingWebhookView"),
    "resend": ("resend", "ResendTrackingWebhookView"),
    "sparkpost": ("sparkpost", "SparkPostTrackingWebhookView"),
    "mandrill": ("mandrill", "MandrillCombinedWebhookView"),
    "mailersend": ("mailersend", "MailerSendTrackingWebhookView"),
    "mailjet": ("mailjet", "MailjetTrackingWebhookView"),
}


class _TolerantView(AnymailCoreWebhookView):
    """Mixin in front of a service's view."""

    service = ""
    unread = 0

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if too_large(request):
            return HttpResponse(status=413)
        try:
            self.run_validators(request)
        except (AnymailWebhookValidationFailure, *_MALFORMED):
            return not_signed(self.service)
        try:
            for event in self._events(request):
                if self.signal is not None:
                    self.signal.send(sender=type(self), event=event, esp_name=self.esp_name)
        except (OperationalError, InterfaceError) as fault:
            return database_unavailable(fault)
        log_unread_parts(self.service, self.unread)
        return HttpResponse()

    def _events(self, request: HttpRequest) -> list[Any]:
        try:
            return [event for event in self.parse_events(request) if event is not None]
        except _MALFORMED:
            self.unread += 1
            return []

    def esp_to_anymail_event(self, *args: Any) -> Any:
        try:
            return super().esp_to_anymail_event(*args)
        except _MALFORMED:
            self.unread += 1
            return None

    def unwrap_event(self, raw_event: Any) -> Any:
        """SparkPost's alone: anymail leaves out an event without content."""
        try:
            return super().unwrap_event(raw_event)
        except _MALFORMED:
            self.unread += 1
            return None, None, raw_event


def view(service: str) -> Callable[..., HttpResponseBase]:
    """View of the tracking webhook of a mail service."""
    module, name = _VIEWS[service]
    base = getattr(import_module(f"anymail.webhooks.{module}"), name)
    made: Any = type(name, (_TolerantView, base), {"service": service})
    found: Callable[..., HttpResponseBase] = made.as_view()
    return found
