"""Hand-written statements of `clients`. A test runs each through EXPLAIN (tests/test_sql.py)."""

from clients.events import sql as events

CREDENTIAL_COLUMNS = (
    "id",
    "partner_id",
    "kind",
    "digest",
    "jti",
    "prefix",
    "created_at",
    "expires_at",
    "revoked_at",
    "last_used_at",
    "notice_days",
    "kid",
)
PARTNER_COLUMNS = (
    "id",
    "name",
    "slug",
    "is_active",
    "contracts",
    "requests_per_minute",
    "paid_messages_per_day",
    "brand",
    "created_at",
    "twin_of_id",
)
_VERSION = "(credential.xmin, credential.ctid, partner.xmin, partner.ctid)::text"
CREDENTIAL = {
    kind: f"""
        SELECT {", ".join(f"credential.{each}" for each in CREDENTIAL_COLUMNS)},
            {", ".join(f"partner.{each}" for each in PARTNER_COLUMNS)}, {_VERSION}
        FROM clients_credential AS credential JOIN clients_partner AS partner ON partner.id = credential.partner_id
        WHERE credential.{column} = %(value)s AND credential.kind = '{kind}'
    """  # noqa: S608  this module's constants
    for kind, column in (("opaque", "digest"), ("jwt", "jti"))
}
"""A credential of each kind, with its partner and the version of both rows. The columns are those of the models, in
their order (`from_db`)."""
CREDENTIAL_VERSION = f"""(
    SELECT {_VERSION} FROM clients_credential AS credential
    JOIN clients_partner AS partner ON partner.id = credential.partner_id WHERE credential.id = %(credential)s
)"""  # noqa: S608  as above
"""SQL expression: the version of a credential's rows, which every change of one of them changes; NULL: it is gone.

PostgreSQL writes a changed row anew: `xmin` is the transaction that did, `ctid` the place of the new one."""

ESTIMATED_ROWS = "SELECT reltuples::bigint FROM pg_class WHERE oid = %(table)s::regclass"
"""Rows of a table by its statistics."""


def _event_insert(event_type: str, rows: str) -> str:
    """INSERT of the one event of a request for an alta or a baja, if it changed a client."""
    return events.insert(f"""
        SELECT %(partner)s, '{event_type}', coalesce(%(request)s::bigint::text, ''), %(at)s,
            jsonb_build_object('id_solicitud', %(request)s::bigint, 'clients', count(*))
        FROM {rows} HAVING count(*) > 0
    """)  # noqa: S608  this module's constants


AUTHORIZE = f"""
    WITH asked AS MATERIALIZED (
        SELECT nextval('clients_authorizedclient_id_seq') AS id, each.*
        FROM unnest(
            string_to_array(%(email)s, chr(10)), string_to_array(%(name)s, chr(10)),
            string_to_array(%(document_type)s, chr(10)), string_to_array(%(document_number)s, chr(10)),
            string_to_array(%(phone)s, chr(10)), string_to_array(%(external_code)s, chr(10)),
            string_to_array(%(profile)s, chr(10))
        ) AS each(email, name, document_type, document_number, phone, external_code, profile)
        WHERE email <> ''
    ), added AS (
        INSERT INTO clients_authorizedclient (
            id, partner_id, email, name, document_type, document_number, phone, external_code, profile,
            request_id, created_at
        )
        SELECT id, %(partner)s, email, name, document_type, document_number, phone, external_code, profile,
            %(request)s, %(at)s
        FROM asked ORDER BY email
        ON CONFLICT (partner_id, email) WHERE deauthorized_at IS NULL DO NOTHING
        RETURNING id
    ), event AS ({_event_insert("authorization.created", "added")})
    SELECT email FROM asked WHERE id NOT IN (SELECT id FROM added)
"""  # noqa: S608  this module's constants
"""Add clients; returns the addresses that were live already. Each column is one text, in which a line break ends every
value; what follows the last one is the row without an address."""

LIVE_AMONG = """
    SELECT email FROM clients_authorizedclient
    WHERE partner_id = %(partner)s AND email = ANY(%(emails)s) AND deauthorized_at IS NULL
"""
"""Those of the addresses that are live."""

DEAUTHORIZE = f"""
    WITH live AS (
        SELECT id FROM clients_authorizedclient
        WHERE partner_id = %(partner)s AND email = ANY(%(emails)s) AND deauthorized_at IS NULL
        ORDER BY email FOR NO KEY UPDATE
    ), removed AS (
        UPDATE clients_authorizedclient AS client SET deauthorized_at = %(at)s
        FROM live WHERE client.id = live.id
        RETURNING client.email
    ), event AS ({_event_insert("authorization.removed", "removed")})
    SELECT email FROM removed
"""  # noqa: S608  this module's constants
"""End live authorisations; returns their addresses."""

ADD_TO_COUNTER = """
    INSERT INTO messaging_ratecount AS mine (key, known, added, ends_at) VALUES (%(key)s, 0, %(amount)s::int, %(ends)s)
    ON CONFLICT (key) DO UPDATE SET added = mine.added + %(amount)s::int
    RETURNING known + added
"""
"""Add to a counter; returns the count."""

HIT_WINDOW = """
    WITH before AS (
        SELECT coalesce(max(known + added), 0) * %(left)s::float AS weight
        FROM messaging_ratecount WHERE key = %(previous)s
    )
    INSERT INTO messaging_ratecount AS mine (key, known, added, ends_at)
    SELECT %(key)s, 0, 1, %(ends)s FROM before WHERE floor(weight) + 1 <= %(allowed)s::int
    ON CONFLICT (key) DO UPDATE SET added = mine.added + 1
    WHERE floor((SELECT weight FROM before)) + mine.known + mine.added + 1 <= %(allowed)s::int
"""
"""Count a hit in a sliding window, unless the limit is reached; no row: it is."""

SEED_COUNTERS = """
    INSERT INTO messaging_ratecount AS mine (key, known, added, ends_at)
    SELECT key, 0, added, ends FROM unnest(%(keys)s::text[], %(amounts)s::int[], %(ends)s::timestamptz[])
        AS new(key, added, ends) ORDER BY key
    ON CONFLICT (key) DO UPDATE SET added = mine.added + excluded.added
"""
"""Add to several counters."""

CLAIM_COUNTER = """
    UPDATE messaging_ratecount AS mine SET known = greatest(mine.known, %(seen)s::int), added = 0
    FROM (SELECT key, known, added FROM messaging_ratecount WHERE key = %(key)s FOR UPDATE) AS old
    WHERE mine.key = old.key RETURNING old.known, old.added
"""
"""Store Redis's count and return what Redis did not know."""

SET_KNOWN_COUNT = """
    INSERT INTO messaging_ratecount AS mine (key, known, added, ends_at) VALUES (%(key)s, %(seen)s::int, 0, %(ends)s)
    ON CONFLICT (key) DO UPDATE SET known = greatest(mine.known, %(seen)s::int)
"""
"""Store Redis's count."""

COUNT = "SELECT known + added FROM messaging_ratecount WHERE key = %(key)s"
"""Count of a counter."""

REDACT_AUDIT = """
    UPDATE clients_auditentry AS entry SET data = new.data
    FROM json_to_recordset(%(entries)s::json) AS new(id bigint, data jsonb)
    WHERE entry.id = new.id AND entry.data <> new.data
"""
"""Replace the data of audit entries by a JSON text."""

ENTRIES_WITH_TEXT = """
    SELECT id, data::text FROM clients_auditentry
    WHERE object_type = ANY(%(types)s)
        AND EXISTS (SELECT FROM unnest(%(needles)s::text[]) AS needle WHERE position(needle IN lower(data::text)) > 0)
"""
"""Entries about some types of objects that hold one of the texts."""
