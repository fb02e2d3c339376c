"""Test recipients: each does what the guide's table says, by the states that messages have in production."""

import re
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from django.test import Client
from django.utils import timezone

from clients.email_subscriptions import live_clients
from conftest import delivered_code
from messaging.delivery import send as delivery
from messaging.models import Message, MessageEvent, ProviderState, SandboxMessage, Suppression
from messaging.suppression import listing
from messaging.twins.recipients import Case, rung_of
from tests.factories import AuthorizedClientFactory
from tokens import channel_fallback, sweeper
from tokens.cooldown import wait_before
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guia" / "8-pruebas.md").read_text()
ROW = re.compile(r"^\| (?:`(\d{3})`|(otros)) \| ([A-Z, ]+) \| `(\w+)` \| `(\w+)` \|", re.M)


class Row(NamedTuple):
    digits: str
    via: str
    state: str
    outcome: str


ROWS = [
    Row(digits or "777", via, state, outcome)
    for digits, _, vias, state, outcome in ROW.findall(GUIDE)
    for via in vias.split(", ")
]


@pytest.fixture
def ask(front, twin):
    """Ask for a code of a new test client; returns its verification as the partner sees it, once it was delivered."""

    def asked(digits, via="S", document="45678901"):
        client = front.register(twin.headers, documento=document, correo=f"ana+{digits}@example.com")
        fields = {"via": via} if via == "C" else {"via": via, "telefono": f"912345{digits}"}
        answer = front.post(f"/client/{client}/token", {"operador": "CLARO", **fields}, **twin.headers)
        assert answer.status_code == 200, answer.content
        while delivery.deliver_due("codes"):
            pass
        return seen(twin, answer.json()["data"]["token_id"])

    return asked


def seen(twin, token_id):
    answer = Client().get(f"/partners/v1/verifications/{token_id}", headers=twin.headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


def clock(twin, advance):
    answer = Client().post(
        "/partners/v1/test/clock", {"advance": advance}, content_type="application/json", headers=twin.headers
    )
    assert answer.status_code == 200, answer.content


def test_the_guide_has_a_row_for_each_case_and_no_other():
    assert {row.digits for row in ROWS} == {case.value for case in Case} | {"777"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.digits}{row.via}")
def test_it_does_what_the_guide_says(ask, row):
    found = ask(row.digits, row.via)
    assert (found["messages"][0]["state"], found["outcome"]) == (row.state, row.outcome)


@pytest.mark.parametrize("via", ["S", "C"])
def test_000_gets_the_code_that_tests_know_and_001_another(ask, twin, front, via):
    known = ask("000", via)
    other = ask("001", via, document="45678902")
    texts = dict(SandboxMessage.objects.values_list("message_id", "text"))
    text, random_text = (texts[Message.objects.get(reference=each["id"]).pk] for each in (known, other))
    assert " A1B2" in text
    assert " A1B2" not in random_text
    assert front.verify(known["client_id"], "A1B2", **twin.headers).status_code == 200
    assert seen(twin, known["id"])["outcome"] == "verified"


@pytest.mark.parametrize("digits", ["010", "012"])
def test_010_and_012_give_the_rung_back(ask, front, twin, digits):
    found = ask(digits)
    answer = front.get(f"/client/{found['client_id']}/cooldown/S", **twin.headers).json()["data"]
    assert (answer["attempts_24h"], answer["can_request"]) == (0, True)


def test_a_code_of_012_that_arrived_can_be_verified(ask, front, twin):
    found = ask("012")
    code = delivered_code("912345012")
    assert front.verify(found["client_id"], code, **twin.headers).status_code == 200
    assert seen(twin, found["id"])["messages"][0]["state"] == "delivered"


def test_013_is_delivered_by_the_second_provider(ask):
    found = ask("013")
    assert found["messages"][0]["attempts"] == 2
    used = MessageEvent.objects.filter(state="SENDING").order_by("id").values_list("provider", flat=True)
    assert list(used) == ["pruebas:1", "pruebas:2"]


def test_020_arrives_when_its_code_is_over(ask, twin, front):
    found = ask("020")
    clock(twin, "PT1M")
    assert seen(twin, found["id"])["messages"][0]["state"] == "sent"
    clock(twin, "PT3M")
    late = seen(twin, found["id"])
    assert (late["messages"][0]["state"], late["outcome"]) == ("delivered", "unanswered")
    answer = front.verify(found["client_id"], delivered_code("912345020"), **twin.headers)
    assert answer.json()["code"] == "ERR_TOKEN_EXPIRED"


def test_020_arrives_late_without_the_clock_too(ask, twin):
    from messaging.delivery import sweeper as messages

    found = ask("020")
    messages.sweep(at=timezone.now() + timedelta(minutes=2))
    assert seen(twin, found["id"])["messages"][0]["state"] == "sent"
    messages.sweep(at=timezone.now() + timedelta(minutes=4))
    assert seen(twin, found["id"])["messages"][0]["state"] == "delivered"


@pytest.mark.parametrize("fallback", [None, ("S", 60)])
def test_030_gets_its_code_by_sms_whether_or_not_the_installation_has_a_fallback(ask, twin, settings, front, fallback):
    settings.AVAL_FALLBACK = {"W": fallback, "S": None}
    found = ask("030", "W")
    sweeper.sweep(at=timezone.now())
    while delivery.deliver_due("codes"):
        pass
    messages = seen(twin, found["id"])["messages"]
    assert [(each["via"], each["state"]) for each in messages] == [("W", "undelivered"), ("S", "delivered")]
    texts = SandboxMessage.objects.order_by("id").values_list("via", "text")
    assert [via for via, _ in texts] == ["W", "S"]
    assert front.verify(found["client_id"], delivered_code("912345030"), **twin.headers).status_code == 200


def test_without_a_fallback_no_other_recipient_gets_a_second_message(ask, settings):
    settings.AVAL_FALLBACK = {"W": None, "S": None}
    ask("011", "W")
    sweeper.sweep(at=timezone.now())
    assert Message.objects.count() == 1


def test_040_bounces_and_gets_no_further_code_of_the_twin(ask, twin, front):
    ask("040", "C")
    entry = Suppression.objects.get()
    assert (entry.reason, entry.partner, entry.mailbox) == ("HARD_BOUNCE", twin.partner, "ana+040@example.com")
    clock(twin, "PT2M")
    found = ask("040", "C", document="45678902")
    assert (found["messages"][0]["state"], found["outcome"]) == ("failed", "not_sent")
    clock(twin, "P30D")
    assert ask("040", "C", document="45678903")["messages"][0]["state"] == "undelivered"


def test_a_bounce_of_a_twin_stops_no_live_code_and_a_live_one_none_of_a_twin(ask, twin, informa, front):
    ask("040", "C")
    assert listing.code_stopped_until("ana+040@example.com", at=timezone.now()) is None
    assert listing.code_stopped_until("ana+040@example.com", twin=twin.partner.pk, at=timezone.now()) is not None
    listing.add("ana+000@example.com", "HARD_BOUNCE", partner=None, evidence="x", message=None, at=timezone.now())
    assert ask("000", "C", document="45678902")["messages"][0]["state"] == "delivered"
    front.verify(VerificationToken.objects.latest("created_at").applicant_id, "A1B2", **twin.headers)
    assert Suppression.objects.get(mailbox="ana+000@example.com").is_live


def test_refusals_of_a_twins_mails_suppress_for_the_twin_alone(ask, twin):
    for number in range(3):
        ask("010", "C", document=f"4567890{number}")
    assert [(each.partner, each.reason) for each in Suppression.objects.all()] == [(twin.partner, "HARD_BOUNCE")]


def test_041_complains_about_the_twin_alone(ask, twin, informa):
    live, tested = (
        AuthorizedClientFactory(partner=partner, email="ana+041@example.com", subscribed_at=timezone.now())
        for partner in (informa.partner, twin.partner)
    )
    ask("041", "C")
    entry = Suppression.objects.get()
    assert (entry.reason, entry.partner) == ("COMPLAINT", twin.partner)
    for client in (live, tested):
        client.refresh_from_db()
    assert (live.is_subscribed, tested.is_subscribed) == (True, False)
    assert list(live_clients("ana+041@example.com")) == [live]


@pytest.mark.parametrize("rung", [1, 2, 4, 7, 9, 10, 57])
def test_a_recipient_begins_at_its_rung(ask, twin, rung):
    found = ask(f"1{rung:02}")
    token = VerificationToken.objects.get(pk=found["id"])
    assert (token.client_attempt, token.destination_attempt) == (rung, rung)
    assert token.destination_wait == wait_before(rung + 1)
    answer = Client().get(f"/v1/api/client/{found['client_id']}/cooldown/S", headers=twin.headers).json()["data"]
    if rung < 10:  # the wait before the tenth is a day: then the nine before it do not count any more
        assert answer["next_attempt"] == rung + 1
    left = wait_before(rung + 1).total_seconds()
    assert left - 60 < answer["remaining_seconds"] <= left


def test_a_recipient_begins_at_its_rung_once(ask, twin, front):
    found = ask("103")
    clock(twin, "PT30M")
    answer = front.ask(found["client_id"], twin.headers, telefono="912345103")
    assert answer.status_code == 200
    assert VerificationToken.objects.latest("created_at").destination_attempt == 4


def test_a_live_code_by_another_via_is_replaced_by_one_that_begins_higher(front, twin):
    client = front.register(twin.headers)
    assert front.ask(client, twin.headers, via="C").status_code == 200
    delivered_code("juan.perez@example.com")
    clock(twin, "PT2M20S")
    assert front.ask(client, twin.headers, via="W", telefono="912345102").status_code == 200
    assert VerificationToken.objects.filter(outcome="PENDIENTE").count() == 1
    assert VerificationToken.objects.get(via="C").outcome == "REEMPLAZADO"


def test_only_numbers_of_the_table_mean_something():
    assert [rung_of(each) for each in ("912345100", "912345101", "912345199", "ana+110@x.pe", "ana110@x.pe")] == [
        None,
        1,
        99,
        10,
        None,
    ]


@pytest.mark.parametrize("digits", [case.value for case in Case] + ["104"])
def test_for_a_live_partner_they_are_recipients_as_any_other(front, informa, digits):
    client = front.register(informa.headers)
    assert front.ask(client, informa.headers, telefono=f"912345{digits}").status_code == 200
    code = delivered_code(f"912345{digits}")
    message = Message.objects.get()
    assert (message.state, message.provider, message.attempts) == ("SENT", "sandbox", 1)
    assert VerificationToken.objects.get().destination_attempt == 1
    assert code != "A1B2"
    assert SandboxMessage.objects.get().twin is None


def test_failures_of_a_twin_open_no_circuit(front, twin):
    for number in range(24):
        client = front.register(twin.headers, documento=f"456789{number:02}")
        digits = ("010", "012", "013")[number % 3]
        assert front.ask(client, twin.headers, telefono=f"9123{number:02}{digits}").status_code == 200
    while delivery.deliver_due("codes"):
        pass
    assert set(Message.objects.values_list("state", flat=True)) == {"FAILED", "UNKNOWN", "DELIVERED"}
    assert not ProviderState.objects.exists()


def test_a_fallback_sweep_without_one_of_a_twin_asks_for_nothing(settings, django_assert_num_queries):
    settings.AVAL_FALLBACK = {"W": None, "S": None}
    with django_assert_num_queries(1):
        assert channel_fallback.sweep(at=timezone.now()) == 0
