"""Webhook of the WhatsApp Cloud API: challenge and message statuses (X-Hub-Signature-256; source: Meta, Webhooks)."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings

from external_api.receipts.errors import NotSigned
from messaging.delivery.receipts import Report
from messaging.gateways.http import identifier, number
from messaging.gateways.whatsapp_codes import REQUEST
from messaging.models import Message

STATES = {"delivered": Message.State.DELIVERED, "read": Message.State.DELIVERED, "failed": Message.State.UNDELIVERED}
"""`sent` is left out: our own record has it already."""


def challenge(query: Any) -> str:
    """The challenge to send back when the operator registers the URL at Meta. Raises NotSigned."""
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


def reports(body: bytes) -> tuple[list[Report], int]:
    """All final reports of a notification, which may hold many, and the number of its malformed parts.

    A notification that is not JSON is one such part.
    """
    try:
        notification = json.loads(body.decode("utf-8-sig", "replace"), parse_int=_integer)
    except (ValueError, RecursionError):
        return [], 1
    found = list(_statuses(notification))
    read = [_report(each) for each in found if isinstance(each, dict)]
    return [each for each in read if isinstance(each, Report)], found.count(UNREAD) + read.count(UNREAD)


UNREAD = "unread"
"""Marks a part of another shape than Meta documents."""


def _statuses(notification: Any) -> Iterator[dict[str, Any] | str]:
    for entry in _each(_of(notification, "entry")):
        for change in _each(_of(entry, "changes")):
            value = _of(change, "value")
            if not isinstance(value, dict):
                yield UNREAD
            elif value.get("statuses"):  # messages of clients have none
                yield from _each(value["statuses"])


def _report(status: dict[str, Any]) -> Report | str | None:
    """Report of one status; None where it is not final."""
    name_of_status, name = status.get("status"), identifier(status.get("id"))
    if not isinstance(name_of_status, str) or not name:
        return UNREAD
    state = STATES.get(name_of_status.lower())
    ours = _uuid(status.get("biz_opaque_callback_data"))
    return Report("whatsapp-cloud", name, state, _reason(status), ours) if state is not None else None


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _each(value: Any) -> Iterator[dict[str, Any] | str]:
    """The objects of a list; an object in place of a list counts as a list of one."""
    parts = value if isinstance(value, list) else [value]
    for each in parts:
        yield each if isinstance(each, dict) else UNREAD


def _reason(status: dict[str, Any]) -> str:
    for error in _each(status.get("errors")):
        code = number(_of(error, "code"))
        if code is not None:
            known = REQUEST.get(code)
            return f"{known.reason if known else 'motivo de Meta'} ({code})"
    return ""


def _integer(digits: str) -> int | str:
    """Keep a huge integer as text: Python refuses to read thousands of digits, and with them the whole notification."""
    return int(digits) if len(digits) <= 20 else digits


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
