"""Delivery receipts: what providers report after they took a message, and the message each report belongs to.

A report may arrive before our own record of the answer, twice, late, out of order, or about a message that is not ours.
So it is first stored as received, once, and then applied to its message if that is known. The code that records that a
provider took a message looks for reports stored earlier. Of these two transactions the second always sees the first:
each commits its own row before it looks for the other's.

A report settles one message, whose id is kept in the report's row:

| in the report                               | its message                                                          |
|---------------------------------------------|----------------------------------------------------------------------|
| our own id                                  | that one                                                             |
| its own id                                  | the latest that was handed over under this id                        |
| its own id and a number                     | the latest that was handed over under this id to this number         |
| its id in another spelling, and a number    | the same (SMPP: decimal for hexadecimal, leading zeros)              |
| an id that it did not give us, and a number | the latest to this number whose hand-over was answered without an id |

Where a provider reuses its ids (SMPP), a report counts only for a message that was handed over before it arrived.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from clients.keyed_hashes import keyed_hash, keyed_hashes
from clients.postgresql import exchange
from messaging import sql
from messaging.queue.transitions import move
from messaging.suppression import feedback
from messaging.transitions_sql import APPLY_REPORT, CONFIRM_BY_CODE

log = logging.getLogger(__name__)

_RECIPIENT, _KEY_LENGTH = "aval.receipt-recipient", 32
MAX_AGE_BY_NUMBER = timedelta(days=3)
"""Greatest age of a message that is found by its number alone; no SMSC keeps a message for longer."""


@dataclass(frozen=True, slots=True)
class Report:
    """One provider's report on one message."""

    provider: str  # prefix of its gateway's name: `twilio`, `whatsapp-cloud`, `smpp:host:port`, `postmark`
    provider_id: str  # the provider's id for the message
    state: str  # DELIVERED or UNDELIVERED
    detail: str = ""  # the reason, in our words
    message_id: UUID | None = None  # our id, where the provider repeats it
    recipients: frozenset[str] = frozenset()  # one of them is the recipient, as in Message; empty: not in the report
    spellings: frozenset[str] = frozenset()  # other forms in which the provider may have given provider_id
    reuses_ids: bool = False  # the provider may give a later message the id of an earlier one
    omits_ids: bool = False  # the provider may have taken the message without giving an id
    bounce: str = ""  # of a mail: HARD_BOUNCE or FAILURE where the recipient is the cause (`messaging.suppression`)


def receive(report: Report, *, at: datetime) -> bool:
    """Store a report and apply it. False: it changed nothing, or its message is not recorded (yet)."""
    candidate = None if report.message_id else _find_by_id(report, at=at)
    row = _save(report, candidate.name if candidate else report.provider_id, at=at)
    message = report.message_id or _id_of(candidate or _find_by_id(report, at=at)) or _find_by_number(report, at=at)
    moved = message is not None and apply(row, message, report, at=at)
    if report.bounce and message is not None:
        feedback.reported(message, report.bounce, detail=report.detail, at=at)
    log.info("a provider reported", extra={"provider": report.provider, "state": report.state, "known": moved})
    return moved


def message_of(report: Report, *, at: datetime) -> UUID | None:
    """Our id of the message of a report that names one of its own or ours."""
    return report.message_id or _id_of(_find_by_id(report, at=at))


def catch_up(taken: Mapping[UUID, tuple[str, str]], *, at: datetime) -> None:
    """Apply reports that arrived before we recorded that the providers took the messages.

    `taken`: our id -> (name of the gateway, the provider's id).
    """
    names = [provider_id for _, provider_id in taken.values() if provider_id]
    if not names:
        return
    (reports,) = exchange((sql.EARLY_RECEIPTS, {"ids": list(taken), "names": names}))
    for row, keys, family, provider_id, state, detail, bounce, message, recipient in reports:
        if is_about(recipient, keys):
            apply(row, message, Report(family, provider_id, state, detail), at=at)
            if bounce:
                feedback.reported(message, bounce, detail=detail, at=at)


def apply(row: int, message: UUID, report: Report, *, at: datetime) -> bool:
    """Apply the report in this row to a message, if the transition is allowed and it has settled no other message."""
    with transaction.atomic():
        moved = move(
            report.state,
            APPLY_REPORT,
            {"message": message, "name": report.provider_id, "spellings": list(report.spellings)},
            at=at,
            detail=report.detail,
        )
        if moved and not _claim_receipt(row, message):
            transaction.set_rollback(True)
            return False
    return bool(moved)


def key_of(recipient: str) -> str:
    """Keyed hash under which a report's row keeps a number: a report on no message of ours is in no erasure."""
    return keyed_hash(_RECIPIENT, recipient)[:_KEY_LENGTH]


def is_about(recipient: str, keys: Collection[str]) -> bool:
    """Whether a report that is kept with these keys may be about a message to the recipient; without any it names no
    number."""
    return not keys or any(each[:_KEY_LENGTH] in keys for each in keyed_hashes(_RECIPIENT, recipient))


def confirm_by_code(reference: UUID, *, at: datetime) -> None:
    """Mark a message DELIVERED because its code was entered correctly, whatever the provider reported.

    Changes nothing where another message with the code (a fallback) was taken: the code may come from that one.
    """
    move("DELIVERED", CONFIRM_BY_CODE, {"reference": reference}, at=at, detail="se ingresó su código")


def _save(report: Report, name: str, *, at: datetime) -> int:
    """Store the report and return the id of its row. A later report with the same id and state replaces it."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SAVE_RECEIPT,
            {
                "provider": report.provider[:100],
                "name": name[:200],
                "message": report.message_id,
                "state": report.state,
                "detail": report.detail[:300],
                "at": at,
                "bounce": report.bounce,
                "recipients": [key_of(each) for each in sorted(report.recipients)],
            },
        )
        return int(cursor.fetchone()[0])


def _claim_receipt(row: int, message: UUID) -> bool:
    """Assign the report to a message, once. False: it belongs to another message.

    The row's number is dropped, and its provider_id becomes the message's, by which an erasure finds it.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.CLAIM_RECEIPT, {"row": row, "message": message})
        return bool(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A message that a report may belong to. `name`: the provider's id for it, as we recorded it."""

    id: UUID
    name: str


def _id_of(candidate: _Candidate | None) -> UUID | None:
    return candidate.id if candidate else None


def _find_by_id(report: Report, *, at: datetime) -> _Candidate | None:
    """The latest message with this provider id, and with the report's recipient where it has one."""
    if not report.provider_id:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            sql.FIND_BY_ID,
            {
                "names": [report.provider_id, *report.spellings],
                "name": report.provider_id,
                "family": report.provider,
                "at": at,
                "reuses_ids": report.reuses_ids,
                "recipients": list(report.recipients),
                "has_no_recipient": not report.recipients,
            },
        )
        row = cursor.fetchone()
    return _Candidate(*row) if row else None


def _find_by_number(report: Report, *, at: datetime) -> UUID | None:
    """The latest message to this number that the provider took, or may have taken, without giving an id.

    None while another message to the number is being handed over: the report may belong to that one.
    """
    if not report.omits_ids or not report.recipients:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            sql.FIND_BY_NUMBER,
            {
                "recipients": list(report.recipients),
                "since": at - MAX_AGE_BY_NUMBER,
                "provider": report.provider,
                "at": at,
            },
        )
        row = cursor.fetchone()
    return row[0] if row else None
