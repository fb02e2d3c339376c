"""Hand-written statements of gauges. Each reads live rows by a partial index, or a small table, so that a scrape costs
the same over any history; a test holds them to it (metrics/tests/test_gauges.py).

States are literals (docs/adr/0003).
"""

_OF_NO_TWIN = "NOT EXISTS (SELECT FROM clients_partner AS p WHERE p.id = partner_id AND p.twin_of_id IS NOT NULL)"

QUEUES = f"""
    SELECT via, kind, count(*), min(next_attempt_at) FROM messaging_message
    WHERE state = 'QUEUED' AND next_attempt_at <= %(at)s AND {_OF_NO_TWIN} GROUP BY via, kind
"""  # noqa: S608  this module's constants
SENDING = f"""
    SELECT via, count(*) FROM messaging_message WHERE state = 'SENDING' AND {_OF_NO_TWIN} GROUP BY via
"""  # noqa: S608  as above
UNKNOWN = f"""
    SELECT via, count(*) FROM messaging_message
    WHERE state = 'UNKNOWN' AND created_at >= %(since)s AND created_at <= %(at)s AND {_OF_NO_TWIN} GROUP BY via
"""  # noqa: S608  as above
OPEN_CIRCUITS = "SELECT name FROM messaging_providerstate WHERE set_aside_at IS NOT NULL"
WEBHOOKS = """
    SELECT count(*), min(delivery.next_try_at) FILTER (
        WHERE delivery.next_try_at <= %(at)s AND (claimed_until IS NULL OR claimed_until <= %(at)s)
    )
    FROM webhooks_delivery AS delivery
    JOIN webhooks_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id
    JOIN clients_partner AS partner ON partner.id = endpoint.partner_id
    WHERE delivery.status = 'PENDING' AND endpoint.status = 'ACTIVE' AND partner.is_active
"""
"""Open deliveries to active endpoints, and since when the oldest of them is due and not being tried."""
NOT_TAKEN_OVER = """
    SELECT min(event.at) FROM webhooks_endpoint AS endpoint
    JOIN clients_partner AS partner ON partner.id = endpoint.partner_id
    CROSS JOIN LATERAL (
        SELECT at FROM clients_partnerevent AS behind
        WHERE behind.partner_id = endpoint.partner_id
          AND (behind.xid, behind.id) > (endpoint.cursor_xid, endpoint.cursor_event_id)
          AND behind.xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, id LIMIT 1
    ) AS event
    WHERE endpoint.status = 'ACTIVE' AND partner.is_active AND (
        SELECT count(*) FROM webhooks_delivery AS delivery
        WHERE delivery.endpoint_id = endpoint.id AND delivery.status = 'PENDING'
    ) < %(most)s::int
"""
"""The time of the oldest event that an active endpoint could take over. One with as many open deliveries as it may have
takes over none."""
KEYS = """
    SELECT partner.slug, credential.kind, max(credential.expires_at)
    FROM clients_credential AS credential JOIN clients_partner AS partner ON partner.id = credential.partner_id
    WHERE credential.revoked_at IS NULL AND partner.is_active AND partner.twin_of_id IS NULL
    GROUP BY partner.slug, credential.kind
    HAVING bool_and(credential.expires_at IS NOT NULL) AND max(credential.expires_at) > %(since)s
    ORDER BY 3 LIMIT 200
"""
"""The end of the last key of each partner and kind, where it has one; those that end first."""
LIMIT_STATEMENTS = "SELECT set_config('statement_timeout', %(limit)s, true)"
