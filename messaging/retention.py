"""Retention and erasure of messages: blanks recipient and texts, keeps company, via, times and state.

Company, credential, request and campaign stay, for statistics and because a company that routes messages must be able
to show their origin (DL 1723). A message that is queued, being sent, or may still need its seal is not changed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from clients.retention import BATCH, RetentionRule, delete_sql_of, period_of
from messaging import sql
from messaging.models import Message, ProviderReceipt, SandboxMessage
from messaging.queue.transitions import move
from messaging.transitions_sql import CANCEL

_ADDRESS = r"[^\s<>\"''(),;:]+@[^\s<>\"''(),;:]+"
_PHONE = r"\+?([0-9]{2,3}[ -]?)?9[0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}"
_REPLY = f"regexp_replace(regexp_replace(provider_reply, '{_ADDRESS}', '•••', 'g'), '{_PHONE}', '•••', 'g')"
"""SQL: the provider's reply without the mailbox or telephone that it may repeat."""

_BLANK = f"""
    recipient = '', subject = '', text = '', html = '', provider_id = '', sealed = NULL, kept_until = NULL,
    claim_id = NULL, provider_reply = {_REPLY}
"""
"""SET clauses that blank a settled message. The claim goes too, so that a very late answer overwrites nothing."""

OF_THEIR_CODES = f"""
    messages AS MATERIALIZED (
        SELECT message.id FROM their_codes JOIN messaging_message AS message ON message.reference = their_codes.id
        WHERE message.recipient <> '' AND message.state NOT IN ('QUEUED', 'SENDING')
    ), events AS (
        DELETE FROM messaging_messageevent AS event USING messages WHERE event.message_id = messages.id
    ), unaddressed AS (
        UPDATE messaging_message AS message SET {_BLANK} FROM messages WHERE message.id = messages.id
    )
"""  # noqa: S608  this module's constants
"""Part of a statement with the CTE `their_codes`, ids of codes: blanks their messages in the same statement, because
without the codes these messages could not be found any more."""

LONGEST_CAMPAIGN = timedelta(days=30)
"""Longest time that a campaign takes."""

RULES = (
    RetentionRule(
        "messages",
        # a campaign that still runs needs the recipients, so as not to write to one twice
        """
        SELECT message.id FROM messaging_message AS message
        WHERE recipient <> '' AND created_at < %(before)s AND state NOT IN ('QUEUED', 'SENDING')
          AND kept_until IS NULL AND NOT EXISTS (
              SELECT FROM messaging_campaign AS campaign
              WHERE campaign.id = message.campaign_id AND campaign.state IN ('SCHEDULED', 'SENDING', 'PAUSED')
          )
        ORDER BY created_at
        """,
        f"""
        , events AS (DELETE FROM messaging_messageevent AS event USING over WHERE event.message_id = over.id)
        , blanked AS (UPDATE messaging_message AS message SET {_BLANK} FROM over WHERE message.id = over.id)
        SELECT count(*) FROM over
        """,  # noqa: S608  this module's constants
        period_of("messages"),
        of="message",
    ),
    # a campaign may have made a message for a client whom it had read just before their erasure
    RetentionRule(
        "messages_of_the_erased",
        """
        SELECT message.id FROM clients_authorizedclient AS client
        CROSS JOIN messaging_campaign AS campaign
        JOIN messaging_message AS message
          ON message.campaign_id = campaign.id AND message.authorized_client_id = client.id
        WHERE client.forgotten_at >= %(before)s AND campaign.state <> 'DRAFT' AND campaign.started_at >= %(before)s
          AND message.recipient <> '' AND message.state NOT IN ('QUEUED', 'SENDING')
        """,
        f"""
        , blanked AS (UPDATE messaging_message AS message SET {_BLANK} FROM over WHERE message.id = over.id)
        SELECT count(*) FROM over
        """,  # noqa: S608  this module's constants
        lambda: LONGEST_CAMPAIGN,
        of="message",
    ),
    RetentionRule(
        "receipts",
        "SELECT id FROM messaging_providerreceipt WHERE at < %(before)s ORDER BY at",
        delete_sql_of("messaging_providerreceipt"),
        period_of("receipts"),
    ),
    RetentionRule(
        "feedback",  # as long as the messages that it is about
        "SELECT id FROM messaging_recipientfeedback WHERE mailbox <> '' AND at < %(before)s ORDER BY at",
        """
        , blanked AS (
            UPDATE messaging_recipientfeedback AS feedback SET mailbox = '', detail = ''
            FROM over WHERE feedback.id = over.id
        )
        SELECT count(*) FROM over
        """,
        period_of("messages"),
    ),
    # a live one stays: without it the mailbox would get mail again
    RetentionRule(
        "suppressions",
        "SELECT id FROM messaging_suppression WHERE lifted_at < %(before)s ORDER BY lifted_at",
        delete_sql_of("messaging_suppression"),
        period_of("suppressions"),
    ),
    # few rows, all of them about providers
    RetentionRule(
        "provider_events",
        "SELECT id FROM messaging_providerevent WHERE at < %(before)s ORDER BY id",
        delete_sql_of("messaging_providerevent"),
        period_of("provider_events"),
    ),
    RetentionRule(
        "sandbox",
        "SELECT id FROM messaging_sandboxmessage WHERE created < %(before)s ORDER BY id",
        delete_sql_of("messaging_sandboxmessage"),
        period_of("sandbox"),
    ),
    RetentionRule(
        "rate_counts",  # ends_at is in each row
        "SELECT key AS id FROM messaging_ratecount WHERE ends_at < %(at)s ORDER BY ends_at",
        delete_sql_of("messaging_ratecount", "key"),
        lambda: timedelta(0),
    ),
)


class MessageBeingSent(Exception):
    """One of the messages is being handed over to a provider. Its state is settled within a minute."""


def messages_of(
    *, references: Sequence[UUID], clients: Sequence[int], mailboxes: Sequence[str], shared: Sequence[str] = ()
) -> list[UUID]:
    """Ids of the messages of codes and of those to mailboxes; to a `shared` mailbox only those of `clients`."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.MESSAGES_OF,
            {
                "references": list(references),
                "mailboxes": list(mailboxes),
                "shared": list(shared),
                "clients": list(clients),
            },
        )
        return [row[0] for row in cursor.fetchall()]


def erase(ids: Sequence[UUID], *, to: Sequence[str], at: datetime) -> int:
    """Cancel messages that have not left, and blank all of them with their events and receipts. Returns how many.

    `to`: the destinations whose sandbox messages are deleted. Part of the caller's transaction.
    Raises MessageBeingSent: the worker that has the message would later record the provider's reply.
    """
    SandboxMessage.objects.filter(to__in=to).delete()
    ordered = sorted(ids)  # all code that locks several messages locks them by id
    return sum(_erase(ordered[start : start + BATCH], at=at) for start in range(0, len(ordered), BATCH))


def _erase(ids: Sequence[UUID], *, at: datetime) -> int:
    """Erase one batch: a statement takes at most 65,535 parameters and five seconds, and one person may have got a
    message every minute for a year."""
    move("CANCELLED", CANCEL, {"ids": list(ids)}, at=at, detail="datos borrados")
    mine = Message.objects.filter(pk__in=ids).order_by("pk").select_for_update()
    states = {row[0]: (row[1], row[2]) for row in mine.values_list("pk", "state", "provider_id")}
    if any(state in (Message.State.QUEUED, Message.State.SENDING) for state, _ in states.values()):
        raise MessageBeingSent
    names = [name for _, name in states.values() if name]
    ProviderReceipt.objects.filter(provider_id__in=names).delete()
    params: dict[str, Any] = {"ids": list(states)}
    with connection.cursor() as cursor:
        cursor.execute(sql.BLANK_EVENTS, params)
        blank = f"UPDATE messaging_message SET {_BLANK} WHERE id = ANY(%(ids)s)"  # noqa: S608  this module's constant
        cursor.execute(blank, params)
        return int(cursor.rowcount)
