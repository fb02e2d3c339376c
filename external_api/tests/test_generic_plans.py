"""The statements of a code's way are planned a few times in a session, and then no more: planning one costs more than
running it, and PostgreSQL goes on planning where a plan for the given values looks cheaper."""

import pytest
from django.db import connection
from django.utils import timezone

from clients import credentials
from conftest import InformaperuClient, make_applicant
from messaging.delivery import send
from messaging.models import Message
from messaging.queue.sealing import unseal
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db(transaction=True)

CYCLES = 9
TRIED = 5
"""Runs that PostgreSQL plans anew before it compares."""
HISTORY = """
    INSERT INTO messaging_message (id, kind, via, recipient, subject, text, html, state, attempts, next_attempt_at,
        provider, provider_id, provider_reply, created_at, sent_at, handed_over_at)
    SELECT gen_random_uuid(), 'verificacion', 'S', (900000000 + n)::text, '', 'x', '', 'SENT', 1, now(), 'twilio',
        'SM' || n, '', now() - interval '1 day', now() - interval '1 day', now() - interval '1 day'
    FROM generate_series(1, 5000) n
"""
PLANNED = """
    SELECT left(regexp_replace(statement, '\\s+', ' ', 'g'), 90), generic_plans, custom_plans
    FROM pg_prepared_statements WHERE generic_plans + custom_plans >= %s
"""


def cycle(number, headers, client):
    """Ask for a code, deliver it and verify it."""
    front = InformaperuClient()
    assert front.ask(client, headers, telefono=f"98100000{number}").status_code == 200
    message = Message.objects.latest("created_at")
    code = unseal(bytes(message.sealed))
    assert send.deliver_due("codes") == 1
    assert front.verify(client, code, **headers).status_code == 200


def test_no_statement_of_a_code_s_way_is_planned_for_each_call():
    partner = PartnerFactory(name="Informa", contracts=["informaperu"])
    _, secret = credentials.issue(partner, "opaque", at=timezone.now(), by="ana")
    headers = {"authorization": f"Bearer {secret}"}
    with connection.cursor() as cursor:
        cursor.execute(HISTORY)
        cursor.execute("ANALYZE messaging_message, messaging_providerreceipt")
    connection.close()  # the session of other tests has statements of its own
    for number in range(CYCLES):
        cycle(number, headers, str(make_applicant(partner=partner, document_number=f"4100000{number}").pk))
    with connection.cursor() as cursor:
        cursor.execute(PLANNED, [CYCLES])
        found = cursor.fetchall()
    ours = [row for row in found if "receipt" in row[0] or "messaging_message" in row[0] or "WITH" in row[0]]
    assert len(ours) >= 6, found
    assert [row for row in ours if row[2] > TRIED] == []
