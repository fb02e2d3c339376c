"""Whether an address is authorised shows neither in the answer nor in the work behind it."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.models import Message
from messaging.queue import wakeup
from subscription.asking import PER_MAILBOX
from subscription.models import SubscriptionRequest
from subscription.tests.conftest import ANA, Door, authorized

pytestmark = pytest.mark.django_db
STRANGER = "nadie@example.com"


def answer(door, email):
    given = door.ask(email)
    headers = {name: value for name, value in given.headers.items() if name not in ("Set-Cookie", "Request-Id")}
    return given.status_code, headers, given.content, sorted(given.cookies)


def test_the_same_bytes_for_known_and_unknown(client_of_banco):
    known, unknown = answer(Door(), ANA), answer(Door(), STRANGER)
    assert known == unknown
    assert known[0] == 200


def test_an_unknown_address_gets_no_mail_and_leaves_no_row(door, client_of_banco):
    door.ask(STRANGER)
    assert not Message.objects.exists()
    assert not SubscriptionRequest.objects.exists()


def test_a_mailbox_gets_three_mails_an_hour_and_the_answer_stays_the_same(door, client_of_banco):
    answers = [door.ask().content for _ in range(PER_MAILBOX + 3)]
    assert len(set(answers)) == 1
    assert Message.objects.count() == PER_MAILBOX == 3
    other = authorized(email="luis@example.com")
    door.ask(other.email)
    assert Message.objects.filter(recipient=other.email).count() == 1


def statements(email):
    """Each statement's verb and table; parameters and names of prepared statements aside."""
    with CaptureQueriesContext(connection) as captured:
        Door().ask(email)
    return [re.split(r" \(| WHERE |;", each["sql"])[0] for each in captured.captured_queries]


@pytest.mark.django_db(transaction=True)
def test_the_same_statements_and_one_ring_for_known_and_unknown(monkeypatch):
    rung = []
    monkeypatch.setattr(wakeup, "wake", rung.append)
    authorized()
    known, unknown = statements(ANA), statements(STRANGER)
    assert (known[-1], unknown[-1]) == ("COMMIT", "ROLLBACK")
    assert known[:-1] == unknown[:-1]
    assert [each.split()[0] for each in known[:-1]] == ["BEGIN", "SET", "SELECT", "INSERT", "INSERT"]
    assert rung == ["codes", "codes"]
