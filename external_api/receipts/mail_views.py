"""The webhooks of the mail services: django-anymail's views, without its exceptions for what strangers send.

A wrong password or signature is one line in the log and 403; an event that cannot be read is skipped and logged, and
the others of its batch count.
"""

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.webhooks.base import AnymailCoreWebhookView
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from external_api.receipts.answers import away, not_signed, some_unread, too_large

log = logging.getLogger(__name__)

_ODD = (
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
"""What anymail raises at an event of another shape, or of another kind of webhook."""

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


class _Tolerant(AnymailCoreWebhookView):
    """In front of a service's view."""

    service = ""
    unread = 0

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if too_large(request):
            return HttpResponse(status=413)
        try:
            self.run_validators(request)
        except (AnymailWebhookValidationFailure, *_ODD):
            return not_signed(self.service)
        try:
            for event in self._events(request):
                if self.signal is not None:
                    self.signal.send(sender=type(self), event=event, esp_name=self.esp_name)
        except (OperationalError, InterfaceError) as fault:
            return away(fault)
        some_unread(self.service, self.unread)
        return HttpResponse()

    def _events(self, request: HttpRequest) -> list[Any]:
        try:
            return [event for event in self.parse_events(request) if event is not None]
        except _ODD:
            self.unread += 1
            return []

    def esp_to_anymail_event(self, *args: Any) -> Any:
        try:
            return super().esp_to_anymail_event(*args)
        except _ODD:
            self.unread += 1
            return None

    def unwrap_event(self, raw_event: Any) -> Any:
        """SparkPost's alone: one that holds nothing is left out by anymail."""
        try:
            return super().unwrap_event(raw_event)
        except _ODD:
            self.unread += 1
            return None, None, raw_event


def view(service: str) -> Callable[..., HttpResponseBase]:
    """The tracking webhook of a mail service."""
    module, name = _VIEWS[service]
    base = getattr(import_module(f"anymail.webhooks.{module}"), name)
    made: Any = type(name, (_Tolerant, base), {"service": service})
    found: Callable[..., HttpResponseBase] = made.as_view()
    return found
