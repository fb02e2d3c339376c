"""Claims of bulletins and alerts: those never tried are handed over by their claim, the others are claimed first."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clients.models import AuthorizedClient
from conftest import NOW, at_once
from messaging.delivery import bulk, sweeper
from messaging.gateways.base import GatewayError
from messaging.gateways.smtp_connection import Connection
from messaging.models import Message, MessageEvent
from messaging.tests.campaign_steps import campaign, launch, send_all, subscriber
from messaging.tests.smtp_servers import real_server
from messaging.twins import routing
from tests.factories import PartnerFactory
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db


class KilledError(BaseException):
    """The end of a process, which no handler sees."""


@pytest.fixture
def partner():
    return PartnerFactory(name="Uno")


def fill(partner, count):
    for each in range(count):
        subscriber(partner, f"c{each}@dominio.com")


def states():
    return sorted(Message.objects.values_list("state", flat=True))


def go_by(monkeypatch, *gateways):
    monkeypatch.setattr(routing, "gateways_for", lambda via: list(gateways))


def test_no_message_is_claimed_before_its_hand_over(partner, monkeypatch):
    fill(partner, 25)
    launch(campaign())
    seen = []

    def look(message):
        rows = Message.objects.filter(state="SENDING").values_list("handed_over_at", "attempts", "provider")
        seen.append([(handed_over_at is not None, *rest) for handed_over_at, *rest in rows])
        raise GatewayError("451 later", permanent=False)

    go_by(monkeypatch, FakeGateway("uno", *[look] * 25))
    assert bulk.deliver_due() == 25
    assert [len(each) for each in seen] == [*range(10, 0, -1), *range(10, 0, -1), *range(5, 0, -1)]
    assert {row for each in seen for row in each} == {(True, 1, "uno")}


def test_each_hand_over_has_its_event(partner, monkeypatch):
    fill(partner, 12)
    launch(campaign())
    go_by(monkeypatch, FakeGateway("uno"))
    send_all()
    events = MessageEvent.objects.order_by("id").values_list("state", "attempt", "provider")
    assert sorted(events) == [("SENDING", 1, "uno")] * 12 + [("SENT", 1, "uno")] * 12


def test_a_killed_worker_leaves_ten_unknown_and_the_others_queued(partner, monkeypatch):
    fill(partner, 30)
    launch(campaign())

    def killed(message):
        raise KilledError

    go_by(monkeypatch, FakeGateway("uno", killed))
    with pytest.raises(KilledError):
        bulk.deliver_due()
    sweeper.sweep(at=timezone.now() + bulk.LEASE + timedelta(seconds=1))
    assert states() == ["QUEUED"] * 20 + ["UNKNOWN"] * 10


def test_a_message_refused_for_now_is_tried_again_by_the_other_provider(partner, monkeypatch):
    fill(partner, 3)
    launch(campaign())
    one, two = FakeGateway("uno", GatewayError("451 later", permanent=False)), FakeGateway("dos")
    go_by(monkeypatch, one, two)
    send_all()
    assert sorted(Message.objects.values_list("state", "attempts", "provider")) == [
        ("SENT", 1, "uno"),
        ("SENT", 1, "uno"),
        ("SENT", 2, "dos"),
    ]


def test_messages_that_are_not_wanted_do_not_hold_up_those_behind_them(partner, monkeypatch):
    fill(partner, 25)
    AuthorizedClient.objects.filter(email__in=[f"c{each}@dominio.com" for each in range(20)]).update(profile="BAJA")
    launch(campaign(type="alerta", subject="Alerta", profiles=["BAJA"]))
    launch(campaign(profiles=["VIP"]))
    AuthorizedClient.objects.filter(profile="BAJA").update(unsubscribed_at=NOW)
    gateway = FakeGateway("uno")
    go_by(monkeypatch, gateway)
    assert bulk.deliver_due() == 25
    assert states() == ["CANCELLED"] * 20 + ["SENT"] * 5
    assert len(gateway.got) == 5
    assert not MessageEvent.objects.filter(message__state="CANCELLED", state="SENDING").exists()


def test_without_a_provider_messages_fail_and_while_all_are_busy_they_wait(partner, monkeypatch):
    fill(partner, 3)
    launch(campaign())
    gateway = FakeGateway("uno", GatewayError("450 slow", permanent=False, throttled=True, retry_after=60))
    go_by(monkeypatch, gateway)
    bulk.deliver_due()
    sent = len(gateway.got)
    fill_more = subscriber(partner, "otro@dominio.com")
    launch(campaign())
    bulk.deliver_due()
    assert len(gateway.got) == sent, "it asked us to wait"
    assert Message.objects.filter(
        recipient=fill_more.email, state="QUEUED", next_attempt_at__gt=timezone.now()
    ).exists()
    go_by(monkeypatch)
    Message.objects.filter(state="QUEUED").update(next_attempt_at=timezone.now())
    bulk.deliver_due()
    assert "QUEUED" not in states()
    assert "FAILED" in states()


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_send_each_message_once(partner, monkeypatch):
    fill(partner, 120)
    launch(campaign())
    gateway = FakeGateway("uno")
    go_by(monkeypatch, gateway)
    claimed = at_once([bulk.deliver_due] * 4)
    send_all()
    assert len({id for _, id in gateway.got}) == len(gateway.got) == 120
    assert set(states()) == {"SENT"}
    assert max(claimed) <= 110


def test_a_mail_of_a_campaign_costs_one_write_and_so_one_round_trip(partner, settings, monkeypatch):
    fill(partner, 10)
    launch(campaign())
    written, send = [], Connection.send
    monkeypatch.setattr(Connection, "send", lambda self, text: [written.append(text), send(self, text)])
    with real_server() as mailbox:
        mailbox.pipelining = True
        settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": (f"smtp://127.0.0.1:{mailbox.port}",)}
        send_all()
    assert len(mailbox.mails) == 10
    assert len(written) == len(["EHLO", "the first one's commands", *mailbox.mails, "QUIT"])
