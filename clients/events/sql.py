"""Hand-written statements of partner events, and the parts of them that statements of other apps hold.

A test runs each through EXPLAIN (tests/test_sql.py).
"""

COLUMNS = "partner_id, type, subject, at, data"
"""Columns that whoever writes an event gives. `xid` has a default in the database."""


def is_test(partner: str) -> str:
    """SQL expression: whether the events of this partner (SQL, too) are those of a test twin."""
    return f"(SELECT twin_of_id IS NOT NULL FROM clients_partner WHERE id = {partner})"  # noqa: S608  SQL of ours


INSERT = f"""
    INSERT INTO clients_partnerevent ({COLUMNS})
    VALUES (%(event_partner)s, %(event_type)s, %(event_subject)s, %(event_at)s, %(event_data)s::jsonb)
"""  # noqa: S608  a constant


def insert(select: str) -> str:
    """INSERT of the events that a SELECT of COLUMNS returns, in their order."""
    return f"INSERT INTO clients_partnerevent ({COLUMNS}) {select}"


def masked(via: str, destination: str) -> str:
    """SQL expression for a destination as `messaging.masking.masked` has it; the arguments are SQL, too."""
    return f"""CASE
        WHEN {via} = 'C' AND strpos({destination}, '@') = 0 THEN '•••'
        WHEN {via} = 'C' THEN left(regexp_replace({destination}, '@[^@]*$', ''), 1)
            || '•••@' || regexp_replace({destination}, '^.*@', '')
        WHEN {destination} ~ '^(\\+51)?9[0-9]{{8}}$' THEN '9•• ••• ' || right({destination}, 3)
        WHEN length({destination}) >= 7 THEN '••• ' || right({destination}, 3)
        ELSE '•••' END"""


ORIGIN = """(
    SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()
)"""
"""SQL expression for the server that counts transactions: its cluster, and its timeline, which a restore to a moment
and a promotion of a replica change."""

HAS_EPOCH = f"SELECT EXISTS (SELECT FROM clients_eventepoch WHERE id = 1 AND origin = {ORIGIN})"  # noqa: S608  constants
BEGIN_EPOCH = f"""
    WITH begun AS (
        INSERT INTO clients_eventepoch AS known (id, epoch, origin) VALUES (1, %(epoch)s, {ORIGIN})
        ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, origin = excluded.origin
        WHERE known.origin <> excluded.origin OR %(anew)s::bool RETURNING id
    )
    DELETE FROM clients_prunedevents WHERE EXISTS (SELECT FROM begun)
"""  # noqa: S608  this module's constants
"""A new epoch: `anew`, or where the one there is was begun on another server. What retention had removed is of the
epoch before."""

PAGE = f"""
    WITH page AS MATERIALIZED (
        SELECT xid, id, type, subject, at, data FROM clients_partnerevent
        WHERE partner_id = %(partner)s AND (xid, id) > (%(xid)s::text::xid8, %(id)s::bigint)
          AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, id LIMIT %(scanned)s
    ), last AS (
        SELECT xid, id FROM page ORDER BY xid DESC, id DESC LIMIT 1
    )
    SELECT (SELECT epoch FROM clients_eventepoch WHERE id = 1 AND origin = {ORIGIN}),
        pg_snapshot_xmin(pg_current_snapshot())::text,
        (SELECT xid::text FROM last), (SELECT id FROM last), (SELECT count(*) FROM page),
        (SELECT xid::text FROM clients_prunedevents WHERE partner_id = %(partner)s),
        (SELECT event_id FROM clients_prunedevents WHERE partner_id = %(partner)s),
        found.*
    FROM (SELECT) AS always LEFT JOIN (
        SELECT xid::text, id, type, subject, at, data::text, {is_test("%(partner)s")} FROM page
        WHERE %(types)s::text[] IS NULL OR type = ANY(%(types)s::text[])
        ORDER BY page.xid, page.id LIMIT %(limit)s
    ) AS found ON true
    ORDER BY found.xid::xid8, found.id
"""  # noqa: S608  this module's constants
"""A page of a partner's feed, at least one row: beside each event the epoch (NULL: there is none of this server), the
oldest running transaction, the last place that was looked at, how many rows were, and what retention has removed."""

PRUNE = """
    , pruned AS (
        INSERT INTO clients_prunedevents AS known (partner_id, xid, event_id)
        SELECT DISTINCT ON (partner_id) partner_id, event.xid, event.id
        FROM clients_partnerevent AS event JOIN over ON over.id = event.id
        ORDER BY partner_id, event.xid DESC, event.id DESC
        ON CONFLICT (partner_id) DO UPDATE SET xid = excluded.xid, event_id = excluded.event_id
        WHERE (known.xid, known.event_id) < (excluded.xid, excluded.event_id)
    ), gone AS (
        DELETE FROM clients_partnerevent AS event USING over WHERE event.id = over.id
    )
    SELECT count(*) FROM over
"""
"""Second part of a retention rule (`clients.retention`): removes events, and keeps the place of the last one."""

ERASE_DESTINATIONS = """
    UPDATE clients_partnerevent SET data = jsonb_set(data, '{to}', '""')
    WHERE (subject = ANY(%(ids)s::text[])
           OR subject = ANY(%(authorizations)s::text[]) AND type = ANY(%(types)s::text[]))
      AND coalesce(data ->> 'to', '') <> ''
"""
"""Of an erased person. The rows stay where they are in the feed."""

IS_AHEAD = """
    SELECT coalesce(bool_or(latest.xid >= pg_snapshot_xmax(pg_current_snapshot())), false)
    FROM clients_partner AS partner CROSS JOIN LATERAL (
        SELECT xid FROM clients_partnerevent WHERE partner_id = partner.id ORDER BY xid DESC, id DESC LIMIT 1
    ) AS latest
"""
"""Whether there is an event of a transaction that this server has not begun yet: the database was restored."""
RENUMBER = "UPDATE clients_partnerevent SET xid = pg_current_xact_id()"

OLDEST_WRITER = """
    SELECT extract(epoch FROM clock_timestamp() - xact_start)::float, pid, coalesce(datname, ''), backend_xid::text
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
    ORDER BY age(backend_xid) DESC LIMIT 1
"""
"""The oldest transaction that has written, of all roles and databases. Its age is NULL where it is another role's and
this one has no pg_read_all_stats."""

EXPIRING_KEYS = f"""
    WITH due AS (
        SELECT credential.id, CASE
            WHEN expires_at <= %(at)s::timestamptz + interval '1 day' THEN 1
            WHEN expires_at <= %(at)s::timestamptz + interval '7 days' THEN 7 ELSE 30 END AS days
        FROM clients_credential AS credential JOIN clients_partner AS partner ON partner.id = partner_id
        WHERE revoked_at IS NULL AND is_active AND expires_at > %(at)s::timestamptz
          AND expires_at <= %(at)s::timestamptz + interval '30 days'
    ), marked AS (
        UPDATE clients_credential AS credential SET notice_days = due.days
        FROM due WHERE credential.id = due.id AND (notice_days IS NULL OR notice_days > due.days)
        RETURNING partner_id, prefix, kind, expires_at, due.days
    )
    INSERT INTO clients_partnerevent ({COLUMNS})
    SELECT partner_id, 'key.expiring', prefix, %(at)s, jsonb_build_object(
        'prefix', prefix, 'kind', kind, 'days', days,
        'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) FROM marked
"""  # noqa: S608  a constant
"""An event for each live key in its last 30, 7 and 1 days, once each."""
