"""Hand-written statements of `staff`. A test runs each through EXPLAIN (tests/test_sql.py)."""

COUNT_FAILED_LOGIN = """
    INSERT INTO clients_loginfailures AS mine (name, day_began_at, today, in_a_row, last_at)
    VALUES (%(name)s, %(at)s, 1, 1, %(at)s)
    ON CONFLICT (name) DO UPDATE SET
        today = CASE WHEN mine.day_began_at > %(yesterday)s THEN mine.today + 1 ELSE 1 END,
        day_began_at = CASE WHEN mine.day_began_at > %(yesterday)s THEN mine.day_began_at ELSE %(at)s END,
        in_a_row = mine.in_a_row + 1, last_at = %(at)s
    RETURNING today, in_a_row
"""
"""Count a failed login of a name; returns its failures of the day and in a row."""

LOCK_NAME = "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))"
"""Lock a name at an address for one try, until the end of the transaction."""
