"""Retention and erasure of subscription requests and of the evidence of consents.

A link that led to a consent stays as a row, since the consent refers to it, but without mailbox and address: the
evidence has its own copy of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from clients.retention import RetentionRule, period_of
from subscription import sql
from subscription.models import SubscriptionRequest


@dataclass(frozen=True)
class _Evidence(RetentionRule):
    """Rule for a table whose trigger lets rows go only in a transaction that states the end (migration 0004)."""

    def _run(self, statement: str, params: dict[str, Any]) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.STATE_END_OF_CONSENTS, {"before": params["before"].isoformat()})
            cursor.execute(statement, params)
            return int(cursor.fetchone()[0])


RULES = (
    RetentionRule(
        "links",
        "SELECT id FROM subscription_subscriptionrequest WHERE email <> '' AND requested_at < %(before)s"
        " AND expires_at < %(at)s ORDER BY requested_at",
        sql.ERASE_LINKS_OVER,
        period_of("links"),
    ),
    # the evidence of a live subscription stays, however old
    _Evidence(
        "consents",
        """
        SELECT consent.id FROM subscription_consentrecord AS consent
        JOIN clients_authorizedclient AS client ON client.id = consent.authorized_client_id
        WHERE consent.at < %(before)s
          AND (client.deauthorized_at < %(before)s OR client.unsubscribed_at < %(before)s)
        ORDER BY consent.at
        """,
        """
        , gone AS (DELETE FROM subscription_consentrecord AS consent USING over WHERE consent.id = over.id)
        SELECT count(*) FROM over
        """,
        period_of("consents"),
        of="consent",
    ),
)


def erase_links(mailboxes: Sequence[str]) -> int:
    """End the links of the mailboxes and erase them; return their number. Part of the caller's transaction.

    Must run before the authorised clients are changed: a confirmation locks the link first, then the clients.
    """
    mine = SubscriptionRequest.objects.filter(email__in=mailboxes).order_by("pk").select_for_update()
    ids = list(mine.values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(sql.ERASE_LINKS, {"ids": ids})
        return int(cursor.fetchone()[0])
