"""alta and baja of thousands of clients at once: one statement each, whatever the number of rows.

Every statement touches its rows in the order of their addresses: two requests that overlap in opposite orders would
deadlock (docs/architecture.md, Lock order). New rows travel as one JSON text: 70,000 bound values would exceed the
protocol's 65,535, and of the ways that remain it measured best (an array for each column took half as long again).
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from clients.models import Partner


class Authorization(NamedTuple):
    """What contract 1 keeps of a client; missing values are ""."""

    email: str
    name: str
    document_type: str
    document_number: str
    phone: str
    external_code: str
    profile: str


_FIELDS = Authorization._fields


def authorize(partner: Partner, rows: Sequence[Authorization], *, request_id: int, at: datetime) -> set[str]:
    """Adds the clients that are not live yet and returns the addresses of the others; of parallel calls exactly one
    adds each.

    Addresses must be canonical and distinct. Ids follow the order of `rows`, so that listings do too.
    """
    if not rows:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH asked AS MATERIALIZED (
                SELECT nextval('clients_authorizedclient_id_seq') AS id, each.*
                FROM json_to_recordset(%s::json) AS each(
                    email text, name text, document_type text, document_number text, phone text,
                    external_code text, profile text
                )
            ), added AS (
                INSERT INTO clients_authorizedclient (
                    id, partner_id, email, name, document_type, document_number, phone, external_code, profile,
                    request_id, created_at
                )
                SELECT id, %s, email, name, document_type, document_number, phone, external_code, profile, %s, %s
                FROM asked ORDER BY email
                ON CONFLICT (partner_id, email) WHERE deauthorized_at IS NULL DO NOTHING
                RETURNING email
            )
            SELECT email FROM asked WHERE email NOT IN (SELECT email FROM added)
            """,
            [json.dumps([dict(zip(_FIELDS, row, strict=True)) for row in rows]), partner.pk, request_id, at],
        )
        return {row[0] for row in cursor.fetchall()}


def live_among(partner: Partner, emails: Iterable[str]) -> set[str]:
    """Which of these addresses are live with the partner."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT email FROM clients_authorizedclient"
            " WHERE partner_id = %s AND email = ANY(%s) AND deauthorized_at IS NULL",
            [partner.pk, list(emails)],
        )
        return {row[0] for row in cursor.fetchall()}


def deauthorize(partner: Partner, emails: Iterable[str], *, at: datetime) -> set[str]:
    """Ends the live authorisations of these addresses and returns which there were.

    That is all a baja takes: whoever is about to send asks this table at that moment.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH live AS (
                SELECT id FROM clients_authorizedclient
                WHERE partner_id = %s AND email = ANY(%s) AND deauthorized_at IS NULL
                ORDER BY email FOR NO KEY UPDATE
            )
            UPDATE clients_authorizedclient AS client SET deauthorized_at = %s
            FROM live WHERE client.id = live.id
            RETURNING client.email
            """,
            [partner.pk, list(emails), at],
        )
        return {row[0] for row in cursor.fetchall()}
