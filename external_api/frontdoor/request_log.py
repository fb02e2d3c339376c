"""Request log: one ApiRequest row a call, written when the answer is known, or together with what the call changes.

Its id is taken when first needed.
"""

import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import Error, connection

from clients.errors import Refused
from external_api import sql
from external_api.frontdoor.errors import Unavailable

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView

log = logging.getLogger(__name__)


def next_id() -> int:
    """Take an id from the sequence of ApiRequest's key; each call has its own, also one that leaves no row."""
    with connection.cursor() as cursor:
        cursor.execute(sql.NEXT_REQUEST_ID)
        return int(cursor.fetchone()[0])


def id_in_answer(error: Refused, view: "ContractView | None") -> int:
    """Id to put into the answer to an error: the call's own; 0 when the database that counts them is unavailable."""
    try:
        if view is not None:
            return view.request_id
        return 0 if isinstance(error, Unavailable) else next_id()
    except Error:
        return 0


def row(
    *,
    contract: str,
    partner_id: int | None,
    user: str,
    action: str,
    status: int,
    code: str,
    address: str,
    started: float,
    at: datetime,
    subject: UUID | None = None,
    successes: int | None = None,
    failures: int | None = None,
) -> dict[str, Any]:
    """Values of a row but for its id, as parameters of INSERT. `started`: of the call, by `time.perf_counter`."""
    return {
        "request_contract": contract,
        "request_partner_id": partner_id,
        "request_user": user,
        "request_subject": subject,
        "request_action": action,
        "request_status": status,
        "request_code": code,
        "request_successes": successes,
        "request_failures": failures,
        "request_address": address or None,
        "request_duration_ms": round((time.perf_counter() - started) * 1000),
        "request_created_at": at,
    }


def write(id: int | None, values: dict[str, Any]) -> None:
    """Write a row. Never raises: an answer is not lost because its log row could not be written."""
    try:
        with connection.cursor() as cursor:
            if id is None:
                cursor.execute(sql.INSERT_REQUEST, values)
            else:
                cursor.execute(sql.INSERT_REQUEST_WITH_ID, values | {"request_id": id})
    except Error as fault:
        extra = {"action": values["request_action"], "status": values["request_status"], "fault": repr(fault)[:200]}
        log.error("a request could not be logged", extra=extra)
