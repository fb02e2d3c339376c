"""One ApiRequest row for each call, written when the answer is known; its number is taken when somebody asks for it."""

import logging
from datetime import datetime
from uuid import UUID

from django.db import Error, connection

from external_api.models import ApiRequest

log = logging.getLogger(__name__)


def next_id() -> int:
    """A number of its own for each call, also one that leaves no row (the sequence of ApiRequest's key)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('external_api_apirequest_id_seq')")
        return int(cursor.fetchone()[0])


def write(
    *, id: int | None, contract: str, partner_id: int | None, user: str, action: str, status: int, code: str,
    address: str, duration_ms: int, at: datetime, subject: UUID | None = None,
    successes: int | None = None, failures: int | None = None,
) -> None:  # fmt: skip
    """Never raises: an answer that was earned is not lost because its log row could not be written."""
    try:
        ApiRequest(
            id=id, contract=contract, partner_id=partner_id, user=user, action=action, status=status, code=code,
            address=address, duration_ms=duration_ms, created_at=at, subject=subject,
            successes=successes, failures=failures,
        ).save(force_insert=True)  # fmt: skip
    except Error as fault:
        log.error(
            "a request could not be logged", extra={"action": action, "status": status, "fault": repr(fault)[:200]}
        )
