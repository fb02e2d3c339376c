"""Help for tests of query plans."""

from django.db.backends.utils import CursorWrapper

OTHERS = """
    SELECT each.indexrelid::regclass::text FROM pg_index AS each
    JOIN pg_index AS own ON own.indrelid = each.indrelid AND own.indexrelid = %s::regclass
    WHERE each.indexrelid <> own.indexrelid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = each.indexrelid)
"""
"""Indexes of the same table, without those of its constraints."""


def drop_other_indexes(cursor: CursorWrapper, index: str) -> None:
    """Leave one index of a table until the test's transaction ends: on an empty table several have the same cost."""
    cursor.execute(OTHERS, [index])
    for (other,) in cursor.fetchall():
        cursor.execute(f"DROP INDEX {other}")
