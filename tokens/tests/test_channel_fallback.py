"""Channel fallback: after a refusal or a silence, once, while the code is live, never after it has an outcome."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from clients.rate_limits import counters
from conftest import delivered_code
from messaging.delivery import receipts, sweeper
from messaging.delivery import send as delivery
from messaging.delivery.receipts import Report
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.models import Message, SandboxMessage
from messaging.twins import routing
from tests.gateways import FakeGateway
from tokens import channel_fallback, services
from tokens import sweeper as settling
from tokens.errors import TokenExpired, WrongCode
from tokens.models import VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db

PHONE = "987654321"


@pytest.fixture(autouse=True)
def policy(settings):
    settings.AVAL_FALLBACK = {"S": ("W", 30), "W": ("I", 30)}


@pytest.fixture
def asked(applicant):
    now = timezone.now()
    services.request(applicant.pk, via="S", phone=PHONE, operator="CLARO", origin=Origin(), at=now)
    return now


def refuse(monkeypatch, error, via="S"):
    """The gateway of a via answers so; the others are the sandbox's."""
    from messaging.gateways import gateways_for

    refuses = FakeGateway(f"no-{via}", always=error)
    monkeypatch.setattr(routing, "gateways_for", lambda each: [refuses] if each == via else gateways_for(each))


def deliver():
    while delivery.deliver_due("codes"):
        pass


def silence(seconds):
    """So long ago the provider took it, and has said nothing since."""
    Message.objects.filter(state="SENT").update(handed_over_at=timezone.now() - timedelta(seconds=seconds))


def messages():
    return [(each.via, each.state) for each in Message.objects.order_by("created_at", "id")]


def secrets_stored():
    return Message.objects.filter(sealed__isnull=False).count()


def token():
    return VerificationToken.objects.get()


def test_silence_for_30_seconds_sends_the_same_code_by_whatsapp(asked, applicant):
    code = delivered_code(PHONE)
    Message.objects.update(trace_id=uuid4())  # of the request that asked for the code
    silence(29)
    assert channel_fallback.sweep(at=timezone.now()) == 0
    silence(31)
    assert channel_fallback.sweep(at=timezone.now()) == 1
    deliver()
    assert messages() == [("S", "SENT"), ("W", "SENT")]
    by_sms, by_whatsapp = SandboxMessage.objects.order_by("id")
    assert code in by_sms.text
    assert code in by_whatsapp.text
    first, second = Message.objects.order_by("created_at")
    assert (second.fallback_for_id, second.reference, second.recipient) == (first.pk, token().pk, PHONE)
    assert second.send_before == first.send_before
    assert second.trace_id == first.trace_id is not None
    assert VerificationToken.objects.count() == 1, "no rung: it belongs to the request that was accepted"
    services.verify(applicant.pk, code, origin=Origin(), at=timezone.now())
    assert token().outcome == "VALIDADO"
    assert secrets_stored() == 0


def test_an_answer_that_could_not_be_read_starts_no_fallback_once_the_report_with_our_id_has_come(
    applicant, monkeypatch
):
    """Meta took it with 200 and an empty body: it goes by our own id until Meta's report names both."""

    unreadable = FakeGateway(
        "whatsapp-cloud:1055",
        always=lambda message: Receipt(str(message.id), "whatsapp: taken, without a word we can read"),
    )
    monkeypatch.setattr(routing, "gateways_for", lambda via: [unreadable])
    services.request(applicant.pk, via="W", phone=PHONE, operator="CLARO", origin=Origin(), at=timezone.now())
    deliver()
    [message] = Message.objects.all()
    assert (message.state, message.provider_id) == ("SENT", str(message.pk))
    receipts.receive(Report("whatsapp-cloud", "wamid.1", "DELIVERED", message_id=message.pk), at=timezone.now())
    silence(31)
    assert channel_fallback.sweep(at=timezone.now() + timedelta(seconds=31)) == 0
    assert messages() == [("W", "DELIVERED")]
    assert secrets_stored() == 0


@pytest.mark.parametrize("error", [GatewayError("550", permanent=True), GatewayError("x", permanent=True)])
def test_a_refusal_falls_back_at_once_and_the_code_stays_live(asked, monkeypatch, error):
    refuse(monkeypatch, error)
    deliver()
    assert token().outcome == "PENDIENTE", "not NO_ENVIADO: the next via has it"
    assert token().returned_at is None
    settling.sweep(at=timezone.now())
    deliver()
    assert messages() == [("S", "FAILED"), ("W", "SENT")]
    settling.sweep(at=timezone.now())
    assert (token().outcome, token().returned_at) == ("PENDIENTE", None)


def test_undelivered_falls_back_at_once_delivered_never(asked):
    deliver()
    message = Message.objects.get()
    receipts.receive(Report("sandbox", str(message.pk), "UNDELIVERED", "apagado"), at=timezone.now())
    assert channel_fallback.sweep(at=timezone.now()) == 1
    deliver()
    second = Message.objects.get(via="W")
    receipts.receive(Report("sandbox", str(second.pk), "DELIVERED"), at=timezone.now())
    assert channel_fallback.sweep(at=timezone.now() + timedelta(seconds=60)) == 0
    assert secrets_stored() == 0


def test_a_code_that_was_typed_arrived_whatever_its_provider_reported(asked, applicant, settings):
    settings.AVAL_FALLBACK = {}
    code = delivered_code(PHONE)
    message = Message.objects.get()
    receipts.receive(Report("sandbox", str(message.pk), "UNDELIVERED", "apagado"), at=timezone.now())
    at = timezone.now()
    services.verify(applicant.pk, code, origin=Origin(), at=at)
    message.refresh_from_db()
    assert (message.state, message.delivered_at) == ("DELIVERED", at)
    assert message.events.order_by("id").last().detail == "se ingresó su código"


def test_a_code_that_was_typed_too_late_arrived_too(asked, applicant, settings):
    settings.AVAL_FALLBACK = {}
    code = delivered_code(PHONE)
    Message.objects.update(state="UNKNOWN")
    with pytest.raises(TokenExpired):
        services.verify(applicant.pk, code, origin=Origin(), at=timezone.now() + timedelta(seconds=170))
    assert messages() == [("S", "DELIVERED")]


def test_a_wrong_code_changes_nothing_of_its_message(asked, applicant, settings):
    settings.AVAL_FALLBACK = {}
    deliver()
    Message.objects.update(state="UNDELIVERED")
    with pytest.raises(WrongCode):
        services.verify(applicant.pk, "????", origin=Origin(), at=timezone.now())
    assert messages() == [("S", "UNDELIVERED")]


def test_a_code_that_came_back_does_not_say_by_which_via_where_another_left_well(asked, applicant):
    code = delivered_code(PHONE)
    message = Message.objects.get()
    receipts.receive(Report("sandbox", str(message.pk), "UNDELIVERED", "apagado"), at=timezone.now())
    assert channel_fallback.sweep(at=timezone.now()) == 1
    deliver()
    services.verify(applicant.pk, code, origin=Origin(), at=timezone.now())
    assert messages() == [("S", "UNDELIVERED"), ("W", "SENT")]


def test_better_news_after_the_fallback_has_begun_counts_for_its_own_message(asked):
    deliver()
    message = Message.objects.get()
    receipts.receive(Report("sandbox", str(message.pk), "UNDELIVERED", "apagado"), at=timezone.now())
    assert channel_fallback.sweep(at=timezone.now()) == 1
    receipts.receive(Report("sandbox", str(message.pk), "DELIVERED"), at=timezone.now())
    deliver()
    assert messages() == [("S", "DELIVERED"), ("W", "SENT")]
    assert channel_fallback.sweep(at=timezone.now()) == 0


def test_better_news_before_the_fallback_has_begun_leaves_it_out(asked):
    deliver()
    message = Message.objects.get()
    for state in ("UNDELIVERED", "DELIVERED"):
        receipts.receive(Report("sandbox", str(message.pk), state), at=timezone.now())
    assert channel_fallback.sweep(at=timezone.now()) == 0
    assert secrets_stored() == 0


def test_from_sms_to_whatsapp_to_a_call_and_no_further(asked):
    deliver()
    for _ in range(2):
        silence(31)
        assert channel_fallback.sweep(at=timezone.now()) == 1
        deliver()
    silence(31)
    assert channel_fallback.sweep(at=timezone.now()) == 0
    assert messages() == [("S", "SENT"), ("W", "SENT"), ("I", "SENT")]
    assert secrets_stored() == 0


def test_when_every_via_refuses_the_rung_is_given_back_and_the_code_was_not_sent(asked, monkeypatch, settings):
    settings.AVAL_FALLBACK = {"S": ("W", 30), "W": None}

    refuses = FakeGateway("nadie", always=GatewayError("550", permanent=True))
    monkeypatch.setattr(routing, "gateways_for", lambda via: [refuses])
    deliver()
    settling.sweep(at=timezone.now())
    deliver()
    assert messages() == [("S", "FAILED"), ("W", "FAILED")]
    assert token().outcome == "NO_ENVIADO"
    assert token().returned_at is not None


def test_a_refused_fallback_does_not_undo_what_the_first_via_took(asked, monkeypatch):
    deliver()
    refuse(monkeypatch, GatewayError("550", permanent=True), via="W")
    silence(31)
    assert channel_fallback.sweep(at=timezone.now()) == 1
    deliver()
    assert Message.objects.get(via="W").state == "FAILED"
    settling.sweep(at=timezone.now())
    deliver()
    assert token().outcome == "PENDIENTE"
    assert token().returned_at is None, "the SMS was taken"


@pytest.mark.parametrize("settle", ["verify", "cancel", "wrong", "replace", "expire"])
def test_never_after_the_code_was_settled(asked, applicant, settle):
    code = delivered_code(PHONE)
    now = timezone.now()
    if settle == "verify":
        services.verify(applicant.pk, code, origin=Origin(), at=now)
    elif settle == "cancel":
        services.cancel(applicant.pk, origin=Origin(), at=now)
    elif settle == "wrong":
        for _ in range(5):
            with pytest.raises(Exception):  # noqa: B017, PT011  each says something else
                services.verify(applicant.pk, "ZZZZ" if code != "ZZZZ" else "YYYY", origin=Origin(), at=now)
    elif settle == "replace":
        services.request(
            applicant.pk, via="C", origin=Origin(), at=now + timedelta(seconds=1)
        )  # another via has a ladder of its own
        Message.objects.filter(via="C").update(state="CANCELLED", sealed=None)
    if settle != "expire":
        assert secrets_stored() == 0, "settled: nothing needs it any more"
    late = now + timedelta(seconds=31 if settle != "expire" else 140)
    assert channel_fallback.sweep(at=late) == 0
    sweeper.sweep(at=late)
    assert not Message.objects.filter(via="W").exists()
    assert secrets_stored() == 0


def test_unknown_waits_its_time_and_two_sweeps_start_one(asked, monkeypatch):
    refuse(monkeypatch, OutcomeUnknown("silencio"))
    deliver()
    assert channel_fallback.sweep(at=timezone.now()) == 0
    late = timezone.now() + timedelta(seconds=31)
    assert channel_fallback.sweep(at=late) == 1
    assert channel_fallback.sweep(at=late) == 0
    assert [via for via, _ in messages()] == ["S", "W"]


def test_off_by_default_no_seal_is_stored_and_no_fallback_starts(applicant, settings):
    settings.AVAL_FALLBACK = {"S": None, "W": None}
    services.request(applicant.pk, via="S", phone=PHONE, operator="CLARO", origin=Origin(), at=timezone.now())
    deliver()
    assert secrets_stored() == 0
    assert channel_fallback.sweep(at=timezone.now() + timedelta(seconds=60)) == 0


def test_a_via_without_gateways_is_no_fallback(applicant, settings):
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "W": ()}
    services.request(applicant.pk, via="S", phone=PHONE, operator="CLARO", origin=Origin(), at=timezone.now())
    deliver()
    assert secrets_stored() == 0


@pytest.mark.parametrize("cap", ["PAID_MESSAGES_PER_DAY", "PAID_MESSAGES_PER_DAY_TOTAL"])
def test_a_fallback_counts_as_paid_and_none_leaves_beyond_a_cap(asked, settings, cap):
    setattr(settings, cap, 1)
    delivered_code(PHONE)
    silence(31)
    assert channel_fallback.sweep(at=timezone.now()) == 1
    deliver()
    silence(31)
    settings.AVAL_FALLBACK = {"S": None, "W": ("I", 30)}
    settings.PAID_MESSAGES_PER_DAY = 0 if cap == "PAID_MESSAGES_PER_DAY" else 10
    Message.objects.filter(via="W").update(kept_until=timezone.now() + timedelta(minutes=1), sealed=b"x")
    assert channel_fallback.sweep(at=timezone.now()) == 0
    assert messages() == [("S", "SENT"), ("W", "SENT")]
    assert secrets_stored() == 0, "what will not be used is not kept"


def test_a_fallback_that_does_not_start_is_not_counted(asked, settings, applicant):
    delivered_code(PHONE)
    silence(31)
    VerificationToken.objects.update(outcome="CANCELADO", finished_at=timezone.now())
    assert channel_fallback.sweep(at=timezone.now()) == 0
    assert counters.counts_today(["paid:W:fallback", "paid:total"], at=timezone.now()) == [0, 0]
