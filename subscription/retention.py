"""Retention and erasure of subscription requests and of the evidence of consents.

A link that led to a consent stays as a row, since the consent refers to it, but without mailbox and address: the
evidence has its own copy of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from clients.retention import RetentionRule, period_of
from subscription.models import SubscriptionRequest

_USED = "EXISTS (SELECT FROM subscription_consentrecord AS consent WHERE consent.request_id = link.id)"
_DELETE_SQL = f"""
    , gone AS (
        DELETE FROM subscription_subscriptionrequest AS link USING over WHERE link.id = over.id AND NOT {_USED}
    ), blanked AS (
        UPDATE subscription_subscriptionrequest AS link SET email = '', address = NULL
        FROM over WHERE link.id = over.id AND {_USED}
    )
    SELECT count(*) FROM over
"""  # noqa: S608  this module's constants


@dataclass(frozen=True)
class _Evidence(RetentionRule):
    """Rule for a table whose trigger lets rows go only in a transaction that states the end (migration 0004)."""

    def _run(self, sql: str, params: dict[str, Any]) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('aval.consents_over', %s, true)", [params["before"].isoformat()])
            cursor.execute(sql, params)
            return int(cursor.fetchone()[0])


RULES = (
    RetentionRule(
        "links",
        "SELECT id FROM subscription_subscriptionrequest WHERE email <> '' AND requested_at < %(before)s"
        " AND expires_at < %(at)s ORDER BY requested_at",
        _DELETE_SQL,
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
        cursor.execute(f"WITH over AS MATERIALIZED (SELECT unnest(%(ids)s::uuid[]) AS id) {_DELETE_SQL}", {"ids": ids})
        return int(cursor.fetchone()[0])
