"""Hand-written statements of the page of campaigns. A test runs each through EXPLAIN (tests/test_sql.py)."""

NOT_OF_TWINS = "NOT EXISTS (SELECT FROM clients_partner AS p WHERE p.id = partner_id AND p.twin_of_id IS NOT NULL)"
"""Condition: the client is none of a test twin, which gets no campaign."""
PROFILES = f"""
    SELECT profile, count(*) FROM clients_authorizedclient
    WHERE deauthorized_at IS NULL AND profile <> '' AND {NOT_OF_TWINS}
    GROUP BY profile ORDER BY profile LIMIT %(limit)s::int
"""  # noqa: S608  this module's constants
KNOWN_PROFILES = f"""
    SELECT wanted FROM unnest(%(profiles)s::text[]) AS wanted
    WHERE EXISTS (
        SELECT FROM clients_authorizedclient WHERE profile = wanted AND deauthorized_at IS NULL AND {NOT_OF_TWINS}
    )
"""  # noqa: S608  as above
