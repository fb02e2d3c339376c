"""Hand-written statements of metrics: counting, and what is read for it. Those of gauges are in `metrics.gauges_sql`.

A test runs each through EXPLAIN (tests/test_sql.py). States are literals (docs/adr/0003).
"""

EVENTS_AT_ONCE = 5_000
"""Events of messages that one statement reads."""
FOLDED_AT_ONCE = 5_000
"""Rows of minutes that one statement folds."""

ADD = """
    WITH new AS MATERIALIZED (
        SELECT at, metric, labels::jsonb AS labels, count, sum FROM unnest(
            %(ats)s::timestamptz[], %(metrics)s::text[], %(labels)s::text[], %(counts)s::bigint[], %(sums)s::float8[]
        ) AS given(at, metric, labels, count, sum)
    ), minutes AS (
        INSERT INTO metrics_metricminute (at, metric, labels, count, sum)
        SELECT date_trunc('minute', at), metric, labels, count, sum FROM new
    )
    INSERT INTO metrics_metrictotal AS known (metric, labels, count, sum)
    SELECT metric, labels, sum(count)::bigint, sum(sum) FROM new GROUP BY metric, labels ORDER BY metric, labels
    ON CONFLICT (metric, labels) DO UPDATE SET count = known.count + excluded.count, sum = known.sum + excluded.sum
"""
"""Adds counts to their minutes and totals at once. Totals are locked in the order of their labels, by every process."""

TOTALS = "SELECT metric, labels::text, count, sum FROM metrics_metrictotal ORDER BY metric, labels"

COUNTED_SINCE = """
    SELECT metric, labels::text, sum(count)::bigint FROM metrics_metricminute WHERE at >= %(since)s
    GROUP BY metric, labels
"""

FOLD = f"""
    WITH old AS MATERIALIZED (
        SELECT id, at, metric, labels, count, sum FROM metrics_metricminute
        WHERE NOT is_hour AND at < %(before)s ORDER BY at LIMIT {FOLDED_AT_ONCE:d} FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM metrics_metricminute AS minute USING old WHERE minute.id = old.id
    ), hours AS (
        INSERT INTO metrics_metricminute (at, metric, labels, count, sum, is_hour)
        SELECT date_trunc('hour', at), metric, labels, sum(count), sum(sum), true FROM old GROUP BY 1, 2, 3
    )
    SELECT count(*) FROM old
"""  # noqa: S608  this module's constants
"""Folds the oldest minutes into rows of their hours."""

BEGIN_MARK = """
    INSERT INTO metrics_mark (name, origin, position, until, missing) VALUES (%(name)s, '', 0, NULL, '[]')
    ON CONFLICT (name) DO NOTHING
"""
LOCK_MARK = """
    SELECT origin, position, until, missing::text FROM metrics_mark WHERE name = %(name)s FOR NO KEY UPDATE SKIP LOCKED
"""
KEEP_MARK = """
    UPDATE metrics_mark SET origin = %(origin)s, position = %(position)s, until = %(until)s,
        missing = %(missing)s::text::jsonb
    WHERE name = %(name)s
"""
EVENTS_ORIGIN = """
    SELECT system_identifier::text || '/' || 'messaging_messageevent'::regclass::oid::text FROM pg_control_system()
"""
"""The server and the table that ids of message events belong to: a restore from a dump changes it."""
LAST_EVENT = "SELECT coalesce(max(id), 0) FROM messaging_messageevent"

_EVENT = """
    SELECT event.id, event.at, event.state, event.provider, event.attempt, message.kind, message.via,
        message.created_at, partner.twin_of_id IS NOT NULL
    FROM messaging_messageevent AS event
    LEFT JOIN messaging_message AS message ON message.id = event.message_id
    LEFT JOIN clients_partner AS partner ON partner.id = message.partner_id
"""
EVENTS = f"""
    (SELECT * FROM ({_EVENT} WHERE event.id > %(after)s ORDER BY event.id LIMIT {EVENTS_AT_ONCE:d}) AS new)
    UNION ALL
    ({_EVENT} WHERE event.id = ANY (%(missing)s::bigint[]))
    ORDER BY 1
"""  # noqa: S608  this module's constants
"""New events of messages, and those that were not visible before, in one snapshot."""

OLDEST_RUNNING = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
NEXT_TRANSACTION = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

OLDEST_OPEN_CODE = """
    SELECT min(created_at) FROM tokens_verificationtoken WHERE outcome = 'PENDIENTE' AND expires_at < %(until)s
"""
"""Of the codes whose time is over and that are not closed, the oldest one."""
CODES = """
    SELECT date_trunc('minute', finished_at), via, outcome,
        CASE WHEN outcome = 'VALIDADO' THEN extract(epoch FROM finished_at - created_at)::float8 END
    FROM tokens_verificationtoken
    WHERE created_at >= %(since)s AND created_at < %(until)s AND outcome <> 'PENDIENTE' AND twin_id IS NULL
"""


def _counted(metric: str, condition: str = "true") -> str:
    return f"coalesce(sum(count) FILTER (WHERE metric = '{metric}' AND {condition}), 0)::bigint"


KEEP_DAY = f"""
    INSERT INTO metrics_serviceday AS known (
        day, codes, within_2s, within_10s, calls, faults, mails, bounces, complaints
    )
    SELECT %(day)s::date, {_counted("aval_code_handover_seconds")},
        {_counted("aval_code_handover_seconds", "labels ->> 'le' IN ('0.5', '1.0', '2.0')")},
        {_counted("aval_code_handover_seconds", "labels ->> 'le' IN ('0.5', '1.0', '2.0', '5.0', '10.0')")},
        {_counted("aval_request_seconds")},
        {_counted("aval_request_seconds", "labels ->> 'status' LIKE '5__'")},
        {_counted("aval_messages", "labels ->> 'via' = 'C' AND labels ->> 'state' = 'SENDING'")},
        (SELECT count(*) FROM messaging_recipientfeedback
         WHERE kind = 'HARD_BOUNCE' AND mailbox <> '' AND at >= %(since)s AND at < %(until)s),
        (SELECT count(*) FROM messaging_recipientfeedback
         WHERE kind = 'COMPLAINT' AND mailbox <> '' AND at >= %(since)s AND at < %(until)s)
    FROM metrics_metricminute WHERE at >= %(since)s AND at < %(until)s
    ON CONFLICT (day) DO UPDATE SET codes = excluded.codes, within_2s = excluded.within_2s,
        within_10s = excluded.within_10s, calls = excluded.calls, faults = excluded.faults, mails = excluded.mails,
        bounces = greatest(known.bounces, excluded.bounces),
        complaints = greatest(known.complaints, excluded.complaints)
"""  # noqa: S608  this module's constants
"""Counts a day anew. What came back for a mailbox that was erased since stays counted."""

NOTE_RUN = """
    INSERT INTO metrics_taskrun AS known (name, at) VALUES (%(name)s, %(at)s)
    ON CONFLICT (name) DO UPDATE SET at = greatest(known.at, excluded.at)
"""
