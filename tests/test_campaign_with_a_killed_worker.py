"""A bulletin to 5,000 subscribers over real SMTP whose worker is killed half way: none is lost, none sent twice.

The first half goes with PIPELINING, the second without.
"""

import time
from collections import Counter

from config.run.processes import wait_until
from messaging.tests.smtp_servers import real_server
from testkit.stack import Stack

SUBSCRIBERS = 5_000
MAX_UNCLEAR = 2 * 10
"""Two threads with ten messages each: the most that a kill may leave unclear."""


def test_each_of_5_000_gets_a_bulletin_once_though_its_worker_is_killed_and_a_code_does_not_wait(stack: Stack) -> None:
    partner = stack.sql(
        "INSERT INTO clients_partner (name, slug, is_active, contracts, created_at)"
        " VALUES ('Boletines', 'boletines', true, '{nopasanada}', now()) RETURNING id"
    )[0][0]
    stack.sql(
        "INSERT INTO clients_authorizedclient (partner_id, email, name, document_type, document_number, phone,"
        " external_code, profile, request_id, created_at, subscribed_at)"
        " SELECT %s, 'c' || n || '@dominio.com', '', '', '', '', 'C', 'VIP', 1, now(), now()"
        " FROM generate_series(1, %s) AS n",
        *(partner, SUBSCRIBERS),
    )
    with real_server() as mailbox:
        mailbox.pipelining = True
        bulk = stack.program("bulk", EMAIL_URL=f"smtp://127.0.0.1:{mailbox.port}")
        bulk.start()
        try:
            campaign = _launch(stack, partner)
            assert wait_until(lambda: len(mailbox.mails) > SUBSCRIBERS // 4, 60)
            client, phone = stack.register(), stack.phone()
            started = time.monotonic()
            assert stack.ask(client, phone).status_code == 200
            stack.code_soon(phone, 5)
            assert time.monotonic() - started < 5
            bulk.kill()
            killed_at = len(mailbox.mails)
            assert killed_at < SUBSCRIBERS, "killed half way, not at the end"
            mailbox.pipelining = False
            bulk.start()
            assert wait_until(lambda: _states(stack, campaign)["QUEUED"] == 0 and _claimed(stack, campaign) == 0, 90)
        finally:
            bulk.kill()
        received = Counter(mail.rcpt_tos[0] for mail in mailbox.mails)
    states = _states(stack, campaign)
    assert max(received.values()) == 1, "no address twice"
    assert sum(states.values()) == SUBSCRIBERS
    unclear = states["SENDING"] + states["UNKNOWN"]
    assert unclear <= MAX_UNCLEAR
    assert states["SENT"] == SUBSCRIBERS - unclear
    assert SUBSCRIBERS - unclear <= len(received) <= SUBSCRIBERS


def _launch(stack: Stack, partner: int) -> int:
    """Schedule a campaign to this partner's clients alone: other tests leave subscribed ones behind."""
    campaign = stack.sql(
        "WITH made AS (INSERT INTO messaging_campaign (type, subject, text, html, is_advertising, profiles, state,"
        " scheduled_at, audience, last_client_id, created_by, created_at)"
        " VALUES ('boletin', 'Novedades', 'Hola', '', true, '{}', 'SCHEDULED', now(), %s, 0, 'ana', now())"
        " RETURNING id)"
        " INSERT INTO messaging_campaign_partners (campaign_id, partner_id) SELECT id, %s FROM made"
        " RETURNING campaign_id",
        *(SUBSCRIBERS, partner),
    )[0][0]
    return int(campaign)


def _states(stack: Stack, campaign: int) -> Counter[str]:
    rows = stack.sql("SELECT state, count(*) FROM messaging_message WHERE campaign_id = %s GROUP BY state", campaign)
    return Counter(dict(rows))


def _claimed(stack: Stack, campaign: int) -> int:
    """Number of messages claimed and not handed over: they are sent or released within seconds."""
    return int(
        stack.sql(
            "SELECT count(*) FROM messaging_message WHERE campaign_id = %s AND state = 'SENDING'"
            " AND (handed_over_at IS NULL OR handed_over_at > now() - '3 s'::interval)",
            campaign,
        )[0][0]
    )
