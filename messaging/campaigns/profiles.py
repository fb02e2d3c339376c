"""Profiles of clients that exist, for the choice of a campaign's recipients."""

from collections.abc import Collection

from django.db import OperationalError, connection, transaction

from messaging import campaigns_sql as sql

MOST = 300
"""Profiles that a page offers one by one. With more of them staff write theirs, one a line."""


def existing() -> list[tuple[str, int]] | None:
    """Profiles of live clients, each with the number of its clients, by name.

    None: there are more than MOST, or too many clients to count at once.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.PROFILES, {"limit": MOST + 1})
            found = list(cursor.fetchall())
    except OperationalError:
        return None
    return found if len(found) <= MOST else None


def unknown(profiles: Collection[str]) -> list[str]:
    """Those of the profiles that no live client has."""
    if not profiles:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql.KNOWN_PROFILES, {"profiles": list(profiles)})
        known = {row[0] for row in cursor.fetchall()}
    return [each for each in profiles if each not in known]
