"""Hand-written statements of `messaging`. A test runs each through EXPLAIN (tests/test_sql.py).

Those that change the state of a message are in `messaging.transitions_sql`, except the claim and what inserts rows.

States are literals, not parameters: with a bound state the planner never uses the partial indexes for a prepared
statement (docs/adr/0003). So are limits: of a bound one it assumes a tenth of the rows.
"""

from messaging.models import Message
from messaging.queue.names import BATCH, GATEWAY_BATCH, ORDER, QUEUES
from messaging.suppression_sql import NOT_SUPPRESSED

SWEEP_SIZE = 500
"""Rows in one statement of the sweep: after a long outage it must not hold its locks for long."""
FALLBACK_SIZE = 200
"""Rows in one statement of a sweep for fallbacks."""

# --- queue ---

STILL_SUBSCRIBED = """
    EXISTS (SELECT FROM clients_authorizedclient AS client WHERE client.id = authorized_client_id
            AND client.deauthorized_at IS NULL AND client.subscribed_at IS NOT NULL
            AND client.unsubscribed_at IS NULL)
"""
"""Condition: the client of the message is still authorised and subscribed."""
_UNEXPIRED = "(send_before IS NULL OR send_before > %(at)s)"
_LIMITS = {"codes": range(1, max(BATCH["codes"], GATEWAY_BATCH) + 1), "bulk": (BATCH["bulk"],)}
"""Sizes of a claim: codes are claimed for the free slots of a thread pool or of an SMPP window."""

_COLUMNS = ", ".join(str(field.column) for field in Message._meta.concrete_fields)
CLAIM = {
    (queue, limit): f"""
        UPDATE messaging_message SET state = 'SENDING', claim_id = %(claim)s, lease_until = %(lease)s
        WHERE id = ANY (ARRAY(
            SELECT id FROM messaging_message
            WHERE state = 'QUEUED' AND {QUEUES[queue]} AND next_attempt_at <= %(at)s AND lane = %(gateway_queue)s
              AND {_UNEXPIRED}
            ORDER BY {ORDER[queue]} LIMIT {limit:d} FOR UPDATE SKIP LOCKED
        )) RETURNING {_COLUMNS}
    """  # noqa: S608  this module's constants
    for queue, limits in _LIMITS.items()
    for limit in limits
}
"""By queue and limit. Returns the columns of the model, in their order (`from_db`)."""

IS_DUE = {
    queue: f"""
        SELECT EXISTS (
            SELECT FROM messaging_message
            WHERE state = 'QUEUED' AND {messages} AND next_attempt_at <= %(at)s AND lane = '' AND {_UNEXPIRED}
        )
    """  # noqa: S608  this module's constants
    for queue, messages in QUEUES.items()
}


def _hand_over(condition: str) -> str:
    return f"""
        WITH handed AS (
            UPDATE messaging_message
            SET handed_over_at = %(at)s, lease_until = %(lease)s, attempts = attempts + 1, provider = %(provider)s
            WHERE id = ANY(%(ids)s) AND claim_id = %(claim)s AND state = 'SENDING' AND handed_over_at IS NULL
              AND {condition}
            RETURNING id, attempts
        )
        INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
        SELECT id, %(at)s, 'SENDING', attempts, %(provider)s, '' FROM handed RETURNING message_id, attempt
    """  # noqa: S608  this module's constants


HAND_OVER_CODE = _hand_over(_UNEXPIRED)
_STILL_WANTED = f"""{STILL_SUBSCRIBED} AND {NOT_SUPPRESSED} AND EXISTS (
        SELECT FROM messaging_campaign AS c WHERE c.id = campaign_id AND c.state = 'SENDING'
    )"""
"""Condition: the client is still subscribed, the mailbox not suppressed and the campaign sending."""


def _some_wanted(rows: str) -> str:
    """SQL: the ids of those of the `rows` that are still wanted.

    The condition is a value, not a join: with one, PostgreSQL may begin with the campaign and read all of its messages,
    while its statistics do not know them.
    """
    return f"""
        WITH claimed AS MATERIALIZED (SELECT id, {_STILL_WANTED} AS is_wanted FROM messaging_message WHERE {rows})
        SELECT id FROM claimed WHERE is_wanted
    """  # noqa: S608  this module's constants


HAND_OVER_BULK = _hand_over(
    f"""id = ANY (ARRAY({_some_wanted("id = ANY(%(ids)s) AND state = 'SENDING' AND claim_id = %(claim)s")}))"""
)
HAND_OVER_SIZE = 10
"""Messages of a campaign in one hand-over, and so the most that a killed worker leaves UNKNOWN."""
_NEXT_OF_BULK = f"""
    state = 'QUEUED' AND {QUEUES["bulk"]} AND next_attempt_at <= %(at)s AND lane = '' AND {_UNEXPIRED}
    ORDER BY {ORDER["bulk"]} LIMIT {HAND_OVER_SIZE:d} FOR UPDATE SKIP LOCKED
"""
_OF_A_TWIN = """
    EXISTS (SELECT FROM clients_partner AS partner WHERE partner.id = partner_id AND partner.twin_of_id IS NOT NULL)
"""
CLAIM_AND_HAND_OVER = f"""
    WITH due AS MATERIALIZED (
        SELECT id, attempts = 0 AND {_STILL_WANTED} AND NOT {_OF_A_TWIN} AS is_wanted
        FROM messaging_message WHERE {_NEXT_OF_BULK}
    ), handed AS (
        UPDATE messaging_message SET state = 'SENDING', claim_id = %(claim)s, lease_until = %(lease)s,
            handed_over_at = %(at)s, attempts = 1, provider = %(provider)s
        WHERE id = ANY (ARRAY(SELECT id FROM due WHERE is_wanted)) RETURNING {_COLUMNS}
    ), logged AS (
        INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
        SELECT id, %(at)s, 'SENDING', attempts, %(provider)s, '' FROM handed
    )
    SELECT {_COLUMNS} FROM handed
"""  # noqa: S608  this module's constants
"""Claim and hand-over of messages of campaigns that were never tried. Of the next ones that are due those stay queued
that were tried, that are no longer wanted, or that are of a test twin: they take a claim of their own. Returns the
columns of the model, in their order (`from_db`)."""

INSERT_MESSAGE = """
    INSERT INTO messaging_message (
        id, partner_id, credential_id, request_id, trace_id, kind, via, recipient, subject, text, html, sealed,
        kept_until, state, attempts, next_attempt_at, send_before, provider, provider_id, provider_reply, reference,
        fallback_for_id, created_at
    ) VALUES (
        %(message_id)s, %(message_partner_id)s, %(message_credential_id)s, %(message_request_id)s, %(message_trace_id)s,
        %(message_kind)s, %(message_via)s, %(message_recipient)s, %(message_subject)s, %(message_text)s,
        %(message_html)s, %(message_sealed)s, %(message_kept_until)s, 'QUEUED', 0, %(message_next_attempt_at)s,
        %(message_send_before)s, '', '', '', %(message_reference)s, %(message_fallback_for_id)s, %(message_created_at)s
    )
"""
"""Takes the parameters of `messaging.queue.outbox.as_parameters`."""

FREE_GATEWAY_QUEUES = f"""
    WITH abandoned AS MATERIALIZED (
        SELECT id, lane FROM messaging_message WHERE state = 'QUEUED' AND lane <> '' AND next_attempt_at < %(late)s
        LIMIT {SWEEP_SIZE:d} FOR UPDATE SKIP LOCKED
    ), freed AS (
        UPDATE messaging_message AS message SET lane = '', next_attempt_at = %(at)s
        FROM abandoned WHERE message.id = abandoned.id
    )
    SELECT DISTINCT lane FROM abandoned
"""  # noqa: S608  this module's constants
"""Move messages that a gateway's process does not take to the queue of all workers; returns the gateways' names."""

REFRESH_GATEWAY_QUEUE = f"""
    UPDATE messaging_message SET next_attempt_at = next_attempt_at + make_interval(secs => %(waits)s)
    WHERE state = 'QUEUED' AND {QUEUES["codes"]} AND lane = %(gateway_queue)s AND next_attempt_at < %(late)s
"""  # noqa: S608  this module's constants

NONE_TAKEN = """
    SELECT reference FROM messaging_message WHERE reference = ANY(%(references)s) GROUP BY reference
    HAVING bool_and(state IN ('FAILED', 'UNKNOWN', 'EXPIRED', 'CANCELLED') AND kept_until IS NULL)
"""
NOT_TAKEN_LATELY = """
    SELECT reference, state FROM messaging_message
    WHERE state IN ('FAILED', 'UNKNOWN', 'EXPIRED') AND created_at >= %(since)s AND kind = %(kind)s
      AND reference IS NOT NULL AND kept_until IS NULL ORDER BY created_at DESC LIMIT 1000
"""

CLAIM_TRIAL = """
    UPDATE messaging_providerstate SET probe_until = %(probe_until)s
    WHERE name = %(name)s AND set_aside_at IS NOT NULL AND until <= %(at)s
      AND (probe_until IS NULL OR probe_until < %(at)s)
"""

# --- receipts ---

_OF_FAMILY = "(message.provider = {family} OR starts_with(message.provider, {family} || ':'))"
"""A gateway's name begins with that of its provider (`twilio:S:+1202`). SMSCs report under the whole name."""
_SINCE_HAND_OVER = (
    "receipt.at >= message.handed_over_at AND (receipt.message_id IS NULL OR receipt.message_id = message.id)"
)
"""The report came after the message's hand-over and has settled no other message."""

SAVE_RECEIPT = """
    INSERT INTO messaging_providerreceipt (provider, provider_id, message_id, state, detail, at, recipients, bounce)
    VALUES (%(provider)s, %(name)s, %(message)s, %(state)s, %(detail)s, %(at)s, %(recipients)s, %(bounce)s)
    ON CONFLICT (provider_id, provider, state) DO UPDATE SET
        message_id = excluded.message_id, detail = excluded.detail, at = excluded.at,
        recipients = excluded.recipients, bounce = excluded.bounce
    RETURNING id
"""
CLAIM_RECEIPT = """
    UPDATE messaging_providerreceipt AS receipt SET message_id = message.id, recipients = '{}',
        provider_id = CASE WHEN EXISTS (
            SELECT FROM messaging_providerreceipt AS other WHERE other.provider_id = message.provider_id
              AND other.provider = receipt.provider AND other.state = receipt.state
        ) THEN receipt.provider_id ELSE message.provider_id END
    FROM messaging_message AS message
    WHERE receipt.id = %(row)s AND message.id = %(message)s
      AND (receipt.message_id IS NULL OR receipt.message_id = message.id)
"""
FIND_BY_ID = f"""
    SELECT id, provider_id FROM messaging_message AS message
    WHERE provider_id = ANY(%(names)s) AND {_OF_FAMILY.format(family="%(family)s")}
      AND handed_over_at IS NOT NULL AND (handed_over_at <= %(at)s OR NOT %(reuses_ids)s)
      AND (recipient = ANY(%(recipients)s) OR provider_id = %(name)s AND %(has_no_recipient)s)
    ORDER BY provider_id = %(name)s DESC, handed_over_at DESC LIMIT 1
"""  # noqa: S608  this module's constants
FIND_BY_NUMBER = """
    SELECT id FROM messaging_message AS message
    WHERE recipient = ANY(%(recipients)s) AND created_at >= %(since)s AND provider = %(provider)s
      AND state IN ('SENT', 'UNKNOWN') AND handed_over_at <= %(at)s AND provider_id IN ('', id::text)
      AND NOT EXISTS (
          SELECT FROM messaging_message AS other
          WHERE other.recipient = message.recipient AND other.created_at >= %(since)s
            AND other.provider = message.provider AND other.state = 'SENDING' AND other.handed_over_at IS NOT NULL
      )
    ORDER BY handed_over_at DESC LIMIT 1
"""
EARLY_RECEIPTS = f"""
    SELECT receipt.id, receipt.recipients, receipt.provider, receipt.provider_id, receipt.state,
           receipt.detail, receipt.bounce, message.id, message.recipient
    FROM messaging_providerreceipt AS receipt JOIN messaging_message AS message
      ON message.id = ANY (ARRAY(SELECT unnest(%(ids)s::uuid[]))) AND message.provider_id = receipt.provider_id
     AND {_OF_FAMILY.format(family="receipt.provider")}
    WHERE receipt.provider_id = ANY (ARRAY(SELECT unnest(%(names)s::text[]))) AND {_SINCE_HAND_OVER}
    ORDER BY receipt.at, receipt.id
"""  # noqa: S608  this module's constants
"""It runs after each record. The arrays are read by queries of their own, for which the planner takes one number of
rows whatever the values: with the arrays themselves it may plan the statement anew each time, at more than its cost."""
EARLY_SMPP_RECEIPTS = {
    has_id: f"""
        SELECT receipt.id, receipt.recipients, receipt.provider_id, receipt.state, receipt.detail, message.recipient
        FROM messaging_providerreceipt AS receipt JOIN messaging_message AS message ON message.id = %(message)s
        WHERE receipt.provider = %(gateway)s AND {meant} AND {_SINCE_HAND_OVER} AND NOT EXISTS (
            SELECT FROM messaging_message AS other
            WHERE other.provider_id = receipt.provider_id AND other.provider = receipt.provider
              AND other.provider_id <> '' AND other.id <> message.id
              AND (other.recipient = message.recipient OR receipt.recipients = '{{}}')
        )
        ORDER BY receipt.at, receipt.id
    """  # noqa: S608  this module's constants
    for has_id, meant in {True: "receipt.provider_id = ANY(%(others)s)", False: "receipt.recipients <> '{}'"}.items()
}
"""By whether the SMSC gave an id when it took the message."""

SAVE_FEEDBACK = {
    has_our_id: f"""
        INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
        SELECT id, %(at)s, state, attempts, provider, %(detail)s::text FROM messaging_message AS message
        WHERE {meant} AND provider <> '' AND NOT EXISTS (
            SELECT FROM messaging_messageevent AS event
            WHERE event.message_id = message.id AND event.detail = %(detail)s::text
        )
        RETURNING message_id
    """  # noqa: S608  this module's constants
    for has_our_id, meant in {
        True: "id = %(message)s",
        False: f"provider_id = %(provider_id)s AND {_OF_FAMILY.format(family='%(family)s')}",
    }.items()
}
"""By whether the mail service repeats our id."""

# --- channel fallback ---

OVERDUE = f"""
    SELECT id, reference, via FROM messaging_message
    WHERE kept_until > %(at)s AND via = %(via)s AND reference IS NOT NULL
      AND (%(partner)s::bigint IS NULL OR partner_id = %(partner)s::bigint) AND (
        state IN ('FAILED', 'UNDELIVERED')
        OR state IN ('SENT', 'UNKNOWN') AND handed_over_at <= %(before)s
    )
    ORDER BY kept_until LIMIT {FALLBACK_SIZE:d}
"""  # noqa: S608  this module's constants
TAKE_OVER = """
    WITH found AS (
        SELECT id, sealed FROM messaging_message
        WHERE id = %(message)s AND kept_until IS NOT NULL AND sealed IS NOT NULL
          AND state IN ('FAILED', 'UNDELIVERED', 'SENT', 'UNKNOWN') FOR UPDATE
    )
    UPDATE messaging_message AS message SET kept_until = NULL, sealed = NULL
    FROM found WHERE message.id = found.id
    RETURNING found.sealed, message.recipient, message.send_before
"""
DROP_SEALS = """
    UPDATE messaging_message
    SET kept_until = NULL, sealed = CASE WHEN state IN ('QUEUED', 'SENDING') THEN sealed END
    WHERE reference = ANY(%(references)s) AND kept_until IS NOT NULL
"""
DROP_EXPIRED_SEALS = f"""
    UPDATE messaging_message
    SET kept_until = NULL, sealed = CASE WHEN state IN ('QUEUED', 'SENDING') THEN sealed END
    WHERE id = ANY (ARRAY(
        SELECT id FROM messaging_message WHERE kept_until <= %(at)s LIMIT {FALLBACK_SIZE:d} FOR UPDATE SKIP LOCKED
    ))
"""  # noqa: S608  this module's constants

# --- campaigns ---

MAKE_MESSAGES = """
    INSERT INTO messaging_message (
        id, partner_id, authorized_client_id, campaign_id, request_id, kind, via, recipient, subject,
        text, html, state, attempts, next_attempt_at, provider, provider_id, provider_reply, created_at
    )
    SELECT gen_random_uuid(), partner_id, id, %(campaign)s, request_id, %(kind)s, 'C', email, %(subject)s,
           '', '', 'QUEUED', 0, %(at)s, '', '', '', %(at)s
    FROM clients_authorizedclient WHERE id = ANY(%(ids)s)
    ON CONFLICT DO NOTHING
"""
WAITING = """
    SELECT count(*) FROM messaging_message WHERE campaign_id = %(campaign)s AND state IN ('QUEUED', 'SENDING')
"""
SET_DUE = """
    UPDATE messaging_message SET next_attempt_at = %(due)s
    WHERE campaign_id = %(campaign)s AND state IN ('QUEUED', 'SENDING')
      AND (%(only)s::timestamptz IS NULL OR next_attempt_at = %(only)s)
"""

# --- retention ---

MESSAGES_OF = """
    SELECT id FROM messaging_message WHERE reference = ANY(%(references)s)
    UNION SELECT id FROM messaging_message WHERE recipient = ANY(%(mailboxes)s)
    UNION SELECT id FROM messaging_message
    WHERE recipient = ANY(%(shared)s) AND authorized_client_id = ANY(%(clients)s)
"""
"""Each part uses an index: messages of an authorised client are found by their mailbox."""
BLANK_EVENTS = "UPDATE messaging_messageevent SET detail = '' WHERE message_id = ANY(%(ids)s) AND detail <> ''"

SEALED = """
    SELECT id, sealed FROM messaging_message WHERE sealed IS NOT NULL AND state = 'QUEUED'
      AND kind IN ('verificacion', 'suscripcion')
    UNION SELECT id, sealed FROM messaging_message WHERE sealed IS NOT NULL AND state = 'SENDING'
    UNION SELECT id, sealed FROM messaging_message WHERE sealed IS NOT NULL AND kept_until IS NOT NULL
"""
"""Messages that hold a code: each part has an index of its own."""
RESEAL = "UPDATE messaging_message SET sealed = %(anew)s WHERE id = %(id)s AND sealed = %(former)s"
"""Unless it was settled meanwhile."""
