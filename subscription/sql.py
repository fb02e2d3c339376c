"""Hand-written statements of `subscription`. A test runs each through EXPLAIN (tests/test_sql.py)."""

_USED = "EXISTS (SELECT FROM subscription_consentrecord AS consent WHERE consent.request_id = link.id)"
ERASE_LINKS_OVER = f"""
    , gone AS (
        DELETE FROM subscription_subscriptionrequest AS link USING over WHERE link.id = over.id AND NOT {_USED}
    ), blanked AS (
        UPDATE subscription_subscriptionrequest AS link SET email = '', address = NULL
        FROM over WHERE link.id = over.id AND {_USED}
    )
    SELECT count(*) FROM over
"""  # noqa: S608  this module's constants
"""End of a statement with the CTE `over`, ids of links: deletes them, or blanks those that led to a consent."""
ERASE_LINKS = f"WITH over AS MATERIALIZED (SELECT unnest(%(ids)s::uuid[]) AS id) {ERASE_LINKS_OVER}"

STATE_END_OF_CONSENTS = "SELECT set_config('aval.consents_over', %(before)s, true)"
"""For this transaction: the trigger of the table lets older rows go (migration 0004)."""
COMMIT_ASYNCHRONOUSLY = "SET LOCAL synchronous_commit = off"
