"""Hand-written statements of the page of campaigns. A test runs each through EXPLAIN (tests/test_sql.py)."""

PROFILES = """
    SELECT profile, count(*) FROM clients_authorizedclient WHERE deauthorized_at IS NULL AND profile <> ''
    GROUP BY profile ORDER BY profile LIMIT %(limit)s::int
"""
KNOWN_PROFILES = """
    SELECT wanted FROM unnest(%(profiles)s::text[]) AS wanted
    WHERE EXISTS (SELECT FROM clients_authorizedclient WHERE profile = wanted AND deauthorized_at IS NULL)
"""
