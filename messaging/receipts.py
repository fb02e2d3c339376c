"""What providers report after they took a message: arrived, or not, and why.

A report may overtake our own record of the hand-over, come twice, late, out of order, or about a message that is not
ours. So it is first written down as it came, once, and then applied to its message if that is known; whoever records
that a provider took a message looks here for what the provider has already said. Whichever of the two comes second
sees the other: each commits its own row before it looks for the other's.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from messaging.transitions import move

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """One provider's word on one message."""

    provider: str  # what its gateway's name begins with: `twilio`, `whatsapp-cloud`, `smpp`, `postmark`
    provider_id: str  # the provider's name for the message
    state: str  # DELIVERED or UNDELIVERED
    detail: str = ""  # why not, in our words
    message_id: UUID | None = None  # ours, where the provider repeats it


def receive(report: Report, *, at: datetime) -> bool:
    """Keeps a report and applies it. False: known already, or about a message we have not (yet) recorded."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_providerreceipt (provider, provider_id, message_id, state, detail, at)
            VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (provider_id, provider, state) DO NOTHING
            """,
            [
                report.provider[:100], report.provider_id[:200], report.message_id, report.state,
                report.detail[:300], at,
            ],
        )  # fmt: skip
        if not cursor.rowcount:
            log.info("a report came again", extra={"provider": report.provider, "state": report.state})
            return False
    return _apply(report, at=at)


def catch_up(taken: Mapping[UUID, tuple[str, str]], *, at: datetime) -> None:
    """Applies what providers reported before we had written down that they took the messages.

    `taken`: our id -> the gateway's name and its name for the message.
    """
    ours = {provider_id: (message, gateway) for message, (gateway, provider_id) in taken.items() if provider_id}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT provider, provider_id, state, detail FROM messaging_providerreceipt"
            " WHERE provider_id = ANY(%s) ORDER BY id",
            [list(ours)],
        )
        reports = cursor.fetchall()
    for family, provider_id, state, detail in reports:
        message, gateway = ours[provider_id]
        if gateway.startswith(family):
            _apply(Report(family, provider_id, state, detail, message), at=at)


def came_back(reference: UUID, *, at: datetime) -> None:
    """A code was typed as it was sent: a message that brought it arrived, whatever its provider said of it.

    Changes nothing where another message of the code (a fallback) left well: that one may be what was read.
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


def _apply(report: Report, *, at: datetime) -> bool:
    """By our own id where the provider repeated it, else by its own; the diagram refuses what is settled."""
    where = "provider_id = %(provider_id)s AND starts_with(provider, %(family)s)"
    if report.message_id is not None:
        where = "id = %(message)s AND (provider_id IN ('', %(provider_id)s) OR provider = '')"
    moved = move(
        report.state,
        f"{where} AND handed_over_at IS NOT NULL",
        {"provider_id": report.provider_id, "family": report.provider, "message": report.message_id},
        at=at,
        detail=report.detail,
        also="provider_id = %(provider_id)s",
    )
    extra = {"provider": report.provider, "state": report.state, "known": bool(moved)}
    log.info("a provider reported", extra=extra)
    return bool(moved)
