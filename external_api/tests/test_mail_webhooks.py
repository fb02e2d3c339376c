"""Webhooks of the mail services: passwords and keys, batches with odd events, soft bounces, complaints."""

import base64
import hashlib
import hmac
import json
import logging
import uuid
from urllib.parse import urlencode

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils import timezone

from external_api.receipts import mail_views, urls
from messaging.delivery import mail_feedback, receipts
from messaging.gateways import MAIL_SERVICES
from messaging.models import Message, MessageEvent, ProviderReceipt, RecipientFeedback, Suppression
from messaging.tests.queued import queue
from tests.factories import AuthorizedClientFactory

pytestmark = pytest.mark.django_db

KEYS = {
    "WEBHOOK_SECRET": "aval:clave",
    "MAILGUN_WEBHOOK_SIGNING_KEY": "gun",
    "MANDRILL_WEBHOOK_KEY": "drill",
    "MAILERSEND_SIGNING_SECRET": "send",
}


@pytest.fixture(autouse=True)
def keys(settings):
    settings.ANYMAIL = KEYS
    settings.ALLOWED_HOSTS = ["testserver"]


@pytest.fixture
def message():
    """One that a mail service took under the name `m1`."""
    made = queue(via="C", recipient="ana@dominio.com", subject="x")
    Message.objects.filter(pk=made.pk).update(
        state="SENT", provider="postmark", provider_id="m1", handed_over_at=timezone.now(), attempts=1, sealed=None
    )
    return made


def taken_by(message, service):
    Message.objects.filter(pk=message.pk).update(provider=service)
    return message


def state_of(message):
    message.refresh_from_db()
    return message.state


def remarks_on(message):
    event_detail = {mail_feedback.COMPLAINED, mail_feedback.UNSUBSCRIBED, mail_feedback.SOFT_BOUNCE}
    return [
        each.detail for each in MessageEvent.objects.filter(message=message, detail__in=event_detail).order_by("id")
    ]


def send_report(service, body, *, password="aval:clave", content_type="application/json", **headers):
    auth = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(password.encode()).decode()} if password else {}
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    request = RequestFactory().post(
        f"/recibos/correo/{service}/tracking/", raw, content_type=content_type, **auth, **headers
    )
    return mail_views.view(service)(request)


def by_mandrill(events, *, key="drill"):
    form = {"mandrill_events": json.dumps(events)}
    signed = "http://aval:clave@testserver/recibos/correo/mandrill/tracking/" + "".join(n + v for n, v in form.items())
    made = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    return send_report(
        "mandrill", urlencode(form), content_type="application/x-www-form-urlencoded", HTTP_X_MANDRILL_SIGNATURE=made
    )


def by_mailersend(event, *, key="send"):
    raw = json.dumps(event)
    made = hmac.new(key.encode(), raw.encode(), hashlib.sha256).hexdigest()
    return send_report("mailersend", raw, HTTP_SIGNATURE=made)


def by_mailgun(data, *, key="gun"):
    made = hmac.new(key.encode(), b"1t", hashlib.sha256).hexdigest()
    return send_report(
        "mailgun", {"signature": {"timestamp": "1", "token": "t", "signature": made}, "event-data": data}
    )


def activity(kind):
    return {"type": f"activity.{kind}", "data": {"type": kind, "email": {"message": {"id": "m1"}}}}


# --- passwords and keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", MAIL_SERVICES)
@pytest.mark.parametrize("password", ["", "aval:otra", "otra", "ñ:ñ", "None"])
def test_a_wrong_password_is_one_line_and_403(message, service, password, caplog):
    assert send_report(service, {}, password=password).status_code == 403
    assert [(each.getMessage(), each.exc_info) for each in caplog.records if each.levelno >= logging.WARNING] == [
        ("a report without a valid signature", None)
    ]


@pytest.mark.parametrize("authorization", ["Basic", "Basic !!", "Bearer x", "Basic " + "Ñ" * 3, "x y z"])
def test_an_authorization_that_cannot_be_read_is_403(authorization):
    request = RequestFactory().post("/", "{}", content_type="application/json", HTTP_AUTHORIZATION=authorization)
    assert mail_views.view("postmark")(request).status_code == 403


@pytest.mark.parametrize("sender", [by_mandrill, by_mailersend, by_mailgun])
def test_a_wrong_signature_is_403_though_the_password_is_right(message, sender, caplog):
    assert sender([{"event": "hard_bounce", "_id": "m1"}], key="otra").status_code == 403
    assert all(each.exc_info is None for each in caplog.records)
    assert state_of(message) == "SENT"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"7", b'{"signature": 5}', b'{"signature": {"token": 1, "timestamp": "\xc3\xb1"}}']
)
def test_mailgun_without_a_readable_signature_is_403(body):
    assert send_report("mailgun", body).status_code == 403


def test_a_password_that_is_right_counts_through_the_whole_site(message):
    assert any("correo/postmark/" in str(each.pattern) for each in urls.patterns())
    assert send_report("postmark", {"RecordType": "Delivery", "MessageID": "m1"}).status_code == 200
    assert state_of(message) == "DELIVERED"


def paths():
    return {str(each.pattern) for each in urls.patterns()}


def test_a_service_that_signs_its_reports_has_no_address_without_its_key(settings):
    everything = {f"correo/{service}/tracking/" for service in MAIL_SERVICES} | {"correo/mandrill/"}
    assert everything < paths()
    settings.ANYMAIL = {"WEBHOOK_SECRET": "aval:clave"}
    signed = {path for path in everything if path.split("/")[1] in ("mailgun", "mandrill", "mailersend")}
    assert everything & paths() == everything - signed
    settings.ANYMAIL = {}
    assert not everything & paths()


def test_without_a_password_set_there_is_no_address_at_all():
    assert Client().post("/recibos/correo/postmark/tracking/", {}).status_code == 404


def test_a_body_over_the_limit_is_not_read():
    assert send_report("postmark", "{}", CONTENT_LENGTH="99999999").status_code == 413


# --- batches -----------------------------------------------------------------------------------------------

ODD = [None, 7, "x", [], {}, {"event": None}, {"event": ["bounce"]}, {"event": {}}, {"event": "bounce", "time": "x"}]


@pytest.mark.parametrize("odd", ODD)
def test_beside_an_event_that_cannot_be_read_the_good_ones_count(message, odd, caplog):
    good = {"event": "sent", "MessageID": "m1", "time": 1}
    taken_by(message, "mailjet")
    assert send_report("mailjet", [good, odd]).status_code == 200
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize("odd", [*ODD, {"msys": None}, {"msys": {"a": {}, "b": {}}}, {"msys": {"message_event": 5}}])
def test_the_same_with_sparkpost(message, odd, caplog):
    taken_by(message, "sparkpost")
    good = {"msys": {"message_event": {"type": "delivery", "transmission_id": "m1"}}}
    assert send_report("sparkpost", [odd, good, odd]).status_code == 200
    assert state_of(message) == "DELIVERED"
    assert "parts of a report cannot be read" in caplog.text


@pytest.mark.parametrize("odd", [None, 7, "x", [], {"event": "send", "ts": "x"}, {"event": "inbound"}, {"event": []}])
def test_the_same_with_mandrill(message, odd):
    taken_by(message, "mandrill")
    assert by_mandrill([{"event": "hard_bounce", "_id": "m1"}, odd]).status_code == 200
    assert state_of(message) == "UNDELIVERED"


@pytest.mark.parametrize("body", ["", "{", "hola", "null", "7", "[]", "[" * 5000, '{"RecordType": 5}', "\x00"])
@pytest.mark.parametrize("service", ["postmark", "brevo", "resend", "sparkpost", "mailjet"])
def test_what_cannot_be_read_at_all_is_answered_2xx(service, body, caplog):
    assert send_report(service, body).status_code == 200
    assert all(each.exc_info is None for each in caplog.records)


@pytest.mark.parametrize("name", ["m\x001", "", None, {}, [], True, "x" * 5000, 10**300])
def test_an_id_of_any_kind_breaks_nothing(message, name):
    assert send_report("postmark", {"RecordType": "Delivery", "MessageID": name}).status_code == 200
    assert state_of(message) == "SENT"


def test_an_unavailable_database_asks_the_service_to_retry(message, monkeypatch):
    def unavailable(*_, **__):
        raise OperationalError("gone")

    monkeypatch.setattr(receipts, "receive", unavailable)
    answer = send_report("postmark", {"RecordType": "Delivery", "MessageID": "m1"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


# --- our own id --------------------------------------------------------------------------------------------


def test_where_the_answer_could_not_be_read_the_report_finds_the_message_by_our_id(message):
    Message.objects.update(provider_id=str(message.pk))
    event = {"RecordType": "Delivery", "MessageID": "m7", "Metadata": {"aval": str(message.pk)}}
    assert send_report("postmark", event).status_code == 200
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize("metadata", [None, [], "x", {"aval": 5}, {"aval": "x"}, {"aval": str(uuid.UUID(int=1))}])
def test_metadata_of_any_kind_breaks_nothing(message, metadata):
    event = {"event": "delivered", "message-id": "m7", "X-Mailin-custom": json.dumps(metadata)}
    assert send_report("brevo", event).status_code == 200
    assert state_of(message) == "SENT"


# --- soft bounces ------------------------------------------------------------------------------------------

SOFT = {
    "brevo": lambda: send_report("brevo", {"event": "soft_bounce", "message-id": "m1"}),
    "postmark": lambda: send_report("postmark", {"RecordType": "Bounce", "Type": "SoftBounce", "MessageID": "m1"}),
    "mandrill": lambda: by_mandrill([{"event": "soft_bounce", "_id": "m1"}]),
    "mailersend": lambda: by_mailersend(activity("soft_bounced")),
    "mailjet": lambda: send_report("mailjet", {"event": "bounce", "MessageID": "m1", "hard_bounce": False, "time": 1}),
    "resend": lambda: send_report(
        "resend", {"type": "email.bounced", "data": {"email_id": "m1", "bounce": {"message": "x", "type": "Transient"}}}
    ),
    "sparkpost": lambda: send_report(
        "sparkpost", [{"msys": {"message_event": {"type": "bounce", "bounce_class": "22", "transmission_id": "m1"}}}]
    ),
}
DELIVERED = {
    "brevo": lambda: send_report("brevo", {"event": "delivered", "message-id": "m1"}),
    "postmark": lambda: send_report("postmark", {"RecordType": "Delivery", "MessageID": "m1"}),
    "mailersend": lambda: by_mailersend(activity("delivered")),
    "mailjet": lambda: send_report("mailjet", {"event": "sent", "MessageID": "m1", "time": 1}),
    "resend": lambda: send_report("resend", {"type": "email.delivered", "data": {"email_id": "m1"}}),
    "sparkpost": lambda: send_report(
        "sparkpost", [{"msys": {"message_event": {"type": "delivery", "transmission_id": "m1"}}}]
    ),
}
HARD = {
    "brevo": lambda: send_report("brevo", {"event": "hard_bounce", "message-id": "m1"}),
    "postmark": lambda: send_report("postmark", {"RecordType": "Bounce", "Type": "HardBounce", "MessageID": "m1"}),
    "mandrill": lambda: by_mandrill([{"event": "hard_bounce", "_id": "m1"}]),
    "mailersend": lambda: by_mailersend(activity("hard_bounced")),
    "mailjet": lambda: send_report("mailjet", {"event": "bounce", "MessageID": "m1", "hard_bounce": True, "time": 1}),
    "resend": lambda: send_report(
        "resend", {"type": "email.bounced", "data": {"email_id": "m1", "bounce": {"message": "x", "type": "Permanent"}}}
    ),
    "sparkpost": lambda: send_report(
        "sparkpost", [{"msys": {"message_event": {"type": "bounce", "bounce_class": "10", "transmission_id": "m1"}}}]
    ),
}


@pytest.mark.parametrize("service", SOFT)
def test_a_soft_bounce_is_not_final(message, service):
    taken_by(message, service)
    for _ in range(2):
        assert SOFT[service]().status_code == 200
    assert state_of(message) == "SENT"
    assert remarks_on(message) == [mail_feedback.SOFT_BOUNCE], "once, however often it is reported"
    assert not ProviderReceipt.objects.exists()


@pytest.mark.parametrize("service", DELIVERED)
def test_what_is_delivered_after_a_soft_bounce_is_delivered(message, service):
    taken_by(message, service)
    SOFT[service]()
    DELIVERED[service]()
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize("service", HARD)
def test_a_hard_bounce_is_final_also_after_a_soft_one(message, service):
    taken_by(message, service)
    SOFT[service]()
    HARD[service]()
    assert state_of(message) == "UNDELIVERED"


def test_a_temporary_failure_at_mailgun_is_nothing_and_a_permanent_one_is_final(message):
    taken_by(message, "mailgun")
    Message.objects.update(provider_id="<m1>")
    data = {"event": "failed", "message": {"headers": {"message-id": "m1"}}}
    assert by_mailgun({**data, "severity": "temporary"}).status_code == 200
    assert state_of(message) == "SENT"
    assert by_mailgun({**data, "severity": "permanent"}).status_code == 200
    assert state_of(message) == "UNDELIVERED"


# --- complaints --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "event_detail"),
    [
        ({"event": "spam", "message-id": "m1"}, mail_feedback.COMPLAINED),
        ({"event": "complaint", "message-id": "m1"}, mail_feedback.COMPLAINED),
        ({"event": "unsubscribe", "message-id": "m1"}, mail_feedback.UNSUBSCRIBED),
    ],
)
@pytest.mark.parametrize("state", ["SENT", "DELIVERED"])
def test_complaints_and_unsubscriptions_are_stored_beside_the_message_once(message, event, event_detail, state):
    taken_by(message, "brevo")
    Message.objects.update(state=state)
    for _ in range(2):
        assert send_report("brevo", event).status_code == 200
    assert state_of(message) == state
    [stored] = MessageEvent.objects.filter(detail=event_detail)
    assert (stored.message_id, stored.state, stored.provider) == (message.pk, state, "brevo")


def test_a_complaint_about_an_unknown_message_is_not_stored(message):
    assert send_report("brevo", {"event": "spam", "message-id": "m1"}).status_code == 200, "postmark's m1"
    assert send_report("brevo", {"event": "spam", "message-id": "m9"}).status_code == 200
    assert remarks_on(message) == []


# --- the suppression list ----------------------------------------------------------------------------------


def postmark_bounce(kind):
    return {"RecordType": "Bounce", "Type": kind, "MessageID": "m1", "Email": "ana@dominio.com"}


SUPPRESSES = {
    "postmark hard": ("postmark", postmark_bounce("HardBounce"), "HARD_BOUNCE"),
    "postmark bad address": ("postmark", postmark_bounce("BadEmailAddress"), "FAILURE"),
    "postmark soft": ("postmark", postmark_bounce("SoftBounce"), None),
    "postmark blocked": ("postmark", postmark_bounce("Blocked"), None),
    "brevo hard": ("brevo", {"event": "hard_bounce", "message-id": "m1", "email": "ana@dominio.com"}, "HARD_BOUNCE"),
    "brevo soft": ("brevo", {"event": "soft_bounce", "message-id": "m1", "email": "ana@dominio.com"}, None),
    "mailjet hard": ("mailjet", [{"event": "bounce", "MessageID": "m1", "hard_bounce": True}], "HARD_BOUNCE"),
    "mailjet soft": ("mailjet", [{"event": "bounce", "MessageID": "m1", "hard_bounce": False}], None),
}


@pytest.mark.parametrize("name", SUPPRESSES)
def test_what_a_service_reports_decides_about_the_mailbox(message, name):
    service, body, kind = SUPPRESSES[name]
    taken_by(message, service)
    for _ in range(2):
        assert send_report(service, body).status_code == 200
    assert list(RecipientFeedback.objects.values_list("kind", flat=True)) == ([kind] if kind else [])
    assert Suppression.objects.filter(reason="HARD_BOUNCE", lifted_at=None).count() == (kind == "HARD_BOUNCE")


def test_a_delivery_reported_after_the_bounce_lifts_it(message):
    taken_by(message, "brevo")
    for event in ("hard_bounce", "delivered"):
        send_report("brevo", {"event": event, "message-id": "m1", "email": "ana@dominio.com"})
    assert state_of(message) == "DELIVERED"
    assert Suppression.objects.get().lifted_at is not None


def test_a_bounce_reported_after_the_delivery_suppresses(message):
    """A server may take a mail and return it later."""
    taken_by(message, "brevo")
    for event in ("delivered", "hard_bounce"):
        send_report("brevo", {"event": event, "message-id": "m1", "email": "ana@dominio.com"})
    assert state_of(message) == "DELIVERED"
    assert Suppression.objects.get().lifted_at is None


def test_a_complaint_suppresses_and_unsubscribes(message):
    client = AuthorizedClientFactory(email="ana@dominio.com", subscribed_at=timezone.now())
    Message.objects.filter(pk=message.pk).update(kind="boletin", partner=client.partner, authorized_client=client)
    body = {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "MessageID": "m1", "Email": "ana@dominio.com"}
    for _ in range(2):
        send_report("postmark", body)
    client.refresh_from_db()
    assert not client.is_subscribed
    assert [(each.reason, each.partner) for each in Suppression.objects.all()] == [("COMPLAINT", client.partner)]
