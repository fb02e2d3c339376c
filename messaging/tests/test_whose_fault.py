"""Two mail servers, the preferred one refusing with texts of real services: the way of codes and bulletins."""

from contextlib import ExitStack

import pytest
from django.utils import timezone

from messaging import sql
from messaging.delivery import bulk, failover, send
from messaging.models import Message, MessageEvent, ProviderEvent, ProviderState
from messaging.tests.http_provider import provider
from messaging.tests.queued import queue
from messaging.tests.smtp_servers import scripted_server

pytestmark = pytest.mark.django_db

UTF8 = {"ehlo": "250-mx\r\n250-8BITMIME\r\n250 SMTPUTF8"}
NOT_THE_RECIPIENT = {
    "out of quota (Gmail)": {"body": "550 5.4.5 Daily user sending limit exceeded"},
    "not allowed to relay": {"rcpt": "554 5.7.1 <ana@x.pe>: Relay access denied"},
    "a sender not owned": {"rcpt": "553 5.7.1 <a@aval.pe>: Sender address rejected: not owned by user aval"},
    "on a block list": {
        "rcpt": "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org"
    },
    "out of quota (Exchange Online)": {"body": "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceeded"},
    "a sender not verified (SES)": {"body": "554 Message rejected: Email address is not verified"},
    "a sender unknown at MAIL": {"mail": "550 5.1.1 sender unknown"},
    "an unknown code": {"rcpt": "599 what?"},
}


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"


@pytest.fixture
def servers(settings):
    """Start scripted servers and make them the gateways of C, the first one preferred."""
    with ExitStack() as running:

        def start(*answers):
            scripts = [running.enter_context(scripted_server(**each)) for each in answers]
            urls = tuple(f"smtp://127.0.0.1:{script.port}" for script in scripts)
            settings.AVAL_GATEWAYS = {"S": (), "W": (), "I": (), "C": urls}
            return scripts

        yield start


def code(recipient="ana@dominio.com"):
    return queue(via="C", recipient=recipient, subject="Su código")


def deliver(message):
    """Deliver until the message is settled, moving its due time forward. Returns the number of attempts."""
    for tries in range(20):
        Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())
        if not send.deliver_due("codes"):
            message.refresh_from_db()
            return tries
    raise AssertionError("it loops for ever")


def name(script):
    return f"smtp:127.0.0.1:{script.port}"


def set_aside():
    return set(ProviderState.objects.filter(set_aside_at__isnull=False).values_list("name", flat=True))


@pytest.mark.parametrize("answers", NOT_THE_RECIPIENT.values(), ids=NOT_THE_RECIPIENT)
def test_what_is_not_the_recipients_fault_goes_to_the_next_server_at_once_and_counts(servers, answers):
    bad, good = servers(answers, {})
    for number in range(3):
        message = code(f"c{number}@dominio.com")
        send.deliver_due("codes")
        message.refresh_from_db()
        assert message.state == "QUEUED"
        assert message.next_attempt_at <= timezone.now()
        send.deliver_due("codes")
        message.refresh_from_db()
        assert (message.state, message.provider) == ("SENT", name(good))
        event = MessageEvent.objects.filter(message=message, state="QUEUED").get()
        assert next(iter(answers.values()))[:20] in event.detail, "the server's own text"
    assert set_aside() == {name(bad)}


@pytest.mark.parametrize("answers", NOT_THE_RECIPIENT.values(), ids=NOT_THE_RECIPIENT)
def test_with_no_other_server_it_is_tried_again_after_each_delay_and_then_ends(servers, answers):
    [only] = servers(answers)
    message = code()
    assert deliver(message) == 1 + len(send.RETRY_DELAYS)
    assert message.state == "FAILED"
    assert next(iter(answers.values()))[:20] in message.provider_reply
    assert only.connections == 4


def test_where_every_server_refuses_unclearly_it_ends_too(servers):
    servers({"rcpt": "554 5.7.1 no"}, {"rcpt": "550 rejected"})
    message = code()
    assert deliver(message) == 2 + len(send.RETRY_DELAYS)
    assert message.state == "FAILED"


@pytest.mark.parametrize("reply", ["550 5.1.1 user unknown", "550 No such user here", "552 5.2.2 mailbox full"])
def test_an_unknown_recipient_is_final_and_no_other_server_is_tried(servers, reply):
    _, good = servers({"rcpt": reply}, {})
    message = code()
    assert deliver(message) == 1
    assert (message.state, message.provider_reply) == ("FAILED", reply)
    assert good.connections == 0
    assert set_aside() == set()


@pytest.mark.parametrize("reply", ["452 4.2.2 mailbox full", "450 4.2.0 greylisted", "451 4.7.1 Greylisting in action"])
def test_greylisting_and_full_mailboxes_open_no_circuit_and_are_tried_again_later(servers, reply):
    only, *_ = servers({"rcpt": reply})
    messages = [code(f"c{number}@dominio.com") for number in range(4)]
    for expected in (5, 15, 30):
        send.deliver_due("codes")
        for message in messages:
            message.refresh_from_db()
            assert message.state == "QUEUED"
            assert expected - 1 < (message.next_attempt_at - timezone.now()).total_seconds() <= expected * 1.1
        Message.objects.update(next_attempt_at=timezone.now())
    assert set_aside() == set()
    assert not ProviderEvent.objects.exists()
    assert only.connections == 12


def test_five_different_recipients_refused_in_a_row_open_the_circuit_whatever_the_text(servers):
    bad, good = servers({"rcpt": "550 5.1.1 user unknown"}, {})
    for number in range(4):
        deliver(code(f"c{number}@dominio.com"))
        deliver(code("c0@dominio.com"))
    assert set_aside() == set(), "four people and one of them again"
    deliver(code("c4@dominio.com"))
    assert set_aside() == {name(bad)}
    assert ProviderEvent.objects.get().reason == "5 destinatarios rechazados seguidos"
    message = code("c9@dominio.com")
    deliver(message)
    assert (message.state, message.provider) == ("SENT", name(good))


def test_a_refusal_does_not_close_an_open_circuit(servers):
    bad, _ = servers({"rcpt": "550 5.1.1 user unknown"}, {})
    for number in range(5):
        deliver(code(f"c{number}@dominio.com"))
    ProviderState.objects.update(until=timezone.now())
    failover.local.read_at = float("-inf")
    deliver(code("c9@dominio.com"))
    assert set_aside() == {name(bad)}
    assert 50 < (ProviderState.objects.get().until - timezone.now()).total_seconds() <= 60


def test_addresses_that_were_never_sent_to_a_server_are_no_failure(servers):
    [only] = servers({})
    for number in range(6):
        message = code(f"c{number} dominio.com")
        deliver(message)
        assert message.state == "FAILED"
    assert only.connections == 0
    assert set_aside() == set()


def test_a_server_without_smtputf8_is_passed_over_for_one_that_has_it(servers):
    plain, able = servers({}, UTF8)
    for _ in range(6):
        message = code("josé.núñez@ejemplo.pe")
        deliver(message)
        assert (message.state, message.provider) == ("SENT", name(able))
    assert plain.connections == 1, "once it is known it is not asked again"
    assert set_aside() == set()
    message = code()
    deliver(message)
    assert message.provider == name(plain), "others still go by the preferred one"


def test_only_where_no_server_has_smtputf8_is_it_final(servers):
    servers({}, {"ehlo": "250-mx\r\n250 8BITMIME"})
    for tries in (2, 1):
        message = code("josé.núñez@ejemplo.pe")
        assert deliver(message) == tries
        assert message.state == "FAILED"
        assert "SMTPUTF8" in message.provider_reply
    assert set_aside() == set()


def test_a_server_that_has_smtputf8_and_is_down_for_now_is_waited_for(servers):
    _, able = servers({}, {**UTF8, "greeting": "421 4.3.2 busy"})
    message = code("josé.núñez@ejemplo.pe")
    deliver(message)
    assert (message.state, message.provider) == ("FAILED", name(able))
    assert able.connections == 4


def test_a_message_too_big_for_the_first_server_goes_by_the_second_and_is_final_where_none_takes_it(servers):
    _, good = servers({"mail": "552 5.3.4 too big"}, {})
    message = code()
    assert deliver(message) == 2
    assert (message.state, message.provider) == ("SENT", name(good))
    servers({"mail": "552 5.3.4 too big"}, {"body": "552 5.3.4 too big"})
    message = code()
    assert deliver(message) == 2
    assert message.state == "FAILED"
    assert set_aside() == set()


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (
            422,
            {"ErrorCode": 412, "Message": "While your account is pending approval"},
            "your account is pending approval",
        ),
        (422, {"ErrorCode": 405, "Message": "You ran out of credits"}, "You ran out of credits"),
        (402, "Payment Required", "Payment Required"),
    ],
)
def test_a_mail_service_whose_account_is_in_trouble_is_followed_by_the_next_provider(
    servers, settings, status, body, text
):
    [good] = servers({})
    with provider() as api:
        api.say(status, body)
        postmark = f"postmark://server-key@/?api={api.url}/"
        settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": (postmark, *settings.AVAL_GATEWAYS["C"])}
        for number in range(4):
            message = code(f"c{number}@dominio.com")
            deliver(message)
            assert (message.state, message.provider) == ("SENT", name(good))
        assert len(api.requests) == 3
    assert set_aside() == {"postmark"}
    assert text in MessageEvent.objects.filter(state="QUEUED").first().detail


def test_an_inactive_recipient_of_a_mail_service_stays_final(servers, settings):
    [good] = servers({})
    with provider() as api:
        api.say(
            422, {"ErrorCode": 406, "Message": "Found inactive addresses: ana@dominio.com. Inactive recipients are"}
        )
        postmark = f"postmark://server-key@/?api={api.url}/"
        settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": (postmark, *settings.AVAL_GATEWAYS["C"])}
        message = code()
        assert deliver(message) == 1
    assert message.state == "FAILED"
    assert "inactive addresses" in message.provider_reply
    assert good.connections == 0


def test_five_numbers_refused_in_a_row_by_an_sms_service_open_its_circuit_too(settings):
    with provider() as api:
        api.say(400, {"code": 21211, "message": "Invalid 'To'"})
        url = f"twilio://AC1:token@/?from=%2B12025550123&api={api.url}"
        settings.AVAL_GATEWAYS = {"S": (url,), "W": (), "I": (), "C": ()}
        for number in range(5):
            assert set_aside() == set()
            deliver(queue(recipient=f"98765432{number}"))
    assert set_aside() == {"twilio:S:+12025550123"}


def test_a_bulletin_refused_for_our_quota_goes_by_the_other_server(servers, monkeypatch):
    bad, good = servers({"body": "550 5.4.5 Daily user sending limit exceeded"}, {})
    monkeypatch.setattr(sql, "HAND_OVER_BULK", sql.HAND_OVER_CODE)
    monkeypatch.setattr(bulk.rendering, "render", lambda message, name: send.to_outgoing(message))
    message = queue(kind="boletin", via="C", recipient="ana@dominio.com", subject="x", text="y", secret=None)
    bulk.deliver_due()
    bulk.deliver_due()
    message.refresh_from_db()
    assert (message.state, message.provider) == ("SENT", name(good))
    assert bad.connections == 1
