"""Request log: one ApiRequest row a call, written when the answer is known. Its id is taken when first needed."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import Error, connection

from clients.errors import Refused
from external_api.frontdoor.errors import Unavailable
from external_api.models import ApiRequest

if TYPE_CHECKING:
    from external_api.frontdoor.views import ContractView

log = logging.getLogger(__name__)


def _insert(columns: list[str]) -> str:
    """The INSERT of these columns, with parameters of their names."""
    names, values = (", ".join(form.format(each) for each in columns) for form in ('"{}"', "%({})s"))
    return f"INSERT INTO {ApiRequest._meta.db_table} ({names}) VALUES ({values})"  # noqa: S608  the model's own names


_WITH_ID = [str(field.column) for field in ApiRequest._meta.concrete_fields]
_INSERT_WITH_ID = _insert(_WITH_ID)
_INSERT = _insert([column for column in _WITH_ID if column != "id"])


def next_id() -> int:
    """Take an id from the sequence of ApiRequest's key; each call has its own, also one that leaves no row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('external_api_apirequest_id_seq')")
        return int(cursor.fetchone()[0])


def id_in_answer(error: Refused, view: "ContractView | None") -> int:
    """Id to put into the answer to an error: the call's own; 0 when the database that counts them is unavailable."""
    try:
        if view is not None:
            return view.request_id
        return 0 if isinstance(error, Unavailable) else next_id()
    except Error:
        return 0


def write(
    *,
    id: int | None,
    contract: str,
    partner_id: int | None,
    user: str,
    action: str,
    status: int,
    code: str,
    address: str,
    duration_ms: int,
    at: datetime,
    subject: UUID | None = None,
    successes: int | None = None,
    failures: int | None = None,
) -> None:
    """Write the row. Never raises: an answer is not lost because its log row could not be written."""
    row = {
        "contract": contract,
        "partner_id": partner_id,
        "user": user,
        "subject": subject,
        "action": action,
        "status": status,
        "code": code,
        "successes": successes,
        "failures": failures,
        "address": address or None,
        "duration_ms": duration_ms,
        "created_at": at,
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute(*((_INSERT, row) if id is None else (_INSERT_WITH_ID, row | {"id": id})))
    except Error as fault:
        log.error(
            "a request could not be logged", extra={"action": action, "status": status, "fault": repr(fault)[:200]}
        )
