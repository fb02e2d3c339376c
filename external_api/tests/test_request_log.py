"""Request log: one row for each call, written by a statement of its own or with what the call changes."""

import time
from unittest import mock
from uuid import uuid4

import pytest
from django.db import OperationalError

from conftest import NOW, make_applicant
from external_api.frontdoor import request_log
from external_api.models import ApiRequest
from messaging.models import Message
from messaging.queue.sealing import unseal

pytestmark = pytest.mark.django_db


def test_a_request_s_row_is_written_whole():
    row = {
        "contract": "informaperu",
        "partner_id": None,
        "user": "u",
        "action": "a",
        "status": 200,
        "code": "c",
        "address": "2001:db8::1",
        "subject": uuid4(),
        "successes": 1,
        "failures": 2,
    }
    values = request_log.row(at=NOW, started=time.perf_counter() - 0.007, **row)
    request_log.write(None, values)
    number = request_log.next_id()
    request_log.write(number, values)
    first, second = ApiRequest.objects.order_by("pk")
    assert (second.pk, second.pk - first.pk) == (number, 1)
    for name, value in row.items():
        assert getattr(first, name) == getattr(second, name) == value
    assert first.created_at == NOW
    assert 7 <= first.duration_ms < 1_000


def test_a_code_and_its_verification_write_their_rows_with_their_changes(client, informa, django_assert_num_queries):
    """Of a success there is one row, and the message of a code carries its id. The statements are counted: lock, read
    and write, or lock and write, and those of the transaction."""
    headers = {"authorization": f"Bearer {informa.token}"}
    people = [make_applicant(partner=informa.partner, document_number=f"4000000{n}") for n in range(3)]

    def ask(number):
        body = {"via": "S", "telefono": f"98765432{number}", "operador": "CLARO"}
        return client.post(f"/v1/api/client/{people[number].pk}/token", body, "application/json", headers=headers)

    assert ask(0).status_code == 200, "the first call of a day also begins its counts"
    assert ask(1).status_code == 200, "the first call with a key notes its use, and the second one remembers it"
    with django_assert_num_queries(5):
        assert ask(2).status_code == 200
    message, row = Message.objects.get(recipient="987654322"), ApiRequest.objects.latest("pk")
    assert (row.pk, row.action, row.status, row.code) == (message.request_id, "token", 200, "")
    assert (row.partner, row.contract, row.address) == (informa.partner, "informaperu", "127.0.0.1")
    assert row.subject == people[2].pk
    code = unseal(bytes(message.sealed))
    Message.objects.update(state="SENT", sent_at=NOW, sealed=None, provider="sandbox")
    with django_assert_num_queries(4):
        assert client.get(f"/v1/api/client/{people[2].pk}/verify/{code}", headers=headers).status_code == 200
    rows = [(each.action, each.status, each.subject) for each in ApiRequest.objects.order_by("pk")]
    assert rows == [*[("token", 200, each.pk) for each in people], ("verify", 200, people[2].pk)]


@pytest.mark.parametrize("fault", [OperationalError("away"), RuntimeError("a bug")])
def test_a_code_that_could_not_be_written_leaves_the_row_of_its_error_alone(client, informa, fault):
    applicant = make_applicant(partner=informa.partner)
    with mock.patch("messaging.queue.outbox.wake_after_commit", side_effect=fault):
        answer = client.post(
            f"/v1/api/client/{applicant.pk}/token",
            {"via": "S", "telefono": "987654321", "operador": "CLARO"},
            "application/json",
            headers={"authorization": f"Bearer {informa.token}"},
        )
    assert answer.status_code in (500, 503)
    assert [each.status for each in ApiRequest.objects.all()] == [answer.status_code]
    assert not Message.objects.exists()
