"""A key that a process knows from an earlier call: whatever ends it, or changes its partner, holds from the next call.

In each test the key is used twice first, so that the process knows it.
"""

from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError
from django.utils import timezone

from clients import credentials
from clients.models import Applicant, Credential, Partner
from conftest import InformaperuClient, make_applicant
from external_api.frontdoor import views
from external_api.models import ApiRequest, IdempotentAnswer
from messaging.models import Message
from messaging.queue.sealing import unseal
from tests.factories import PartnerFactory
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def headers():
    """The headers of a partner whose key this process knows."""
    partner = PartnerFactory(name="Informa", contracts=["informaperu"])
    _, secret = credentials.issue(partner, "opaque", at=timezone.now(), by="ana")
    headers = {"authorization": f"Bearer {secret}"}
    for number in range(2):
        client = make_applicant(partner=partner, document_number=f"4100000{number}").pk
        answer = InformaperuClient().ask(str(client), headers, telefono=f"98100000{number}")
        assert answer.status_code == 200, answer.content
    assert credentials.known(secret, at=timezone.now()) is not None
    return headers


@pytest.fixture
def client(headers):
    return str(make_applicant(partner=Partner.objects.get(), document_number="40000001").pk)


def ask(client, headers, **changes):
    return InformaperuClient().ask(client, headers, **changes)


def test_a_known_key_is_not_looked_up(headers, client):
    with mock.patch.object(views, "authenticate", side_effect=AssertionError("looked up")):
        assert ask(client, headers).status_code == 200
        code = unseal(bytes(Message.objects.latest("created_at").sealed))
        assert InformaperuClient().verify(client, code, **headers).status_code == 200
    assert Applicant.objects.get(pk=client).is_validated
    assert list(ApiRequest.objects.order_by("-pk").values_list("partner__name", flat=True)[:2]) == ["Informa"] * 2


ENDS = {
    "revoked": lambda: credentials.revoke(Credential.objects.get(), at=timezone.now(), by="ana"),
    "deleted": lambda: (Message.objects.update(credential=None), Credential.objects.all().delete()),
    "expired": lambda: Credential.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
    "the partner is off": lambda: Partner.objects.update(is_active=False),
    "the contract is taken away": lambda: Partner.objects.update(contracts=["registry"]),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_ends_it_holds_from_the_next_call(headers, client, end):
    end()
    before = VerificationToken.objects.count()
    answers = [
        ask(client, headers),
        ask(client, headers),
        ask("00000000-0000-4000-8000-000000000000", headers),
        ask(client, headers, via="X"),
        InformaperuClient().post(f"/client/{client}/token", "no JSON", **headers),
        InformaperuClient().verify(client, "ABCD", **headers),
        InformaperuClient().post(f"/client/{client}/verify/ABCD", **headers),
        ask(client, headers | {"idempotency-key": "one"}),
    ]
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(401, "ERR_UNAUTHORIZED")] * len(answers)
    assert VerificationToken.objects.count() == before
    assert not IdempotentAnswer.objects.exists()


def test_a_wrong_code_of_a_key_that_has_ended_is_not_counted(headers, client):
    assert ask(client, headers).status_code == 200
    ENDS["revoked"]()
    assert InformaperuClient().verify(client, "ZZZZ", **headers).status_code == 401
    assert VerificationToken.objects.get(applicant=client).wrong_tries == 0


def test_a_right_code_of_a_key_that_has_ended_is_not_accepted(headers, client):
    assert ask(client, headers).status_code == 200
    code = unseal(bytes(Message.objects.latest("created_at").sealed))
    ENDS["revoked"]()
    assert InformaperuClient().verify(client, code, **headers).status_code == 401
    assert not Applicant.objects.get(pk=client).is_validated


def test_a_changed_partner_is_read_again(headers, client):
    """Its brand goes into the message that the call writes."""
    Partner.objects.update(brand="Caja Sur")
    assert ask(client, headers).status_code == 200
    assert "Caja Sur" in Message.objects.latest("created_at").text


def test_a_lower_limit_holds_after_one_call(headers, client):
    Partner.objects.update(requests_per_minute=1)
    ask(client, headers)
    assert ask(client, headers).status_code == 429


def test_a_change_between_the_second_look_and_the_act_is_no_fault(headers, client):
    """Its use may be noted by another process at any moment, which makes another version of the row."""
    Credential.objects.update(last_used_at=timezone.now())
    authenticate = views.authenticate

    def and_then_changed(*values, **named):
        found = authenticate(*values, **named)
        Credential.objects.update(last_used_at=timezone.now())
        return found

    with mock.patch.object(views, "authenticate", and_then_changed):
        assert ask(client, headers).status_code == 200


def test_without_a_database_it_is_unavailable(headers, client):
    away = OperationalError("away")
    with (
        mock.patch("tokens.sql.lock_and_read", side_effect=away),
        mock.patch.object(views, "authenticate", side_effect=away),
    ):
        answer = ask(client, headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "ERR_UNAVAILABLE")


def test_it_is_known_for_a_minute(headers):
    raw, at = headers["authorization"].removeprefix("Bearer "), timezone.now()
    assert credentials.known(raw, at=at) is not None
    assert credentials.known(raw, at=at + credentials.KNOWN_FOR) is None
    assert credentials.known(raw + "x", at=at) is None


def test_other_endpoints_ask_the_database(headers):
    with mock.patch.object(views, "authenticate", wraps=views.authenticate) as asked:
        InformaperuClient().register(headers)
    assert asked.call_count == 1
