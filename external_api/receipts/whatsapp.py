"""The Cloud API's webhook: its challenge, and what became of messages (X-Hub-Signature-256; source: Meta, Webhooks)."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings

from external_api.receipts.errors import NotReadable, NotSigned
from messaging.gateways.whatsapp_codes import REQUEST
from messaging.models import Message
from messaging.receipts import Report

STATES = {
    "delivered": Message.State.DELIVERED,
    "read": Message.State.DELIVERED,
    "failed": Message.State.UNDELIVERED,
}
"""`sent` is what our own record says already."""


def challenge(query: Any) -> str:
    """What Meta wants back when the operator registers the address. Raises NotSigned."""
    expected, given = settings.WHATSAPP_VERIFY_TOKEN, query.get("hub.verify_token", "")
    same = hmac.compare_digest(expected.encode(), given.encode())
    if not expected or not same or query.get("hub.mode") != "subscribe":
        raise NotSigned
    return str(query.get("hub.challenge", ""))


def check_signature(body: bytes, signature: str) -> None:
    """Raises NotSigned unless the app's secret made it."""
    secret = settings.WHATSAPP_APP_SECRET
    made = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(made.encode(), signature.encode()):
        raise NotSigned


def reports(body: bytes) -> list[Report]:
    """Every last word on a message in a notification, which may hold many. Raises NotReadable."""
    try:
        return list(_reports(json.loads(body)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as fault:
        raise NotReadable from fault


def _reports(notification: Any) -> Iterator[Report]:
    for entry in notification["entry"]:
        for change in entry["changes"]:
            for status in change["value"].get("statuses") or ():
                state = STATES.get(status["status"])
                if state is not None:
                    ours = _uuid(status.get("biz_opaque_callback_data"))
                    yield Report("whatsapp-cloud", str(status["id"]), state, _reason(status), ours)


def _reason(status: dict[str, Any]) -> str:
    errors = status.get("errors") or []
    code = errors[0].get("code") if errors else None
    if not isinstance(code, int):
        return ""
    known = REQUEST.get(code)
    return f"{known.reason if known else 'motivo de Meta'} ({code})"


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
