"""Delivery receipts: what providers report after they took a message.

A receipt may arrive before our own record of the hand-over, twice, late, out of order, or about a message that is not
ours. So it is first stored as it came, once, and then applied to its message if that is known. Whoever records that a
provider took a message looks here for earlier receipts. Whichever of the two comes second sees the other: each commits
its own row before it looks for the other's.

A receipt settles one message, and its row says which:

| what the provider repeats                   | its message                                                          |
|---------------------------------------------|----------------------------------------------------------------------|
| our own id                                  | that one                                                             |
| its own id                                  | the latest that was handed over under this id                        |
| its own id and a number                     | the latest that was handed over under this id to this number         |
| its id in another spelling, and a number    | the same (SMPP: decimal for hexadecimal, leading zeros)              |
| an id that it did not give us, and a number | the latest to this number whose hand-over was answered without an id |

If a provider reuses its ids (SMPP), only receipts after a message's hand-over count for it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from messaging.queue.transitions import move

log = logging.getLogger(__name__)

BY_NUMBER = timedelta(days=3)
"""Greatest age of a message that a receipt finds by its number alone; no SMSC keeps one longer."""
_OF_FAMILY = "({0}.provider = {1} OR starts_with({0}.provider, {1} || ':'))"
"""A gateway's name begins with its provider's: `twilio:S:+1202`. SMSCs report under the whole name."""
EARLY = "receipt.at >= message.handed_over_at AND (receipt.message_id IS NULL OR receipt.message_id = message.id)"
"""Receipt that came after the message's hand-over and has settled no other message."""


@dataclass(frozen=True, slots=True)
class Report:
    """Receipt of a provider about one message."""

    provider: str  # what its gateway's name begins with: `twilio`, `whatsapp-cloud`, `smpp:host:port`, `postmark`
    provider_id: str  # the provider's name for the message
    state: str  # DELIVERED or UNDELIVERED
    detail: str = ""  # why not, in our words
    message_id: UUID | None = None  # ours, where the provider repeats it
    recipients: frozenset[str] = frozenset()  # one of them is whom it went to, as in Message; none: it does not say
    spellings: frozenset[str] = frozenset()  # provider_id as the provider may have written it before
    reuses_ids: bool = False  # the provider names a later message like an earlier one
    omits_ids: bool = False  # the provider may have taken the message without naming it


def receive(report: Report, *, at: datetime) -> bool:
    """Store a receipt and apply it. False: it changed nothing, or its message is not (yet) recorded."""
    known = None if report.message_id else _by_name(report, at=at)
    row = _keep(report, known.name if known else report.provider_id, at=at)
    message = report.message_id or _meant(known or _by_name(report, at=at)) or _by_number(report, at=at)
    moved = message is not None and apply(row, message, report, at=at)
    log.info("a provider reported", extra={"provider": report.provider, "state": report.state, "known": moved})
    return moved


def catch_up(taken: Mapping[UUID, tuple[str, str]], *, at: datetime) -> None:
    """Apply receipts that came before we recorded that the provider took the messages.

    `taken`: our id -> the gateway's name and its id for the message.
    """
    names = [provider_id for _, provider_id in taken.values() if provider_id]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT receipt.id, receipt.recipients, receipt.provider, receipt.provider_id, receipt.state,
                   receipt.detail, message.id, message.recipient
            FROM messaging_providerreceipt AS receipt JOIN messaging_message AS message
              ON message.id = ANY(%(ids)s) AND message.provider_id = receipt.provider_id
             AND {_OF_FAMILY.format("message", "receipt.provider")}
            WHERE receipt.provider_id = ANY(%(names)s) AND {EARLY}
            ORDER BY receipt.at, receipt.id
            """,  # noqa: S608  this module's constants
            {"ids": list(taken), "names": names},
        )
        reports = cursor.fetchall()
    for row, keys, family, provider_id, state, detail, message, recipient in reports:
        if not keys or key_of(recipient) in keys:
            apply(row, message, Report(family, provider_id, state, detail), at=at)


def apply(row: int, message: UUID, report: Report, *, at: datetime) -> bool:
    """Settle a message by this receipt, unless the transition is not allowed or the receipt has settled another
    message."""
    with transaction.atomic():
        moved = move(
            report.state,
            "id = %(message)s AND handed_over_at IS NOT NULL"
            " AND (provider_id IN ('', id::text, %(name)s) OR provider_id = ANY(%(spellings)s) OR provider = '')",
            {"message": message, "name": report.provider_id, "spellings": list(report.spellings)},
            at=at,
            detail=report.detail,
            also="provider_id = CASE WHEN provider_id IN ('', id::text) AND %(name)s <> '' THEN %(name)s"
            " ELSE provider_id END",
        )
        if moved and not _has_settled(row, message):
            transaction.set_rollback(True)
            return False
    return bool(moved)


def key_of(recipient: str) -> str:
    """Keyed hash of a number: a receipt may be about no message of ours, and then no erasure would find it."""
    return salted_hmac("aval.receipt-recipient", recipient, algorithm="sha256").hexdigest()[:32]


def came_back(reference: UUID, *, at: datetime) -> None:
    """A code was verified: the message that carried it arrived, whatever its provider said.

    Changes nothing if another message of the code (a fallback) was sent: that one may be what was read.
    """
    move(
        "DELIVERED",
        """id = (
            SELECT id FROM messaging_message
            WHERE reference = %(reference)s AND state IN ('UNDELIVERED', 'UNKNOWN') AND NOT EXISTS (
                SELECT FROM messaging_message AS other
                WHERE other.reference = %(reference)s AND (
                    other.state IN ('SENT', 'DELIVERED') OR other.state = 'SENDING' AND other.handed_over_at IS NOT NULL
                )
            )
            ORDER BY state = 'UNKNOWN' DESC, handed_over_at DESC LIMIT 1
        )""",
        {"reference": reference},
        at=at,
        detail="se ingresó su código",
    )


def _keep(report: Report, name: str, *, at: datetime) -> int:
    """Store the receipt; it replaces an equal one about the same id. Returns its row."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_providerreceipt (provider, provider_id, message_id, state, detail, at, recipients)
            VALUES (%(provider)s, %(name)s, %(message)s, %(state)s, %(detail)s, %(at)s, %(recipients)s)
            ON CONFLICT (provider_id, provider, state) DO UPDATE SET
                message_id = excluded.message_id, detail = excluded.detail, at = excluded.at,
                recipients = excluded.recipients
            RETURNING id
            """,
            {
                "provider": report.provider[:100],
                "name": name[:200],
                "message": report.message_id,
                "state": report.state,
                "detail": report.detail[:300],
                "at": at,
                "recipients": [key_of(each) for each in sorted(report.recipients)],
            },
        )
        return int(cursor.fetchone()[0])


def _has_settled(row: int, message: UUID) -> bool:
    """Record which message the receipt settled, once; False: it was another one. Its number is no longer needed, and
    its id is the message's from now on, so that an erasure finds it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE messaging_providerreceipt AS receipt SET message_id = message.id, recipients = '{}',
                provider_id = CASE WHEN EXISTS (
                    SELECT FROM messaging_providerreceipt AS other WHERE other.provider_id = message.provider_id
                      AND other.provider = receipt.provider AND other.state = receipt.state
                ) THEN receipt.provider_id ELSE message.provider_id END
            FROM messaging_message AS message
            WHERE receipt.id = %(row)s AND message.id = %(message)s
              AND (receipt.message_id IS NULL OR receipt.message_id = message.id)
            """,
            {"row": row, "message": message},
        )
        return bool(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class _Known:
    """Message that a receipt may be about, and the provider's id for it as we have it."""

    id: UUID
    name: str


def _meant(known: _Known | None) -> UUID | None:
    return known.id if known else None


def _by_name(report: Report, *, at: datetime) -> _Known | None:
    """The latest message that the provider knows by this id; to the number in the receipt, if it has one."""
    if not report.provider_id:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, provider_id FROM messaging_message AS message
            WHERE provider_id = ANY(%(names)s) AND {_OF_FAMILY.format("message", "%(family)s")}
              AND handed_over_at IS NOT NULL AND (handed_over_at <= %(at)s OR NOT %(reuses_ids)s)
              AND (recipient = ANY(%(recipients)s) OR provider_id = %(name)s AND %(names_nobody)s)
            ORDER BY provider_id = %(name)s DESC, handed_over_at DESC LIMIT 1
            """,  # noqa: S608  this module's constants
            {
                "names": [report.provider_id, *report.spellings],
                "name": report.provider_id,
                "family": report.provider,
                "at": at,
                "reuses_ids": report.reuses_ids,
                "recipients": list(report.recipients),
                "names_nobody": not report.recipients,
            },
        )
        row = cursor.fetchone()
    return _Known(*row) if row else None


def _by_number(report: Report, *, at: datetime) -> UUID | None:
    """The latest message to this number that the provider took, or may have taken, without giving an id.

    None while another one to it is being handed over: the receipt may be about that one, whose id is not known yet.
    """
    if not report.omits_ids or not report.recipients:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM messaging_message AS message
            WHERE recipient = ANY(%(recipients)s) AND created_at >= %(since)s AND provider = %(provider)s
              AND state IN ('SENT', 'UNKNOWN') AND handed_over_at <= %(at)s AND provider_id IN ('', id::text)
              AND NOT EXISTS (
                  SELECT FROM messaging_message AS other
                  WHERE other.recipient = message.recipient AND other.created_at >= %(since)s
                    AND other.provider = message.provider
                    AND other.state = 'SENDING' AND other.handed_over_at IS NOT NULL
              )
            ORDER BY handed_over_at DESC LIMIT 1
            """,
            {"recipients": list(report.recipients), "since": at - BY_NUMBER, "provider": report.provider, "at": at},
        )
        row = cursor.fetchone()
    return row[0] if row else None
