"""Hand-written statements of webhooks.

Locks are taken in one order everywhere: endpoints, then deliveries. A statement that decides by counts reads them after
the statement that has locked the endpoints.
"""

from clients.events.sql import is_test

_IS_ACTIVE = """
    endpoint.status = 'ACTIVE' AND EXISTS (SELECT FROM clients_partner WHERE id = endpoint.partner_id AND is_active)
"""

WITH_NEWS = f"""
    SELECT endpoint.id FROM webhooks_endpoint AS endpoint
    WHERE {_IS_ACTIVE} AND (
        endpoint.epoch <> coalesce((SELECT epoch FROM clients_eventepoch WHERE id = 1), '')
        OR EXISTS (
            SELECT FROM clients_partnerevent AS event
            WHERE event.partner_id = endpoint.partner_id
              AND (event.xid, event.id) > (endpoint.cursor_xid, endpoint.cursor_event_id)
              AND event.xid < pg_snapshot_xmin(pg_current_snapshot())
        )
    )
    ORDER BY endpoint.id
"""  # noqa: S608  this module's constants
"""Active endpoints with events behind their cursors."""

TAKE_OVER = """
    INSERT INTO webhooks_delivery (id, endpoint_id, event_id, type, status, tries, next_try_at, last_error, created_at)
    SELECT id, %(endpoint)s, event_id, type, 'PENDING', 0, %(at)s, '', %(at)s
    FROM unnest(%(ids)s::uuid[], %(events)s::bigint[], %(types)s::text[]) AS new(id, event_id, type)
    ORDER BY event_id
    ON CONFLICT (endpoint_id, event_id) DO NOTHING
"""

LOCK_DUE = f"""
    SELECT endpoint.id, endpoint.failing_since IS NOT NULL FROM webhooks_endpoint AS endpoint
    WHERE EXISTS (
        SELECT FROM webhooks_delivery AS delivery
        WHERE delivery.endpoint_id = endpoint.id AND delivery.status = 'PENDING' AND next_try_at <= %(at)s
          AND (claimed_until IS NULL OR claimed_until <= %(at)s) AND ({_IS_ACTIVE} OR event_id IS NULL)
    )
    ORDER BY failing_since IS NOT NULL, random() LIMIT %(limit)s FOR NO KEY UPDATE OF endpoint SKIP LOCKED
"""  # noqa: S608  this module's constants
"""Locks endpoints with a delivery that is due, and says whether they are failing. By chance, so that none is always
behind others; it waits for no lock, so the order of locks does not matter."""

CLAIM = f"""
    WITH due AS MATERIALIZED (
        SELECT claimed.id FROM unnest(%(endpoints)s::uuid[], %(slots)s::int[]) AS wanted(endpoint_id, slots)
        CROSS JOIN LATERAL (
            SELECT delivery.id FROM webhooks_delivery AS delivery
            JOIN webhooks_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id
            WHERE delivery.endpoint_id = wanted.endpoint_id AND delivery.status = 'PENDING' AND next_try_at <= %(at)s
              AND (claimed_until IS NULL OR claimed_until <= %(at)s) AND ({_IS_ACTIVE} OR event_id IS NULL)
            ORDER BY next_try_at, delivery.id LIMIT greatest(0, wanted.slots - (
                SELECT count(*) FROM webhooks_delivery AS busy WHERE busy.endpoint_id = wanted.endpoint_id
                  AND busy.status = 'PENDING' AND busy.claimed_until > %(at)s
            ))
            FOR NO KEY UPDATE OF delivery SKIP LOCKED
        ) AS claimed
    ), claimed AS (
        UPDATE webhooks_delivery SET claimed_until = %(until)s WHERE id = ANY (ARRAY(SELECT id FROM due))
        RETURNING id, endpoint_id, event_id, type, tries, created_at
    )
    SELECT claimed.id, claimed.endpoint_id, claimed.event_id, claimed.type, claimed.tries, claimed.created_at,
        endpoint.url, endpoint.secret, endpoint.former_secret, endpoint.former_secret_until,
        event.type, event.subject, event.at, event.data::text, {is_test("event.partner_id")},
        endpoint.failing_since IS NOT NULL
    FROM claimed JOIN webhooks_endpoint AS endpoint ON endpoint.id = claimed.endpoint_id
    LEFT JOIN clients_partnerevent AS event ON event.id = claimed.event_id
    ORDER BY claimed.id
"""  # noqa: S608  this module's constants
"""Claims due deliveries of locked endpoints, at most `slots` of each together with those that are being tried."""

RECORD = """
    UPDATE webhooks_delivery AS delivery SET status = tried.status, tries = tried.tries, claimed_until = NULL,
        next_try_at = coalesce(tried.next_try_at, delivery.next_try_at), last_try_at = tried.at,
        last_status = tried.last_status, last_error = tried.last_error,
        finished_at = CASE WHEN tried.status <> 'PENDING' THEN tried.at END
    FROM unnest(
        %(ids)s::uuid[], %(statuses)s::text[], %(tries)s::int[], %(next)s::timestamptz[], %(ats)s::timestamptz[],
        %(last_statuses)s::int[], %(errors)s::text[]
    ) AS tried(id, status, tries, next_try_at, at, last_status, last_error)
    WHERE delivery.id = tried.id AND delivery.status = 'PENDING' AND delivery.claimed_until = %(until)s
"""
"""Records the tries of one claim, but for a delivery that was claimed again since."""

LOCK_ENDPOINTS = """
    SELECT id FROM webhooks_endpoint WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

SUCCEEDED = """
    UPDATE webhooks_endpoint AS endpoint SET failing_since = NULL, last_success_at = each.at
    FROM unnest(%(ids)s::uuid[], %(ats)s::timestamptz[]) AS each(id, at) WHERE endpoint.id = each.id
"""

FAILED = """
    UPDATE webhooks_endpoint AS endpoint SET failing_since = coalesce(failing_since, each.at)
    FROM unnest(%(ids)s::uuid[], %(ats)s::timestamptz[]) AS each(id, at) WHERE endpoint.id = each.id
"""

STOP_FAILING = """
    UPDATE webhooks_endpoint SET status = 'PAUSED', stopped_at = %(at)s, mail_due = (email <> '')
    WHERE id = ANY (%(ids)s::uuid[]) AND status = 'ACTIVE' AND failing_since <= %(before)s
    RETURNING id, partner_id, failing_since
"""

STOP_ENDED = """
    UPDATE webhooks_endpoint SET status = 'ENDED', stopped_at = %(at)s
    WHERE id = ANY (%(ids)s::uuid[]) AND status = 'ACTIVE'
"""

RELEASE = """
    UPDATE webhooks_delivery SET claimed_until = NULL WHERE id = ANY (%(ids)s::uuid[]) AND claimed_until = %(until)s
"""

SEND_AGAIN = """
    WITH chosen AS MATERIALIZED (
        SELECT delivery.id FROM webhooks_delivery AS delivery
        JOIN webhooks_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id
        WHERE delivery.endpoint_id = %(endpoint)s AND delivery.status <> 'PENDING' AND delivery.event_id IS NOT NULL
          AND EXISTS (SELECT FROM clients_partnerevent AS event WHERE event.id = delivery.event_id)
          AND (%(ids)s::uuid[] IS NULL OR delivery.id = ANY (%(ids)s::uuid[]))
          AND (%(ids)s::uuid[] IS NOT NULL OR delivery.status = 'FAILED'
               AND delivery.created_at >= %(since)s::timestamptz AND delivery.created_at < %(until)s::timestamptz)
        ORDER BY delivery.id LIMIT greatest(0, %(most)s - (
            SELECT count(*) FROM webhooks_delivery WHERE endpoint_id = %(endpoint)s AND status = 'PENDING'
        ))
        FOR NO KEY UPDATE OF delivery
    )
    UPDATE webhooks_delivery SET status = 'PENDING', tries = 0, next_try_at = %(at)s, finished_at = NULL
    WHERE id = ANY (ARRAY(SELECT id FROM chosen))
"""
"""Sends deliveries again: the named ones, or those that failed in a time."""

HERE = "SELECT (pg_snapshot_xmin(pg_current_snapshot()))::text, (SELECT epoch FROM clients_eventepoch WHERE id = 1)"
"""The oldest running transaction, before which a new endpoint begins, and the epoch."""

FIRST_UNSENT = """
    SELECT endpoint.id, min(event.id) FROM webhooks_endpoint AS endpoint
    JOIN clients_partnerevent AS event ON event.partner_id = endpoint.partner_id
    WHERE (event.xid, event.id) > (endpoint.cursor_xid, endpoint.cursor_event_id) OR event.id > (
        SELECT max(id) FROM clients_partnerevent WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
    )
    GROUP BY endpoint.id
"""
"""The event with the lowest id that each endpoint has not taken over, in a database that was restored. Its own are
those behind its cursor; those that were written since have ids above all that came with the dump."""

MOVE_CURSORS = """
    UPDATE webhooks_endpoint AS endpoint SET epoch = %(epoch)s, cursor_xid = pg_current_xact_id(),
        cursor_event_id = coalesce(
            (SELECT first FROM unnest(%(ids)s::uuid[], %(firsts)s::bigint[]) AS unsent(id, first)
             WHERE unsent.id = endpoint.id) - 1,
            (SELECT max(id) FROM clients_partnerevent), 0
        )
"""
"""Cursors among events that were renumbered in this transaction: right before the first that was not taken over, or
behind all."""
LOCK_TABLES = "LOCK TABLE webhooks_endpoint, clients_partnerevent IN SHARE ROW EXCLUSIVE MODE"
