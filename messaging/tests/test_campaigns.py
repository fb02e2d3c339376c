"""Bulletins and alerts: audience, order, one message for each client, pause and cancellation."""

import uuid
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from django.utils import timezone

from clients.email_subscriptions import client_of
from clients.models import AuditEntry, AuthorizedClient
from conftest import NOW
from messaging.campaigns import lifecycle
from messaging.delivery import bulk, receipts, sweeper
from messaging.gateways.base import GatewayError, Receipt
from messaging.models import Campaign, Message
from messaging.tests.campaign_steps import campaign, launch, send_all, subscriber
from messaging.twins import routing
from tests.factories import PartnerFactory
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return PartnerFactory(name="Uno")


def test_only_live_subscribers_of_its_partners_and_profiles_once_each(partner):
    other = PartnerFactory(name="Dos")
    subscriber(partner, "si@dominio.com")
    subscriber(other, "si@dominio.com")
    subscriber(other, "dos@dominio.com")
    subscriber(partner, "baja@dominio.com", deauthorized_at=NOW)
    subscriber(partner, "salio@dominio.com", unsubscribed_at=NOW)
    subscriber(partner, "nunca@dominio.com", subscribed_at=None)
    subscriber(partner, "perfil@dominio.com", profile="OTRO")
    one = campaign(profiles=["VIP"])
    assert launch(one) == 2
    assert sorted(Message.objects.values_list("recipient", flat=True)) == ["dos@dominio.com", "si@dominio.com"]
    only = campaign()
    only.partners.add(partner)
    assert launch(only) == 2
    assert set(only.messages.values_list("recipient", flat=True)) == {"si@dominio.com", "perfil@dominio.com"}


def test_making_messages_can_be_broken_off_and_repeated_anywhere(partner, monkeypatch):
    monkeypatch.setattr(lifecycle, "BATCH_SIZE", 2)
    for each in range(5):
        subscriber(partner, f"c{each}@dominio.com")
    one = campaign()
    launch(one)
    Campaign.objects.update(last_client_id=0, fanned_out_at=None)
    lifecycle.run(at=timezone.now())
    assert one.messages.count() == 5


def test_messages_are_made_only_so_far_ahead(partner, monkeypatch):
    monkeypatch.setattr(lifecycle, "BATCH_SIZE", 2)
    monkeypatch.setattr(lifecycle, "MAX_WAITING", 4)
    for each in range(7):
        subscriber(partner, f"c{each}@dominio.com")
    one = campaign()
    launch(one)
    assert one.messages.count() == 4
    assert lifecycle.progress(one).left == 7
    send_all()
    lifecycle.run(at=timezone.now())
    send_all()
    lifecycle.run(at=timezone.now())
    lifecycle.run(at=timezone.now())
    one.refresh_from_db()
    assert one.state == "DONE"
    done = lifecycle.progress(one)
    assert (done.sent, done.left, done.percent) == (7, 0, 100)


def test_a_mail_has_a_footer_and_one_click_unsubscribe(partner, smtp):
    who = subscriber(partner, "ana@dominio.com")
    launch(campaign(html="<html><body><p>Hola</p></body></html>", is_advertising=True))
    send_all()
    mail = message_from_bytes(smtp.mails[0].content, policy=policy.default)
    message = Message.objects.get()
    assert mail["Subject"] == "PUBLICIDAD: Novedades" == message.subject
    assert mail["Message-ID"] == f"<{message.id}@aval.pe>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = mail["List-Unsubscribe"].strip(" <>")
    assert url.startswith("https://aval.pe/suscripcion/baja/")
    assert url.endswith(f"/?c={message.campaign_id}"), "for the campaign's figures"
    assert client_of(url.partition("?")[0].rstrip("/").rpartition("/")[2]) == (who.pk, True), (
        "a campaign of every company"
    )
    text, page = (part.get_content() for part in mail.iter_parts())
    assert "por encargo de Uno" in text
    assert url in text
    assert "•••• no es un código." in text
    assert url.replace("&", "&amp;") in page
    assert page.rstrip().endswith("</body></html>")
    assert (message.state, message.text, message.request_id) == ("SENT", "", 7)


def test_a_hundred_a_claim_over_one_connection_alerts_before_bulletins(partner, smtp):
    for each in range(30):
        subscriber(partner, f"c{each}@dominio.com")
    launch(campaign())
    launch(campaign(type="alerta", subject="Alerta"))
    assert bulk.deliver_due() == 60
    assert len(set(smtp.peers)) == 1
    subjects = [message_from_bytes(mail.content, policy=policy.default)["Subject"] for mail in smtp.mails]
    assert subjects == ["Alerta"] * 30 + ["Novedades"] * 30


@pytest.mark.parametrize("change", ["deauthorized_at", "unsubscribed_at"])
def test_a_client_who_unsubscribes_while_a_campaign_runs_gets_no_message(partner, change):
    stays, leaves = subscriber(partner, "si@dominio.com"), subscriber(partner, "no@dominio.com")
    one = campaign()
    launch(one)
    AuthorizedClient.objects.filter(pk=leaves.pk).update(**{change: NOW})
    send_all()
    assert dict(one.messages.values_list("recipient", "state")) == {stays.email: "SENT", leaves.email: "CANCELLED"}
    assert lifecycle.progress(one).skipped == 1


def test_pause_resume_and_cancel(partner):
    for each in range(3):
        subscriber(partner, f"c{each}@dominio.com")
    one = campaign()
    launch(one)
    lifecycle.pause(one, by="ana", at=timezone.now())
    send_all()
    sweeper.sweep(at=timezone.now())
    assert set(one.messages.values_list("state", flat=True)) == {"QUEUED"}
    lifecycle.resume(one, by="ana", at=timezone.now())
    assert bulk.deliver_due() == 3
    two = campaign()
    launch(two)
    assert lifecycle.cancel(two, by="ana", at=timezone.now(), reason="texto equivocado") == 3
    send_all()
    assert set(two.messages.values_list("state", flat=True)) == {"CANCELLED"}
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == [
        "campaign.scheduled",
        "campaign.paused",
        "campaign.sending",
        "campaign.scheduled",
        "campaign.cancelled",
    ]


def test_what_is_claimed_when_a_campaign_is_paused_waits_and_leaves_after_it_is_resumed(partner):
    subscriber(partner, "c@dominio.com")
    one = campaign()
    launch(one)
    claimed = bulk.claim("bulk", at=timezone.now())
    lifecycle.pause(one, by="ana", at=timezone.now())
    bulk._release(claimed, at=timezone.now())
    message = one.messages.get()
    assert (message.state, message.next_attempt_at) == ("QUEUED", lifecycle.NEVER)
    Campaign.objects.update(state="SENDING")  # staff resumed it just before the worker gave it back
    lifecycle.run(at=timezone.now())
    assert bulk.deliver_due() == 1


@pytest.mark.parametrize("act", ["pause", "resume", "cancel", "withdraw"])
def test_a_step_that_the_state_does_not_allow(act):
    one = campaign()
    with pytest.raises(lifecycle.WrongState):
        getattr(lifecycle, act)(one, by="ana", at=NOW)
    assert not AuditEntry.objects.exists()


def test_a_campaign_begins_at_its_time_and_not_before(partner):
    subscriber(partner, "c@dominio.com")
    one = campaign()
    lifecycle.schedule(one, begins=NOW + timedelta(hours=1), by="ana", at=NOW)
    lifecycle.run(at=NOW + timedelta(minutes=59))
    assert not one.messages.exists()
    lifecycle.run(at=NOW + timedelta(hours=1))
    assert one.messages.count() == 1


def test_the_docstring_has_every_state():
    assert all(state in (Campaign.__doc__ or "") for state in Campaign.State.values)
    assert set(lifecycle.TRANSITIONS) == set(Campaign.State)


def test_mails_that_are_taken_share_a_line_of_the_log_and_a_refused_one_has_its_own(partner, monkeypatch, caplog):
    for each in range(13):
        subscriber(partner, f"c{each}@dominio.com")
    launch(campaign())
    gateway = FakeGateway("uno", *[Receipt("ref", "250")] * 4, GatewayError("550 no such user", permanent=True))
    monkeypatch.setattr(routing, "gateways_for", lambda via: [gateway])
    with caplog.at_level("INFO", logger="messaging.delivery"):
        bulk.deliver_due()
    together = [record.message_ids for record in caplog.records if record.message == "messages settled"]
    alone = [record.message_id for record in caplog.records if record.message == "message settled"]
    assert (list(map(len, together)), len(alone)) == ([9, 3], 1)
    assert {*together[0], *together[1]} == ids_by_state("SENT")
    assert set(alone) == ids_by_state("FAILED")


def test_an_answer_that_comes_after_the_end_of_its_claim_is_not_said_to_be_settled(partner, monkeypatch, caplog):
    for each in range(2):
        subscriber(partner, f"c{each}@dominio.com")
    launch(campaign())

    def taken_too_late(message):
        Message.objects.filter(pk=message.id).update(claim_id=uuid.uuid4())  # another worker's by now
        return Receipt("ref", "250 ok")

    gateway = FakeGateway("uno", taken_too_late)
    monkeypatch.setattr(routing, "gateways_for", lambda via: [gateway])
    with caplog.at_level("INFO", logger="messaging.delivery"):
        bulk.deliver_due()
    late, in_time = (str(message.id) for message in gateway.messages)
    (together,) = [record.message_ids for record in caplog.records if record.message == "messages settled"]
    (alone,) = [record for record in caplog.records if record.message == "an answer came after its claim had ended"]
    assert (together, ids_by_state("SENT")) == ([in_time], {in_time})
    assert (alone.message_id, ids_by_state("SENDING")) == (late, {late})


@pytest.mark.parametrize(("has_receipts", "state"), [(None, "DELIVERED"), (True, "DELIVERED"), (False, "SENT")])
def test_a_report_that_came_before_the_record_is_looked_for_where_there_are_reports(
    partner, monkeypatch, has_receipts, state
):
    subscriber(partner, "c@dominio.com")
    launch(campaign())

    def reported_at_once(message):
        receipts.receive(receipts.Report("uno", "ref", "DELIVERED"), at=timezone.now())
        return Receipt("ref", "250 ok")

    gateway = FakeGateway("uno", reported_at_once)
    if has_receipts is not None:
        gateway.has_receipts = has_receipts
    monkeypatch.setattr(routing, "gateways_for", lambda via: [gateway])
    bulk.deliver_due()
    assert Message.objects.get().state == state


def ids_by_state(state):
    return {str(each) for each in Message.objects.filter(state=state).values_list("id", flat=True)}
