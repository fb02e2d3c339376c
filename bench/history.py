"""Initial rows of a benchmark: clients without codes, and years of codes of other clients."""

import psycopg

from bench.protocols import Client

PER_CLIENT = 4
"""Old codes of one old client."""

FILL_IN = """
DO $$ DECLARE missing record; BEGIN
    FOR missing IN
        SELECT table_name, column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
          AND data_type IN ('character varying', 'text', 'smallint', 'integer', 'boolean')
          AND table_name IN ('clients_applicant', 'clients_authorizedclient', 'tokens_verificationtoken',
                             'messaging_message', 'messaging_campaign')
    LOOP
        EXECUTE format(
            'ALTER TABLE %I ALTER %I SET DEFAULT %L', missing.table_name, missing.column_name,
            CASE WHEN missing.data_type IN ('smallint', 'integer') THEN '0'
                 WHEN missing.data_type = 'boolean' THEN 'false' ELSE '' END
        );
    END LOOP;
END $$
"""
"""Defaults for our tables: Django gives every value, while the hand-written SQL here names only some columns."""

CLIENTS = """
INSERT INTO clients_applicant
    (id, document_type, document_number, names, paternal_surname, email, ubigeo, state, validated_at, proved_via,
     proved_destination, created_at, updated_at, partner_id)
SELECT gen_random_uuid(), 'DNI', n::text, 'Juan', 'Perez', n || '@example.com', '150122',
       CASE WHEN proved THEN 'VALIDADO' ELSE 'PENDIENTE' END, CASE WHEN proved THEN created END,
       CASE WHEN proved THEN 'S' ELSE '' END, CASE WHEN proved THEN '9' || n ELSE '' END, created, created,
       %(partner)s::bigint
FROM (
    SELECT n, %(are_old)s AND n %% 2 = 0 AS proved,
           now() - CASE WHEN %(are_old)s THEN (3 + n %% 700) * interval '1 day' ELSE interval '0' END AS created
    FROM generate_series(%(first)s::bigint, %(first)s + %(count)s - 1) n
) AS made
"""
TOKENS = """
INSERT INTO tokens_verificationtoken
    (id, applicant_id, via, destination, operator, code_hmac, created_at, expires_at, outcome, finished_at,
     client_attempt, client_wait, destination_attempt, destination_wait)
SELECT gen_random_uuid(), a.id, 'S', '9' || a.document_number, 'CLARO', sha256(a.id::text::bytea),
       a.created_at + nth * interval '1 hour', a.created_at + nth * interval '1 hour' + interval '150 s',
       CASE WHEN nth = 4 AND a.state = 'VALIDADO' THEN 'VALIDADO' ELSE 'SIN_RESPUESTA' END,
       a.created_at + nth * interval '1 hour' + interval '150 s', nth, '30 min', nth, '30 min'
FROM clients_applicant a, generate_series(1, %(each)s) nth
WHERE a.document_number BETWEEN '50000001' AND '89999999'
"""
MESSAGES = """
INSERT INTO messaging_message
    (id, kind, via, recipient, text, state, attempts, next_attempt_at, send_before, provider, reference, created_at,
     sent_at)
SELECT gen_random_uuid(), 'verificacion', 'S', destination, 'Aval: tu clave es ••••. Vence en 2 min 30 s.', 'SENT', 1,
       created_at, expires_at, 'sandbox', id, created_at, created_at + interval '1 s'
FROM tokens_verificationtoken WHERE created_at < now() - interval '1 day'
"""


def prepare(database: "psycopg.Connection") -> None:
    database.execute(FILL_IN)


def fill(database: "psycopg.Connection", codes: int) -> None:
    """Insert old codes with their clients and messages."""
    # Old clients' document numbers begin far above those of the measured clients.
    database.execute(CLIENTS, {"first": 50_000_001, "count": codes // PER_CLIENT, "are_old": True, "partner": None})
    database.execute(TOKENS, {"each": PER_CLIENT})
    database.execute(MESSAGES)
    tidy(database)


def tidy(database: "psycopg.Connection") -> None:
    """Do the work that autovacuum would do during a round."""
    database.execute("VACUUM ANALYZE")
    database.execute("CHECKPOINT")


def register(database: "psycopg.Connection", count: int, partner: int | None = None) -> list[Client]:
    """Insert new clients with unused document numbers, of this partner or of nobody."""
    found = database.execute(
        "SELECT greatest(20000000, max(document_number::int)) FROM clients_applicant"
        " WHERE document_number BETWEEN '20000000' AND '49999999'"
    ).fetchone()
    first = (found[0] if found else 0) + 1
    database.execute(CLIENTS, {"first": first, "count": count, "are_old": False, "partner": partner})
    rows = database.execute(
        "SELECT id, document_number FROM clients_applicant WHERE document_type = 'DNI' AND document_number = ANY(%s)",
        [[str(number) for number in range(first, first + count)]],
    )
    return [Client(f"9{number}", str(id)) for id, number in rows]
