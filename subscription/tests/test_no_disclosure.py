"""Requests for a link: neither the answer nor the work behind it shows that an address is authorised."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.models import Message
from messaging.queue import wakeup
from subscription.asking import MAILS_PER_MAILBOX
from subscription.models import SubscriptionRequest
from subscription.tests.conftest import ANA, Visitor, authorized

pytestmark = pytest.mark.django_db
STRANGER = "nadie@example.com"


def answer(visitor, email):
    given = visitor.ask(email)
    headers = {name: value for name, value in given.headers.items() if name not in ("Set-Cookie", "Request-Id")}
    return given.status_code, headers, given.content, sorted(given.cookies)


def test_the_same_bytes_for_known_and_unknown(client_of_banco):
    known, unknown = answer(Visitor(), ANA), answer(Visitor(), STRANGER)
    assert known == unknown
    assert known[0] == 200


def test_an_unknown_address_gets_no_mail_and_leaves_no_row(visitor, client_of_banco):
    visitor.ask(STRANGER)
    assert not Message.objects.exists()
    assert not SubscriptionRequest.objects.exists()


def test_a_mailbox_gets_three_mails_an_hour_and_the_answer_stays_the_same(visitor, client_of_banco):
    answers = [visitor.ask().content for _ in range(MAILS_PER_MAILBOX + 3)]
    assert len(set(answers)) == 1
    assert Message.objects.count() == MAILS_PER_MAILBOX == 3
    other = authorized(email="luis@example.com")
    visitor.ask(other.email)
    assert Message.objects.filter(recipient=other.email).count() == 1


def statements(email):
    """Each statement's verb and table; parameters and names of prepared statements aside."""
    with CaptureQueriesContext(connection) as captured:
        Visitor().ask(email)
    return [re.split(r" \(| WHERE |;", each["sql"])[0] for each in captured.captured_queries]


@pytest.mark.django_db(transaction=True)
def test_the_same_statements_and_one_wake_up_for_known_and_unknown(monkeypatch):
    rung = []
    monkeypatch.setattr(wakeup, "wake", rung.append)
    authorized()
    known, unknown = statements(ANA), statements(STRANGER)
    assert (known[-1], unknown[-1]) == ("COMMIT", "ROLLBACK")
    assert known[:-1] == unknown[:-1]
    assert [each.split()[0] for each in known[:-1]] == ["BEGIN", "SET", "SELECT", "INSERT", "INSERT"]
    assert rung == ["codes", "codes"]
