"""Bulk authorisation and deauthorisation of clients (contract 1, alta and baja): one statement each, for any number of
rows.

Every statement locks its rows in the order of their e-mail addresses: two requests that overlap in opposite orders
would deadlock (docs/architecture.md, Lock order). New rows are passed as one text for each column, a value a line.
70,000 bound values would exceed the protocol's 65,535; arrays, which psycopg builds value by value, took 45 ms of the
process for 10,000 rows, one JSON text 20 ms, lines take 1 ms.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from clients import sql
from clients.models import Partner


class Authorization(NamedTuple):
    """Client of contract 1. Missing values are "". No value has a line break (`authorize` refuses it)."""

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
        cursor.execute(sql.AUTHORIZE, {**_columns(rows), "partner": partner.pk, "request": request_id, "at": at})
        return {row[0] for row in cursor.fetchall()}


def _columns(rows: Sequence[Authorization]) -> dict[str, str]:
    """Text of each column, in which a line break ends every value."""
    columns = {name: "\n".join(values) + "\n" for name, values in zip(_FIELDS, zip(*rows, strict=True), strict=True)}
    if any(column.count("\n") != len(rows) for column in columns.values()):
        raise ValueError("a value has a line break")
    return columns


def live_among(partner: Partner, emails: Iterable[str]) -> set[str]:
    """Those of the addresses that are live with the partner."""
    with connection.cursor() as cursor:
        cursor.execute(sql.LIVE_AMONG, {"partner": partner.pk, "emails": list(emails)})
        return {row[0] for row in cursor.fetchall()}


def deauthorize(partner: Partner, emails: Iterable[str], *, request_id: int | None = None, at: datetime) -> set[str]:
    """End the live authorisations of these addresses; return the addresses that had one. Without a request it is the
    act of an agent.

    Nothing else is needed for a baja: every sender asks this table just before sending.
    """
    with connection.cursor() as cursor:
        params: dict[str, Any] = {"partner": partner.pk, "emails": list(emails), "request": request_id, "at": at}
        cursor.execute(sql.DEAUTHORIZE, params)
        return {row[0] for row in cursor.fetchall()}
