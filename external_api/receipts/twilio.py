"""Twilio's status callbacks for messages and calls (X-Twilio-Signature; source: Twilio, Webhooks security)."""

from collections.abc import Mapping
from uuid import UUID

from django.conf import settings
from django.http import QueryDict
from twilio.request_validator import RequestValidator

from external_api.receipts.errors import NotReadable, NotSigned
from messaging.delivery.receipts import Report
from messaging.gateways import accounts
from messaging.gateways.http import identifier
from messaging.gateways.twilio_codes import RECEIPT
from messaging.models import Message

DELIVERED, UNDELIVERED = Message.State.DELIVERED, Message.State.UNDELIVERED

MESSAGE = {
    "delivered": (DELIVERED, ""),
    "read": (DELIVERED, ""),
    "undelivered": (UNDELIVERED, ""),
    "failed": (UNDELIVERED, ""),
    "canceled": (UNDELIVERED, "el mensaje se canceló"),
}
CALL = {
    "completed": (DELIVERED, "la llamada fue contestada"),
    "busy": (UNDELIVERED, "el teléfono estaba ocupado"),
    "no-answer": (UNDELIVERED, "nadie contestó"),
    "failed": (UNDELIVERED, "no se pudo llamar al número"),
    "canceled": (UNDELIVERED, "la llamada se canceló"),
}
"""The final statuses; earlier ones add nothing to our own record."""


def check_signature(path: str, form: QueryDict, signature: str) -> None:
    """Raises NotSigned unless one of our accounts' tokens made the signature, for the URL that Twilio was given.

    The signature covers every value of a repeated parameter, so the form goes in whole.
    """
    url = settings.PUBLIC_URL + path
    tokens = [each.password for each in accounts("twilio") if each.user in form.getlist("AccountSid")]
    if not any(RequestValidator(token).validate(url, form, signature) for token in tokens):
        raise NotSigned


def report(form: Mapping[str, str], ours: UUID) -> Report | None:
    """Report of a callback; None where its status is not final. Raises NotReadable: it names no message."""
    is_call = "CallSid" in form
    status = form.get("CallStatus" if is_call else "MessageStatus", form.get("SmsStatus", "")).strip().lower()
    found = (CALL if is_call else MESSAGE).get(status.replace("cancelled", "canceled"))
    if found is None:
        return None
    sid = identifier(form.get("CallSid") or form.get("MessageSid") or form.get("SmsSid"))
    if not sid:
        raise NotReadable
    state, detail = found
    return Report("twilio", sid, state, detail or _reason(form.get("ErrorCode", "")), ours)


def _reason(code: str) -> str:
    if not code.isascii() or not code.isdigit() or len(code) > 6 or int(code) == 0:
        return ""
    return f"{RECEIPT.get(int(code), 'motivo de Twilio')} ({code})"
