"""Bulk authorisation and deauthorisation of clients (contract 1, alta and baja): one statement each, for any number of
rows.

Every statement locks its rows in the order of their e-mail addresses: two requests that overlap in opposite orders
would deadlock (docs/architecture.md, Lock order). New rows are passed as one JSON text. 70,000 bound values would
exceed the protocol's 65,535, and one array for each column took half as long again.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from clients import sql
from clients.models import Partner


class Authorization(NamedTuple):
    """Client of contract 1. Missing values are ""."""

    email: str
    name: str
    document_type: str
    document_number: str
    phone: str
    external_code: str
    profile: str


_FIELDS = Authorization._fields


def authorize(partner: Partner, rows: Sequence[Authorization], *, request_id: int, at: datetime) -> set[str]:
    """Add the clients that are not live yet; return the addresses of the others. Of parallel calls exactly one adds
    each client.

    Addresses must be canonical and distinct. Ids follow the order of `rows`, and so do listings.
    """
    if not rows:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            sql.AUTHORIZE,
            {
                "rows": json.dumps([dict(zip(_FIELDS, row, strict=True)) for row in rows]),
                "partner": partner.pk,
                "request": request_id,
                "at": at,
            },
        )
        return {row[0] for row in cursor.fetchall()}


def live_among(partner: Partner, emails: Iterable[str]) -> set[str]:
    """Those of the addresses that are live with the partner."""
    with connection.cursor() as cursor:
        cursor.execute(sql.LIVE_AMONG, {"partner": partner.pk, "emails": list(emails)})
        return {row[0] for row in cursor.fetchall()}


def deauthorize(partner: Partner, emails: Iterable[str], *, at: datetime) -> set[str]:
    """End the live authorisations of these addresses; return the addresses that had one.

    Nothing else is needed for a baja: every sender asks this table just before sending.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.DEAUTHORIZE, {"partner": partner.pk, "emails": list(emails), "at": at})
        return {row[0] for row in cursor.fetchall()}
