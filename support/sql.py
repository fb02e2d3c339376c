"""Hand-written statements of `support`: one for each panel of the dashboard, and the counts of usage.

A test runs each through EXPLAIN (tests/test_sql.py)."""

from clients.events.sql import ORIGIN


def _of_no_twin(partner: str = "partner_id") -> str:
    """SQL condition: the partner of a row is no test twin, whose rows are in no figure."""
    return f"NOT EXISTS (SELECT FROM clients_partner AS p WHERE p.id = {partner} AND p.twin_of_id IS NOT NULL)"


CODES = """
    SELECT date_bin('1 hour', t.created_at, %(yesterday)s), t.via, t.operator, t.outcome, count(*)
    FROM tokens_verificationtoken t WHERE (t.created_at >= %(today)s AND t.created_at < %(at)s
        OR t.created_at >= %(yesterday)s AND t.created_at < %(day_before)s) AND t.twin_id IS NULL GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT date_bin('1 hour', t.created_at, %(yesterday)s), t.via, t.operator, 'DELIVERED', count(*)
    FROM tokens_verificationtoken t
    WHERE (t.created_at >= %(today)s AND t.created_at < %(at)s
        OR t.created_at >= %(yesterday)s AND t.created_at < %(day_before)s) AND t.outcome <> 'VALIDADO'
        AND t.twin_id IS NULL AND EXISTS (
        SELECT FROM messaging_message m WHERE m.reference = t.id AND m.state = 'DELIVERED')
    GROUP BY 1, 2, 3
"""
"""The second part counts codes that arrived and were not verified; only those are looked up among the messages."""
TIMES = """
    WITH counted AS (
        SELECT via, (extract(epoch FROM finished_at - created_at) * 10)::int AS tenths, count(*) AS n
        FROM tokens_verificationtoken
        WHERE created_at >= %(today)s AND created_at < %(at)s AND outcome = 'VALIDADO' AND twin_id IS NULL
        GROUP BY GROUPING SETS ((1, 2), (2))
    ), ranked AS (
        SELECT *, sum(n) OVER (PARTITION BY via ORDER BY tenths) AS up_to, sum(n) OVER (PARTITION BY via) AS of_all
        FROM counted
    )
    SELECT via, max(of_all), min(tenths) FILTER (WHERE up_to >= 0.5 * of_all),
           min(tenths) FILTER (WHERE up_to >= 0.95 * of_all)
    FROM ranked GROUP BY via
"""
"""Percentiles by counting tenths of a second, so that a day's rows are not sorted."""
FAILURES = f"""
    SELECT state, left(provider_reply, 80), count(*) FROM messaging_message
    WHERE created_at >= %(today)s AND created_at < %(at)s
      AND state IN ('FAILED', 'UNKNOWN', 'EXPIRED', 'UNDELIVERED') AND {_of_no_twin()} GROUP BY 1, 2
"""  # noqa: S608  this module's constants
WAITS = """
    SELECT wait, count(*) FROM (
        SELECT DISTINCT ON (applicant_id, via) applicant_id, via, created_at,
               greatest(client_wait, destination_wait) AS wait
        FROM tokens_verificationtoken
        WHERE created_at > %(at)s::timestamptz - interval '24 hours' AND created_at <= %(at)s AND returned_at IS NULL
          AND twin_id IS NULL AND created_at + greatest(client_wait, destination_wait) > %(at)s
        ORDER BY applicant_id, via, created_at DESC
    ) AS last
    WHERE (SELECT state FROM clients_applicant a WHERE a.id = last.applicant_id) = 'PENDIENTE'
      AND NOT EXISTS (SELECT FROM tokens_ladderforgiveness f
                      WHERE f.applicant_id = last.applicant_id AND f.via = last.via AND f.at >= last.created_at)
    GROUP BY wait
"""
QUEUES = f"""
    SELECT kind, count(*), count(*) FILTER (WHERE next_attempt_at <= %(at)s), 0,
           min(next_attempt_at) FILTER (WHERE next_attempt_at <= %(at)s)
    FROM messaging_message WHERE state = 'QUEUED' AND {_of_no_twin()} GROUP BY kind
    UNION ALL
    SELECT kind, 0, 0, count(*), NULL FROM messaging_message WHERE state = 'SENDING' AND {_of_no_twin()} GROUP BY kind
"""  # noqa: S608  as above
PROVIDERS = """
    SELECT name, set_aside_at, until, reason FROM messaging_providerstate
    WHERE set_aside_at IS NOT NULL ORDER BY set_aside_at LIMIT 20
"""
TRAFFIC = f"""
    WITH today AS (
        SELECT partner_id, contract, duration_ms, count(*) AS calls, count(*) FILTER (WHERE status >= 400) AS refused
        FROM external_api_apirequest WHERE created_at >= %(today)s AND created_at < %(at)s AND {_of_no_twin()}
        GROUP BY partner_id, contract, duration_ms
    ), ranked AS (
        SELECT *, sum(calls) OVER (PARTITION BY partner_id, contract ORDER BY duration_ms) AS up_to,
               sum(calls) OVER (PARTITION BY partner_id, contract) AS of_all
        FROM today
    )
    SELECT p.name, r.contract, sum(r.calls), sum(r.refused),
           min(r.duration_ms) FILTER (WHERE r.up_to >= 0.95 * r.of_all)
    FROM ranked r LEFT JOIN clients_partner p ON p.id = r.partner_id
    GROUP BY r.partner_id, p.name, r.contract ORDER BY 3 DESC, 1, 2 LIMIT 30
"""  # noqa: S608  as above
"""95th percentile by counting whole milliseconds: hundreds of rows are sorted instead of a day's."""
USAGE = f"""
    SELECT 'M', partner_id, kind, via, provider, state, state = 'DELIVERED', count(*)::int
    FROM messaging_message WHERE created_at >= %(since)s AND created_at < %(until)s AND {_of_no_twin()}
    GROUP BY partner_id, kind, via, provider, state
    UNION ALL
    SELECT 'C', partner_id, 'verificacion', via, '', outcome, arrived, count(*)::int FROM (
        SELECT a.partner_id, t.via, t.outcome, t.outcome = 'VALIDADO' OR EXISTS (
            SELECT FROM messaging_message m WHERE m.reference = t.id AND m.state = 'DELIVERED') AS arrived
        FROM tokens_verificationtoken t JOIN clients_applicant a ON a.id = t.applicant_id
        WHERE t.created_at >= %(since)s AND t.created_at < %(until)s AND t.twin_id IS NULL
    ) AS codes GROUP BY partner_id, via, outcome, arrived
"""  # noqa: S608  as above
"""A code belongs to the partner of its applicant, a message to the one that it was sent for."""
LIMIT_STATEMENTS = "SELECT set_config('statement_timeout', %(limit)s, true)"
LOCK_DAY = "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))"

CONNECTED = """
    SELECT pid, coalesce(usename, ''), coalesce(host(client_addr), 'this machine'), backend_start
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name ~ '^aval(-|$)' AND pid <> pg_backend_pid()
    ORDER BY backend_start
"""
"""Processes of Aval that are connected to this database: `application_name` is in config.settings."""
SKIP_IDS = """
    SELECT count(nextval(%(sequence)s::text::regclass)) FROM generate_series(1, %(skipped)s::int)
"""
"""Leave ids out. `setval` needs a right that the run role has not."""
PLACE = f"SELECT {ORIGIN} || '/' || 'clients_partnerevent'::regclass::oid"
"""The server with its timeline, and the table of events: a restore changes one of them."""
