"""Hand-written statements of the sandboxes. Apart from `messaging.sql`, which imports models: gateways are made before
models may be imported, when the settings are checked at start-up."""

ADD_MESSAGES = """
    INSERT INTO messaging_sandboxmessage (message_id, via, "to", text, created)
    SELECT message_id, via, "to", text, created
    FROM json_to_recordset(%(rows)s::json) AS row(message_id uuid, via text, "to" text, text text, created timestamptz)
"""

ADD_MESSAGE_OF_TWIN = """
    INSERT INTO messaging_sandboxmessage (message_id, via, "to", text, created, twin_id, receipt_at)
    SELECT id, %(via)s, %(to)s, %(text)s, %(created)s, partner_id, %(receipt_at)s
    FROM messaging_message WHERE id = %(message_id)s
"""
"""Nothing for a message that is gone: its twin was emptied while a worker had it."""
DUE_RECEIPTS = """
    SELECT id, message_id FROM messaging_sandboxmessage
    WHERE receipt_at <= %(at)s AND (%(twin)s::bigint IS NULL OR twin_id = %(twin)s::bigint)
    ORDER BY receipt_at LIMIT 200
"""
RECEIPT_SENT = "UPDATE messaging_sandboxmessage SET receipt_at = NULL WHERE id = %(row)s"
