"""Suppression: what ends the mails to a mailbox (refusals, reports, complaints), what it stops, what lifts it."""

import logging
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from clients.models import AuditEntry, AuthorizedClient
from conftest import NOW
from messaging.campaigns import guard, lifecycle
from messaging.delivery import bulk, mail_bounces, mail_feedback, receipts, send
from messaging.delivery.mail_feedback import MailFeedback
from messaging.delivery.receipts import Report
from messaging.gateways.base import GatewayError, Receipt
from messaging.models import Campaign, Message, RecipientFeedback, Suppression
from messaging.queue import transitions
from messaging.suppression import feedback, listing
from messaging.tests.campaign_steps import campaign, launch, send_all, subscriber
from messaging.tests.queued import queue
from messaging.tests.smtp_servers import scripted_server
from messaging.twins import routing
from tests.factories import MessageFactory, PartnerFactory, SuppressionFactory
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db
ANA = "ana@dominio.com"
DAY = timedelta(days=1)
HARD = GatewayError("550 5.1.1 user unknown", permanent=True, hard_bounce=True)
OTHER = GatewayError("550 5.1.3 bad address", permanent=True)


@pytest.fixture
def partner():
    return PartnerFactory(name="Uno")


@pytest.fixture
def gateway(monkeypatch):
    made = FakeGateway("postmark")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [made])
    return made


def bulletin(partner, *, to=ANA, at=None, **changes):
    at = at or timezone.now()
    fields = {"kind": "boletin", "via": "C", "recipient": to, "created_at": at, "partner": partner, **changes}
    return MessageFactory(**{"handed_over": True, "state": "SENT", "provider": "postmark", "provider_id": "", **fields})


def live(mailbox=ANA):
    rows = Suppression.objects.filter(mailbox=mailbox, lifted_at=None)
    return sorted((row.reason, row.partner.name if row.partner else None) for row in rows)


def run_campaign(partner, *companies):
    one = campaign()
    one.partners.set(companies or [partner])
    launch(one)
    send_all()
    return one


# --- what suppresses ---


def test_a_hard_bounce_stops_every_later_bulletin(partner, gateway):
    subscriber(partner, ANA)
    gateway.answers = [HARD]
    for _ in range(3):
        run_campaign(partner)
    assert len(gateway.got) == 1
    assert live() == [("HARD_BOUNCE", None)]
    entry = Suppression.objects.get()
    assert (entry.evidence, entry.message.recipient) == ("550 5.1.1 user unknown", ANA)


REPLIES = {
    "550 5.1.1 <ana@dominio.com>: user unknown": "HARD_BOUNCE",
    "550 5.1.2 bad destination system": "HARD_BOUNCE",
    "556 5.1.10 null MX": "HARD_BOUNCE",
    "556 does not accept mail": "HARD_BOUNCE",
    "550 5.2.1 mailbox disabled": "HARD_BOUNCE",
    "550 unknown user (#5.1.1)": "HARD_BOUNCE",
    "553 5.1.3 bad address syntax": "FAILURE",
    "552 5.2.2 mailbox full": "FAILURE",
    "550 No such user here": "FAILURE",
    "450 4.2.1 mailbox disabled for now": None,
    "452 4.2.2 mailbox full": None,
    "450 5.1.1 contradictory": None,
    "550 4.1.1 contradictory": None,
    "554 5.7.1 blocked by spamhaus": None,
    "550 5.1.1 sender rejected: unknown sender": None,
}


@pytest.mark.parametrize(("reply", "kind"), REPLIES.items())
def test_what_a_server_answers_decides_about_the_mailbox(reply, kind, settings, partner):
    subscriber(partner, ANA)
    with scripted_server(rcpt=reply) as server:
        settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": (f"smtp://127.0.0.1:{server.port}",)}
        run_campaign(partner)
    assert list(RecipientFeedback.objects.values_list("kind", flat=True)) == ([kind] if kind else [])
    assert live() == ([("HARD_BOUNCE", None)] if kind == "HARD_BOUNCE" else [])


def test_other_permanent_failures_suppress_at_the_third_in_thirty_days(partner):
    def fail(at):
        message = bulletin(partner, at=at)
        return feedback.bounced(message.pk, ANA, "FAILURE", partner=None, detail="552 5.2.2 full", at=at)

    assert [fail(NOW - 45 * DAY), fail(NOW - 20 * DAY), fail(NOW - 10 * DAY)] == [False] * 3, "the first is too old"
    assert fail(NOW)
    assert live() == [("HARD_BOUNCE", None)]


def test_the_same_failure_twice_counts_once(partner):
    message = bulletin(partner)
    for _ in range(5):
        feedback.bounced(message.pk, ANA, "FAILURE", partner=None, detail="x", at=NOW)
    assert live() == []
    assert RecipientFeedback.objects.count() == 1


def test_failures_before_a_lift_are_not_counted_again(partner):
    for days in (5, 4, 3):
        feedback.bounced(bulletin(partner).pk, ANA, "FAILURE", partner=None, detail="x", at=NOW - days * DAY)
    listing.lift(Suppression.objects.get(), reason="se arregló", by="eva", at=NOW - 2 * DAY)
    assert not feedback.bounced(bulletin(partner).pk, ANA, "FAILURE", partner=None, detail="x", at=NOW)
    assert live() == []


@pytest.mark.django_db(transaction=True)
def test_of_failures_at_once_the_last_sees_the_others(partner):
    messages = [bulletin(partner) for _ in range(3)]
    barrier = threading.Barrier(3)

    def fail(message):
        barrier.wait()
        feedback.bounced(message.pk, ANA, "FAILURE", partner=None, detail="x", at=NOW)
        connection.close()

    threads = [threading.Thread(target=fail, args=(message,)) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live() == [("HARD_BOUNCE", None)]


def test_an_earlier_report_counts_when_its_message_is_recorded(partner):
    """MailerSend repeats no id of ours, and may report before the answer to our call is recorded."""
    receipts.receive(Report("mailersend", "m7", "UNDELIVERED", "el buzón lo devolvió", bounce="HARD_BOUNCE"), at=NOW)
    assert live() == []
    message = bulletin(partner, provider_id="m7", at=NOW - DAY, state="SENDING", lease_until=NOW)
    Message.objects.filter(pk=message.pk).update(provider="mailersend")
    receipts.catch_up({message.pk: ("mailersend", "m7")}, at=NOW)
    assert live() == [("HARD_BOUNCE", None)]


def test_a_report_for_another_via_suppresses_nobody():
    message = MessageFactory(sent=True, via="S", recipient="987654321")
    feedback.reported(message.pk, "HARD_BOUNCE", detail="x", at=NOW)
    assert not Suppression.objects.exists()


# --- complaints ---


def complain(message):
    mail_feedback.save(MailFeedback("postmark", "", mail_feedback.COMPLAINED, message.pk), at=timezone.now())


def test_a_complaint_about_a_mail_of_one_company_ends_that_company_s(partner):
    other = PartnerFactory(name="Dos")
    mine, theirs = subscriber(partner, ANA), subscriber(other, ANA)
    one = campaign()
    one.partners.set([partner])
    complain(bulletin(partner, campaign=one, authorized_client=mine))
    assert live() == [("COMPLAINT", "Uno")]
    subscribed = AuthorizedClient.objects.filter(unsubscribed_at=None)
    assert [row.pk for row in subscribed] == [theirs.pk]


def test_a_complaint_about_a_mail_of_several_companies_ends_all_of_theirs(partner):
    second, outside = PartnerFactory(name="Dos"), PartnerFactory(name="Tres")
    clients = [subscriber(each, ANA) for each in (partner, second, outside)]
    one = campaign()
    one.partners.set([partner, second])
    complain(bulletin(partner, campaign=one, authorized_client=clients[0]))
    assert live() == [("COMPLAINT", "Dos"), ("COMPLAINT", "Uno")]
    subscribed = AuthorizedClient.objects.filter(unsubscribed_at=None)
    assert [row.partner.name for row in subscribed] == ["Tres"]


def test_a_complaint_about_a_mail_of_all_companies_ends_everything(partner):
    for each in (partner, PartnerFactory(name="Dos")):
        client = subscriber(each, ANA)
    complain(bulletin(partner, campaign=campaign(), authorized_client=client))
    assert live() == [("COMPLAINT", "Dos"), ("COMPLAINT", "Uno")]
    assert not AuthorizedClient.objects.filter(unsubscribed_at=None).exists()


def test_a_complaint_of_a_mailbox_that_nobody_authorised_is_for_all(partner):
    complain(queue(via="C", recipient=ANA) and bulletin(None, kind="verificacion"))
    assert live() == [("COMPLAINT", None)]


def test_a_complaint_is_recorded_once(partner):
    client = subscriber(partner, ANA)
    message = bulletin(partner, authorized_client=client)
    for _ in range(2):
        complain(message)
    assert RecipientFeedback.objects.filter(kind="COMPLAINT").count() == 1
    listing.lift(Suppression.objects.get(), reason="se equivocó", by="eva", at=timezone.now())
    complain(message)
    assert live() == []


def test_an_unsubscription_by_the_service_s_own_link_unsubscribes_without_suppression(partner):
    client = subscriber(partner, ANA)
    message = bulletin(partner, authorized_client=client)
    mail_feedback.save(MailFeedback("postmark", "", mail_feedback.UNSUBSCRIBED, message.pk), at=timezone.now())
    client.refresh_from_db()
    assert not client.is_subscribed
    assert live() == []


# --- what is stopped ---


@pytest.mark.parametrize("reason", Suppression.Reason.values)
def test_every_reason_stops_bulletins(reason, partner, gateway):
    subscriber(partner, ANA)
    SuppressionFactory(mailbox=ANA, reason=reason)
    one = campaign()
    assert lifecycle.count_audience(one) == 0
    run_campaign(partner)
    assert gateway.got == []


def test_a_suppression_for_one_company_leaves_the_other_s(partner, gateway):
    other = PartnerFactory(name="Dos")
    subscriber(partner, ANA)
    subscriber(other, ANA)
    SuppressionFactory(mailbox=ANA, reason="COMPLAINT", partner=partner)
    run_campaign(partner, partner, other)
    assert [message.partner.name for message in Message.objects.all()] == ["Dos"]
    assert len(gateway.got) == 1


def test_a_message_that_is_made_already_does_not_leave(partner, gateway):
    subscriber(partner, ANA)
    launch(campaign())
    SuppressionFactory(mailbox=ANA, reason="MANUAL")
    send_all()
    message = Message.objects.get()
    assert (message.state, gateway.got) == ("CANCELLED", [])
    assert message.events.last().detail == "su buzón está entre los que no reciben"


def test_a_lifted_one_stops_nothing(partner, gateway):
    subscriber(partner, ANA)
    SuppressionFactory(mailbox=ANA, lifted_at=NOW)
    run_campaign(partner)
    assert len(gateway.got) == 1


def code(at=None, **changes):
    return queue(via="C", recipient=ANA, subject="clave", at=at or timezone.now(), **changes)


@pytest.mark.parametrize(("days", "leaves"), [(0, False), (29.9, False), (30.1, True)])
def test_a_code_by_mail_waits_thirty_days_after_the_last_bounce(days, leaves, gateway):
    SuppressionFactory(mailbox=ANA, created_at=NOW - 300 * DAY, last_at=timezone.now() - days * DAY)
    made = code()
    send.deliver_due("codes")
    made.refresh_from_db()
    assert bool(gateway.got) is leaves
    assert (made.state, made.provider_reply) == (("SENT", "250 ok") if leaves else ("FAILED", mail_bounces.NOT_TRIED))


@pytest.mark.parametrize("reason", ["COMPLAINT", "MANUAL"])
def test_a_code_is_stopped_by_nothing_else(reason, gateway):
    SuppressionFactory(mailbox=ANA, reason=reason)
    code()
    send.deliver_due("codes")
    assert len(gateway.got) == 1


@pytest.mark.parametrize("reason", Suppression.Reason.values)
def test_a_confirmation_mail_is_stopped_by_nothing(reason, gateway):
    SuppressionFactory(mailbox=ANA, reason=reason)
    code(kind="suscripcion")
    send.deliver_due("codes")
    assert len(gateway.got) == 1


def test_a_code_by_another_via_asks_nothing(gateway, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(listing, "code_stopped_until", lambda *_, **__: pytest.fail("asked"))
    queue(via="S")
    send.deliver_due("codes")
    assert len(gateway.got) == 1


def test_a_code_that_bounces_again_waits_another_thirty_days(gateway):
    SuppressionFactory(mailbox=ANA, created_at=NOW - 300 * DAY, last_at=timezone.now() - 31 * DAY)
    gateway.answers = [HARD]
    for _ in range(2):
        code()
        send.deliver_due("codes")
    assert len(gateway.got) == 1
    assert Suppression.objects.count() == 1


def test_the_listener_learns_that_the_code_did_not_leave(gateway, monkeypatch):
    heard = []
    monkeypatch.setattr(transitions, "_listeners", [lambda moved, state, at: heard.append((state, len(moved)))])
    SuppressionFactory(mailbox=ANA)
    code()
    send.deliver_due("codes")
    assert heard == [("FAILED", 1)]


# --- what lifts ---


def test_a_mail_that_arrived_after_all_lifts_its_own_bounce(partner):
    message = bulletin(partner)
    feedback.reported(message.pk, "HARD_BOUNCE", detail="x", at=NOW)
    listing.lift_contradicted(bulletin(partner).pk, at=NOW)
    assert live() == [("HARD_BOUNCE", None)], "another mail tells nothing"
    listing.lift_contradicted(message.pk, at=NOW)
    assert live() == []


def test_a_code_lifts_bounces_and_nothing_else():
    for reason in Suppression.Reason.values:
        SuppressionFactory(mailbox=ANA, reason=reason)
    SuppressionFactory(mailbox="eva@dominio.com")
    listing.lift_for_code(ANA, at=NOW)
    assert live() == [("COMPLAINT", None), ("MANUAL", None)]
    assert live("eva@dominio.com") == [("HARD_BOUNCE", None)]


def test_a_subscription_lifts_complaints_about_the_chosen_companies(partner):
    other = PartnerFactory(name="Dos")
    for whom in (partner, other):
        SuppressionFactory(mailbox=ANA, reason="COMPLAINT", partner=whom)
    SuppressionFactory(mailbox=ANA, reason="MANUAL")
    SuppressionFactory(mailbox=ANA)
    listing.lift_for_subscription(ANA, [partner.pk], at=NOW)
    assert live() == [("COMPLAINT", "Dos"), ("MANUAL", None)]


# --- erasure ---


def test_an_erased_mailbox_gets_no_code_and_is_known_when_it_subscribes_again(gateway, partner):
    SuppressionFactory(mailbox=ANA)
    SuppressionFactory(mailbox=ANA, reason="MANUAL")
    SuppressionFactory(mailbox=ANA, reason="COMPLAINT", lifted_at=NOW)
    listing.erase([ANA])
    assert list(Suppression.objects.values_list("mailbox", "evidence").distinct()) == [("", "")]
    assert Suppression.objects.count() == 2
    code()
    send.deliver_due("codes")
    assert gateway.got == []
    listing.lift_for_subscription(ANA, [partner.pk], at=NOW)
    assert live() == [("MANUAL", None)]


def test_an_erased_mailbox_is_known_under_a_former_key(settings):
    SuppressionFactory(mailbox=ANA)
    listing.erase([ANA])
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "x" * 60, [settings.SECRET_KEY]
    assert listing.code_stopped_until(ANA, at=timezone.now()) is not None
    assert listing.code_stopped_until("eva@dominio.com", at=timezone.now()) is None


# --- the guard of campaigns ---


def feedbacks(one, kind, number):
    messages = list(Message.objects.filter(campaign=one)[:number])
    RecipientFeedback.objects.bulk_create(
        RecipientFeedback(message=each, campaign=one, mailbox=each.recipient, kind=kind, at=NOW) for each in messages
    )


def sent(number, state="SENT"):
    one = campaign(state="SENDING", started_at=NOW, fanned_out_at=NOW)
    fields = {"kind": "boletin", "via": "C", "campaign": one, "created_at": NOW}
    Message.objects.bulk_create(
        Message(state=state, recipient=f"c{nth}@dominio.com", next_attempt_at=NOW, **fields) for nth in range(number)
    )
    waiting = MessageFactory(state="QUEUED", recipient="ultimo@dominio.com", **fields)
    return one, waiting


GUARDED = [
    (500, "COMPLAINT", 1, None),
    (500, "COMPLAINT", 2, "2 de 500 lo marcaron como no deseado (0,4 %; el límite es 0,3 %)"),
    (499, "COMPLAINT", 40, None),
    (667, "COMPLAINT", 2, None),
    (666, "COMPLAINT", 2, "2 de 666 lo marcaron como no deseado (0,3 %; el límite es 0,3 %)"),
    (500, "HARD_BOUNCE", 24, None),
    (500, "HARD_BOUNCE", 25, "25 de 500 rebotaron (5,0 %; el límite es 5 %)"),
    (520, "HARD_BOUNCE", 25, None),
    (500, "FAILURE", 400, None),
    (500, "UNSUBSCRIBED", 400, None),
]


@pytest.mark.parametrize(("number", "kind", "count", "reason"), GUARDED)
def test_a_campaign_pauses_itself_at_its_limits(number, kind, count, reason, caplog):
    one, waiting = sent(number)
    feedbacks(one, kind, count)
    with caplog.at_level(logging.ERROR):
        lifecycle.run(at=timezone.now())
    one.refresh_from_db()
    assert (one.state, one.pause_reason) == (("PAUSED", reason) if reason else ("SENDING", ""))
    assert [each.getMessage() for each in caplog.records] == (["campaign paused itself"] if reason else [])
    waiting.refresh_from_db()
    assert (waiting.next_attempt_at == lifecycle.NEVER) is bool(reason)
    if reason:
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.reason) == ("campaign.paused", "el sistema", reason)


def test_staff_resume_it_knowingly_and_it_goes_on(caplog):
    one, waiting = sent(500)
    feedbacks(one, "COMPLAINT", 10)
    lifecycle.run(at=timezone.now())
    one.refresh_from_db()
    lifecycle.resume(one, by="eva", reason="eran de una prueba", at=timezone.now())
    lifecycle.run(at=timezone.now())
    one.refresh_from_db()
    waiting.refresh_from_db()
    assert (one.state, bool(one.pause_reason)) == ("SENDING", True)
    assert waiting.next_attempt_at < lifecycle.NEVER


def test_a_list_of_dead_mailboxes_stops_within_a_batch(partner, gateway, monkeypatch):
    """Refusals at RCPT need no sweep to be seen."""
    monkeypatch.setattr(guard, "LEAST_SENT", 100)
    gateway.always = HARD
    for nth in range(300):
        subscriber(partner, f"c{nth}@dominio.com")
    launch(campaign())
    bulk.deliver_due()
    assert Campaign.objects.get().state == "PAUSED"
    send_all()
    assert len(gateway.got) == 100


def test_a_big_campaign_is_counted_once_a_minute(monkeypatch):
    monkeypatch.setattr(guard, "COUNTED_AT_ONCE", 10)
    guard._count_each_minute.cache_clear()
    one, _ = sent(900)
    feedbacks(one, "COMPLAINT", 2)
    assert guard.reason_to_pause(one, at=NOW) is None
    counted = []
    monkeypatch.setattr(guard, "_count", lambda *args: counted.append(args) or 900)
    for seconds in (1, 20, 40):
        guard.reason_to_pause(one, at=NOW + timedelta(seconds=seconds - NOW.second))
    assert len(counted) <= 1


# --- by hand ---


def test_staff_add_and_lift_with_a_reason_in_the_audit(partner):
    made = listing.add_by_hand(ANA, partner=partner, reason="lo pidió", by="eva", at=NOW, address="192.0.2.1")
    assert live() == [("MANUAL", "Uno")]
    listing.lift(made, reason="cambió de idea", by="luz", at=NOW)
    assert live() == []
    assert (made.lifted_by, made.lifted_because) == ("luz", "cambió de idea")
    with pytest.raises(listing.NotSuppressed):
        listing.lift(made, reason="otra vez", by="luz", at=NOW)
    entries = AuditEntry.objects.order_by("pk").values_list("action", "actor", "reason")
    assert list(entries) == [("suppression.added", "eva", "lo pidió"), ("suppression.lifted", "luz", "cambió de idea")]
    assert ANA not in str(list(AuditEntry.objects.values_list("data", flat=True)))


def test_a_receipt_of_a_provider_that_took_the_mail_changes_nothing(partner, gateway):
    gateway.always = Receipt("id", "250 ok")
    subscriber(partner, ANA)
    run_campaign(partner)
    assert not RecipientFeedback.objects.exists()
    assert not Suppression.objects.exists()
