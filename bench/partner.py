"""Partner of contract 1 with credentials, clients, sent messages and campaigns."""

import json
from collections.abc import Mapping
from typing import Any

import psycopg

from bench import history
from testkit.stack import Stack

CLIENTS = """
INSERT INTO clients_authorizedclient
    (partner_id, email, name, document_type, document_number, phone, external_code, profile, request_id, created_at,
     subscribed_at)
SELECT %(partner)s, 'c' || left(md5(n::text), 8) || n || '@dominio.com', 'María Quispe', 'DNI',
       (10000000 + n)::text, (900000000 + n)::text, 'A-' || n, 'VIP', 1, now(), now()
FROM generate_series(1, %(count)s) n
"""
"""Unsorted addresses, so that an index grows everywhere."""
SENT = """
INSERT INTO messaging_message
    (id, partner_id, request_id, kind, via, recipient, subject, text, state, attempts, next_attempt_at, provider,
     handed_over_at, created_at, sent_at)
SELECT gen_random_uuid(), %(partner)s, 1, CASE n %% 5 WHEN 0 THEN 'alerta' ELSE 'boletin' END, 'C',
       'c' || left(md5(n::text), 8) || n || '@dominio.com', %(subject)s, '',
       CASE n %% 50 WHEN 0 THEN 'FAILED' ELSE 'SENT' END, 1, at, 'smtp', at, at - interval '1 min',
       CASE WHEN n %% 50 > 0 THEN at END
FROM (
    SELECT n, now() - interval '1 year' + n * interval '25 s' AS at FROM generate_series(1, %(count)s) n
) AS made
"""
CAMPAIGN = """
INSERT INTO messaging_campaign
    (type, subject, text, is_advertising, profiles, state, scheduled_at, audience, last_client_id, created_by,
     created_at, started_at, fanned_out_at)
VALUES ('boletin', 'Novedades de abril', %(text)s, true, '{}', %(state)s::text, now(), %(audience)s, 0, 'ana', now(),
        CASE %(state)s::text WHEN 'SENDING' THEN now() END, CASE %(state)s::text WHEN 'SENDING' THEN now() END)
RETURNING id
"""
TEXT = "Estimada clienta, estimado cliente:\n\n" + "En abril abrimos dos locales nuevos y cambian las tarifas. " * 12
QUEUED = """
INSERT INTO messaging_message
    (id, partner_id, authorized_client_id, campaign_id, request_id, kind, via, recipient, subject, text, state,
     next_attempt_at, created_at)
SELECT gen_random_uuid(), partner_id, id, %(campaign)s, 1, 'boletin', 'C', email, 'PUBLICIDAD: Novedades de abril', '',
       'QUEUED', now(), now()
FROM clients_authorizedclient WHERE partner_id = %(partner)s ORDER BY id LIMIT %(count)s
"""


class Partner:
    """A partner made by the operator's command; its rows are inserted by SQL, as the API would take too long."""

    def __init__(self, stack: Stack, database: "psycopg.Connection") -> None:
        self.database = database
        made = json.loads(stack.command("django", "create_partner", "Banco de Pruebas", "--json"))
        self.token = str(made["token"])
        self.id = int(self._one("SELECT id FROM clients_partner WHERE slug = %(slug)s", {"slug": made["partner"]}))
        history.prepare(database)

    def fill_clients(self, count: int) -> None:
        """Insert subscribed clients."""
        self._fill(CLIENTS, count)

    def fill_sent_messages(self, count: int, subject: str = 'PUBLICIDAD: Novedades de "abril", año 2026') -> None:
        """Insert bulletins and alerts of the last year; the provider refused one in fifty."""
        self._fill(SENT, count, subject=subject)

    def launch(self, audience: int) -> int:
        """Schedule a bulletin to all clients for now; beat starts it within seconds."""
        return self._campaign("SCHEDULED", audience)

    def queue(self, count: int) -> int:
        """Insert a bulletin with all messages queued, more than a campaign creates ahead by itself."""
        with self.database.transaction():  # a sweep would end a campaign without waiting messages
            campaign = self._campaign("SENDING", count)
            self.database.execute(QUEUED, {"campaign": campaign, "partner": self.id, "count": count})
        return campaign

    def waiting(self, campaign: int) -> int:
        """Number of its unsettled messages."""
        left = "SELECT count(*) FROM messaging_message WHERE campaign_id = %(campaign)s"
        return int(self._one(f"{left} AND state IN ('QUEUED', 'SENDING')", {"campaign": campaign}))

    def body(self, action: str, **more: Any) -> bytes:
        """A request of contract 1."""
        fields = {"token": self.token, "usuario": "MAQ-001", "solicitud": action, **more}
        return json.dumps(fields, ensure_ascii=False).encode()

    def _campaign(self, state: str, audience: int) -> int:
        return int(self._one(CAMPAIGN, {"text": TEXT, "state": state, "audience": audience}))

    def _fill(self, sql: str, count: int, **more: Any) -> None:
        """Insert rows without checks of foreign keys, which hold by construction."""
        self.database.execute("SET session_replication_role = replica")
        self.database.execute(sql, {"partner": self.id, "count": count, **more})
        self.database.execute("SET session_replication_role = origin")
        history.tidy(self.database)

    def _one(self, sql: str, values: Mapping[str, Any]) -> Any:
        row = self.database.execute(sql, values).fetchone()
        assert row is not None, sql
        return row[0]
