"""Twilio's status callbacks for messages and calls (X-Twilio-Signature; source: Twilio, Webhooks security)."""

from collections.abc import Mapping
from uuid import UUID

from django.conf import settings
from twilio.request_validator import RequestValidator

from external_api.receipts.errors import NotSigned
from messaging.gateways import accounts
from messaging.gateways.twilio_codes import RECEIPT
from messaging.models import Message
from messaging.receipts import Report

DELIVERED, UNDELIVERED = Message.State.DELIVERED, Message.State.UNDELIVERED

MESSAGE = {"delivered": DELIVERED, "read": DELIVERED, "undelivered": UNDELIVERED, "failed": UNDELIVERED}
CALL = {
    "completed": (DELIVERED, "la llamada fue contestada"),
    "busy": (UNDELIVERED, "el teléfono estaba ocupado"),
    "no-answer": (UNDELIVERED, "nadie contestó"),
    "failed": (UNDELIVERED, "no se pudo llamar al número"),
    "canceled": (UNDELIVERED, "la llamada se canceló"),
}
"""The final ones; what comes before them tells us nothing we do not know."""


def check_signature(path: str, form: Mapping[str, str], signature: str) -> None:
    """Raises NotSigned unless one of our accounts' tokens made the signature for the address Twilio was given."""
    url = settings.PUBLIC_URL + path
    tokens = [each.password for each in accounts("twilio") if each.user == form.get("AccountSid")]
    if not any(RequestValidator(token).validate(url, dict(form), signature) for token in tokens):
        raise NotSigned


def report(form: Mapping[str, str], ours: UUID) -> Report | None:
    """What a callback says; None where it is not the last word."""
    if "CallSid" in form:
        state, detail = CALL.get(form.get("CallStatus", ""), (None, ""))
        return Report("twilio", form["CallSid"], state, detail, ours) if state else None
    found = MESSAGE.get(form.get("MessageStatus", ""))
    sid = form.get("MessageSid", "")
    return Report("twilio", sid, found, _reason(form.get("ErrorCode", "")), ours) if found and sid else None


def _reason(code: str) -> str:
    if not code.isascii() or not code.isdigit() or len(code) > 6 or int(code) == 0:
        return ""
    return f"{RECEIPT.get(int(code), 'motivo de Twilio')} ({code})"
