"""Hand-written statements of `messaging.suppression`, and its condition for the claims of bulletins. A test runs each
through EXPLAIN (tests/test_sql.py)."""

from clients.events import sql as events

NOT_SUPPRESSED = """
    NOT EXISTS (SELECT FROM messaging_suppression AS suppression
                WHERE suppression.mailbox = messaging_message.recipient AND suppression.mailbox <> ''
                  AND suppression.lifted_at IS NULL AND (
                      suppression.partner_id IS NULL OR suppression.partner_id = messaging_message.partner_id
                  ))
"""
"""Condition over `messaging_message`: no suppression stops bulletins of its company to its mailbox."""

LOCK_MAILBOX = "SELECT pg_advisory_xact_lock(hashtextextended('suppression:' || %(mailbox)s::text, 0))"
"""Held to the end of the transaction: of two refusals at once the second sees the first."""

NOTE_FEEDBACK = """
    INSERT INTO messaging_recipientfeedback (message_id, campaign_id, mailbox, kind, detail, at)
    SELECT id, campaign_id, recipient, %(kind)s, %(detail)s, %(at)s FROM messaging_message
    WHERE id = %(message)s AND via = 'C' AND recipient <> ''
    ON CONFLICT (message_id, kind) DO NOTHING
    RETURNING mailbox
"""
COUNT_FAILURES = """
    SELECT count(*) FROM messaging_recipientfeedback AS feedback
    WHERE mailbox = %(mailbox)s AND mailbox <> '' AND at > %(since)s AND kind = 'FAILURE' AND NOT EXISTS (
        SELECT FROM messaging_suppression AS suppression
        WHERE suppression.mailbox = %(mailbox)s AND suppression.mailbox <> '' AND reason = 'HARD_BOUNCE'
          AND suppression.partner_id IS NOT DISTINCT FROM %(twin)s::bigint AND suppression.lifted_at >= feedback.at
    ) AND (
        SELECT partner.id FROM messaging_message AS message
        JOIN clients_partner AS partner ON partner.id = message.partner_id AND partner.twin_of_id IS NOT NULL
        WHERE message.id = feedback.message_id
    ) IS NOT DISTINCT FROM %(twin)s::bigint
"""
"""Permanent failures of a mailbox since the time, and since its last suppression for them was lifted: of one test
twin's mails, or of all but the twins'."""


def _event_insert() -> str:
    return events.insert(f"""
        SELECT client.partner_id, 'authorization.suppressed', client.id::text, %(at)s, jsonb_build_object(
            'id_solicitud', client.request_id, 'via', 'C', 'to', {events.masked("'C'", "client.email")},
            'reason', lower(%(reason)s::text)
        ) FROM entry JOIN clients_authorizedclient AS client ON client.email = %(mailbox)s
        WHERE is_new AND client.deauthorized_at IS NULL
          AND (%(partner)s::bigint IS NULL OR client.partner_id = %(partner)s::bigint)
    """)  # noqa: S608  this module's constants


SUPPRESS = f"""
    WITH entry AS (
        INSERT INTO messaging_suppression (
            mailbox, mailbox_key, partner_id, reason, evidence, message_id, created_at, last_at, created_by, lifted_by,
            lifted_because
        ) VALUES (
            %(mailbox)s, '', %(partner)s, %(reason)s, %(evidence)s, %(message)s, %(at)s, %(at)s, %(by)s, '', ''
        )
        ON CONFLICT (mailbox, reason, partner_id) WHERE lifted_at IS NULL AND mailbox <> '' DO UPDATE SET
            last_at = greatest(messaging_suppression.last_at, excluded.last_at),
            evidence = excluded.evidence, message_id = excluded.message_id
        RETURNING id, xmax = 0 AS is_new
    ), event AS ({_event_insert()})
    SELECT id FROM entry
"""  # noqa: S608  as above
"""Write or renew an entry; returns its id. Of a new one the companies are told whose clients it concerns."""
BOUNCED_LAST = """
    SELECT max(last_at) FROM messaging_suppression
    WHERE lifted_at IS NULL AND reason = 'HARD_BOUNCE' AND mailbox = %(mailbox)s AND mailbox <> ''
      AND partner_id IS NOT DISTINCT FROM %(twin)s::bigint
"""
BOUNCED_LAST_ERASED = """
    SELECT max(last_at) FROM messaging_suppression
    WHERE lifted_at IS NULL AND reason = 'HARD_BOUNCE' AND mailbox_key = ANY(%(keys)s) AND mailbox_key <> ''
      AND partner_id IS NOT DISTINCT FROM %(twin)s::bigint
"""
LIFT_BOUNCES = """
    UPDATE messaging_suppression SET lifted_at = %(at)s, lifted_because = %(because)s
    WHERE lifted_at IS NULL AND reason = 'HARD_BOUNCE'
      AND (mailbox = %(mailbox)s AND mailbox <> '' OR mailbox_key = ANY(%(keys)s) AND mailbox_key <> '')
      AND partner_id IS NOT DISTINCT FROM %(twin)s::bigint
"""
"""Those of a test twin, or those for all partners."""
LIFT_COMPLAINTS = """
    UPDATE messaging_suppression SET lifted_at = %(at)s, lifted_because = %(because)s
    WHERE lifted_at IS NULL AND reason = 'COMPLAINT' AND mailbox = %(mailbox)s AND mailbox <> ''
      AND (partner_id IS NULL OR partner_id = ANY(%(partners)s))
"""
RETURN_MAILBOX = """
    UPDATE messaging_suppression AS suppression SET mailbox = %(mailbox)s, mailbox_key = ''
    WHERE mailbox_key = ANY(%(keys)s) AND mailbox_key <> '' AND lifted_at IS NULL AND NOT EXISTS (
        SELECT FROM messaging_suppression AS other
        WHERE other.mailbox = %(mailbox)s AND other.mailbox <> '' AND other.lifted_at IS NULL
          AND other.reason = suppression.reason AND other.partner_id IS NOT DISTINCT FROM suppression.partner_id
    )
"""
"""An erased mailbox that is subscribed again: its suppressions are found by their mailbox once more."""

LIFT_CONTRADICTED = """
    UPDATE messaging_suppression SET lifted_at = %(at)s, lifted_because = %(because)s
    WHERE id = ANY (ARRAY(
        SELECT suppression.id FROM messaging_recipientfeedback AS feedback
        JOIN messaging_suppression AS suppression
          ON suppression.mailbox = feedback.mailbox AND suppression.mailbox <> ''
         AND suppression.message_id = feedback.message_id
        WHERE feedback.message_id = %(message)s AND feedback.kind IN ('HARD_BOUNCE', 'FAILURE')
          AND suppression.lifted_at IS NULL AND suppression.reason = 'HARD_BOUNCE'
    ))
"""
"""The mail whose bounce is the evidence arrived after all."""

COUNT_OF_CAMPAIGN = """
    SELECT kind, count(*) FROM messaging_recipientfeedback WHERE campaign_id = %(campaign)s GROUP BY kind
"""
COUNT_SENT = """
    SELECT count(*) FROM (
        SELECT FROM messaging_message
        WHERE campaign_id = %(campaign)s AND campaign_id IS NOT NULL
          AND state IN ('SENT', 'DELIVERED', 'UNDELIVERED', 'FAILED', 'UNKNOWN') LIMIT %(limit)s::int
    ) AS sent
"""
"""Messages of a campaign that a provider was asked to send, counted up to a limit."""

ERASE_FEEDBACK = """
    UPDATE messaging_recipientfeedback SET mailbox = '', detail = ''
    WHERE mailbox = ANY(%(mailboxes)s) AND mailbox <> ''
"""
"""The rows stay, blank, for the figures of their campaigns."""
