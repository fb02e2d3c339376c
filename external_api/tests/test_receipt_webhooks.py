"""Webhooks for receipts: signed reports count, others do not, and no report makes a provider retry for ever."""

import base64
import hashlib
import hmac
import json
import uuid
from urllib.parse import urlencode

import pytest
from anymail.signals import AnymailTrackingEvent, tracking
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from messaging.delivery import receipts, send
from messaging.gateways.base import Receipt
from messaging.models import Message, MessageEvent, ProviderReceipt
from messaging.queue import outbox

pytestmark = pytest.mark.django_db

TOKEN = "el-token-de-twilio"
SECRET = "el-secreto-de-la-app"


@pytest.fixture(autouse=True)
def keys(settings):
    settings.PUBLIC_URL = "https://aval.pe"
    settings.ALLOWED_HOSTS = ["aval.pe"]
    settings.SECURE_SSL_REDIRECT = False
    settings.AVAL_GATEWAYS = {"S": (f"twilio://AC123:{TOKEN}@/?from=%2B1202",), "W": (), "I": (), "C": ()}
    settings.WHATSAPP_APP_SECRET, settings.WHATSAPP_VERIFY_TOKEN = SECRET, "palabra"


@pytest.fixture
def http():
    return Client(HTTP_HOST="aval.pe", enforce_csrf_checks=True)


@pytest.fixture
def message():
    """Handed over and taken, as a worker leaves it."""
    now = timezone.now()
    outbox.enqueue(kind="verificacion", via="S", recipient="987654321", subject="", text="••••", secret="A1B2", at=now)
    [claimed] = send.claim("codes", at=now)

    class Far:
        name = "twilio:S:+1202"

    assert send.hand_over(claimed, Far(), at=now)
    send.record_taken([(claimed, Receipt("SM1", "queued"))], at=now)
    return claimed


def twilio(http, message_id, form, *, token=TOKEN, signature=None):
    path = f"/recibos/twilio/{message_id}"
    made = (
        signature
        if signature is not None
        else RequestValidator(token).compute_signature(f"https://aval.pe{path}", form)
    )
    return http.post(
        path, urlencode(form), content_type="application/x-www-form-urlencoded", HTTP_X_TWILIO_SIGNATURE=made
    )


def status(message_status="delivered", **changes):
    return {"AccountSid": "AC123", "MessageSid": "SM1", "MessageStatus": message_status, **changes}


def state_of(message):
    message.refresh_from_db()
    return message.state


@pytest.mark.parametrize(
    ("form", "state", "detail"),
    [
        (status("delivered"), "DELIVERED", ""),
        (status("read"), "DELIVERED", ""),
        (status("undelivered", ErrorCode="30003"), "UNDELIVERED", "el celular está apagado o sin señal (30003)"),
        (status("failed", ErrorCode="30099"), "UNDELIVERED", "motivo de Twilio (30099)"),
        (status("failed", ErrorCode="<b>"), "UNDELIVERED", ""),
        (status("sent"), "SENT", None),
        (status("queued"), "SENT", None),
        (status("canceled"), "UNDELIVERED", "el mensaje se canceló"),
        (status("CANCELLED"), "UNDELIVERED", "el mensaje se canceló"),
        (status("partially_delivered"), "SENT", None),
        ({"AccountSid": "AC123", "SmsSid": "SM1", "SmsStatus": "delivered"}, "DELIVERED", ""),
        (status("de-otro-mundo"), "SENT", None),
        (
            {"AccountSid": "AC123", "CallSid": "SM1", "CallStatus": "completed"},
            "DELIVERED",
            "la llamada fue contestada",
        ),
        ({"AccountSid": "AC123", "CallSid": "SM1", "CallStatus": "no-answer"}, "UNDELIVERED", "nadie contestó"),
        ({"AccountSid": "AC123", "CallSid": "SM1", "CallStatus": "ringing"}, "SENT", None),
    ],
)
def test_what_twilio_reports(http, message, form, state, detail):
    assert twilio(http, message.pk, form).status_code == 204
    assert state_of(message) == state
    if detail is not None:
        assert MessageEvent.objects.filter(message=message).last().detail == detail


@pytest.mark.parametrize(
    "bad", [{"token": "otro"}, {"signature": ""}, {"signature": "no-es-base64"}, {"signature": "ñandú"}]
)
def test_a_report_without_twilio_s_signature_is_403(http, message, bad):
    assert twilio(http, message.pk, status(), **bad).status_code == 403
    assert twilio(http, message.pk, status(AccountSid="AC999")).status_code == 403
    assert state_of(message) == "SENT"
    assert not ProviderReceipt.objects.exists()


def test_a_signature_is_for_one_address_and_one_form(http, message):
    made = RequestValidator(TOKEN).compute_signature(f"https://aval.pe/recibos/twilio/{uuid.uuid4()}", status())
    assert twilio(http, message.pk, status(), signature=made).status_code == 403
    made = RequestValidator(TOKEN).compute_signature(f"https://aval.pe/recibos/twilio/{message.pk}", status("sent"))
    assert twilio(http, message.pk, status("delivered"), signature=made).status_code == 403


def test_parameters_given_twice_keep_their_signature(http, message):
    """By Twilio's algorithm: the names sorted, for each its different values sorted."""
    path = f"/recibos/twilio/{message.pk}"
    pairs = [*status().items(), ("AddOn", "b"), ("AddOn", "a"), ("AddOn", "b"), ("MessageStatus", "delivered")]
    text = f"https://aval.pe{path}" + "AccountSidAC123AddOnaAddOnbMessageSidSM1MessageStatusdelivered"
    made = base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()).decode()
    answer = http.post(
        path, urlencode(pairs), content_type="application/x-www-form-urlencoded", HTTP_X_TWILIO_SIGNATURE=made
    )
    assert answer.status_code == 204
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize("sid", ["", "SM\x001", "SM\n1"])
def test_a_callback_whose_id_cannot_be_read_is_skipped_and_logged(http, message, sid, caplog):
    assert twilio(http, message.pk, status(MessageSid=sid)).status_code == 204
    assert state_of(message) == "SENT"
    assert "parts of a report cannot be read" in caplog.text


def test_a_very_long_id_breaks_nothing(http, message):
    assert twilio(http, message.pk, status(MessageSid="S" * 5000, ErrorCode="9" * 5000)).status_code == 204


@pytest.mark.parametrize("report", ["meta", "twilio"])
def test_where_the_answer_could_not_be_read_the_report_with_our_own_id_counts(http, message, report):
    Message.objects.update(provider_id=str(message.pk))
    if report == "meta":
        assert meta(http, notification(wa(message))).status_code == 204
    else:
        assert twilio(http, message.pk, status()).status_code == 204
    assert state_of(message) == "DELIVERED"
    assert message.provider_id in ("wamid.1", "SM1"), "from now on it goes by the provider's name"


def test_a_report_for_another_message_of_the_provider_changes_nothing(http, message):
    assert twilio(http, message.pk, status(MessageSid="SM2")).status_code == 204
    assert state_of(message) == "SENT"


def test_a_report_on_an_unknown_message_is_answered_like_any_other(http, message):
    assert twilio(http, uuid.uuid4(), status(MessageSid="SM777")).status_code == 204
    assert twilio(http, message.pk, status()).status_code == 204
    assert twilio(http, message.pk, status()).status_code == 204


def meta(http, body, *, secret=SECRET):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return http.post("/recibos/whatsapp", raw, content_type="application/json", HTTP_X_HUB_SIGNATURE_256=made)


def notification(*statuses):
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1055"}, "statuses": list(statuses)}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"value": value, "field": "messages"}]}],
    }


def wa(message, status="delivered", **changes):
    ours = {"biz_opaque_callback_data": str(message.pk)}
    return {
        "id": "wamid.1",
        "status": status,
        "timestamp": "1750000000",
        "recipient_id": "51987654321",
        **ours,
        **changes,
    }


def test_what_meta_reports(http, message):
    body = notification(wa(message, "sent"), wa(message, "failed", errors=[{"code": 131026, "title": "x"}]))
    Message.objects.update(provider_id="")
    assert meta(http, body).status_code == 204
    assert state_of(message) == "UNDELIVERED"
    event = MessageEvent.objects.filter(message=message).last()
    assert event.detail == "el número no puede recibir por WhatsApp (131026)"


def test_a_report_without_meta_s_signature_is_403(http, message):
    assert meta(http, notification(wa(message)), secret="otro").status_code == 403
    assert http.post("/recibos/whatsapp", "{}", content_type="application/json").status_code == 403
    assert state_of(message) == "SENT"


def test_without_an_app_secret_every_report_is_403(http, message, settings):
    settings.WHATSAPP_APP_SECRET = ""
    assert meta(http, notification(wa(message)), secret="").status_code == 403


@pytest.mark.parametrize("body", [b"", b"{", b"hola", b"[" * 5000])
def test_a_signed_body_that_is_not_json_is_logged_and_not_asked_for_again(http, body, caplog):
    assert meta(http, body).status_code == 204
    assert "parts of a report cannot be read" in caplog.text


ODD = {
    "no object": [None, [], "x", 7, True, {}, {"entry": None}, {"entry": 1}, {"entry": "x"}, {"entry": {"changes": 3}}],
    "entries": [
        None,
        5,
        "x",
        [],
        {},
        {"changes": None},
        {"changes": 7},
        {"changes": ["x"]},
        {"changes": [{}]},
        {"changes": [{"value": None}]},
        {"changes": [{"value": []}]},
        {"changes": [{"value": "x"}]},
        {"changes": [{"value": {"statuses": 5}}]},
        {"changes": [{"value": {"statuses": ["x", None, [1]]}}]},
    ],
    "statuses": [
        {},
        {"id": "wamid.9"},
        {"status": "delivered"},
        {"id": None, "status": "delivered"},
        {"id": "", "status": "failed"},
        {"id": {}, "status": "read"},
        {"id": ["x"], "status": "read"},
        {"id": "a\u0000b", "status": "delivered"},
        {"id": "a\ud800", "status": "delivered"},
        {"id": "wamid.9", "status": None},
        {"id": "wamid.9", "status": ["delivered"]},
        {"id": "wamid.9", "status": {}},
        {"id": "wamid.9", "status": 7},
        {"id": 10**400, "status": "failed"},
    ],
}


@pytest.mark.parametrize("body", ODD["no object"])
def test_a_notification_of_another_shape_is_skipped_and_logged(http, body, caplog):
    assert meta(http, body).status_code == 204
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == (
        ["parts of a report cannot be read"]
    )


@pytest.mark.parametrize("odd", ODD["entries"])
def test_beside_an_entry_that_cannot_be_read_the_good_one_counts(http, message, odd, caplog):
    Message.objects.update(provider_id="")
    body = notification(wa(message))
    body["entry"] = [odd, *body["entry"], odd]
    assert meta(http, body).status_code == 204
    assert state_of(message) == "DELIVERED"
    assert "parts of a report cannot be read" in caplog.text


@pytest.mark.parametrize("odd", ODD["statuses"])
def test_beside_a_status_that_cannot_be_read_the_good_one_counts(http, message, odd, caplog):
    Message.objects.update(provider_id="")
    assert meta(http, notification(odd, wa(message), odd)).status_code == 204
    assert state_of(message) == "DELIVERED"
    if odd.get("id") != 10**400:  # a number is a name as good as another
        assert "parts of a report cannot be read" in caplog.text
        assert not ProviderReceipt.objects.exclude(provider_id="wamid.1").exists()


def test_a_number_of_thousands_of_digits_hides_no_good_status(http, message):
    Message.objects.update(provider_id="")
    raw = json.dumps(notification({"id": "x", "status": "failed", "errors": [{"code": 0}]}, wa(message)))
    raw = raw.replace('"code": 0', '"code": ' + "9" * 9000)
    assert meta(http, raw.encode()).status_code == 204
    assert state_of(message) == "DELIVERED"


def test_bytes_that_are_no_utf8_hide_no_good_status(http, message):
    Message.objects.update(provider_id="")
    raw = json.dumps(notification(wa(message))).encode().replace(b"51987654321", b"\xff\xfe")
    assert meta(http, raw).status_code == 204
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize(
    ("errors", "detail"),
    [
        ({"code": 131026}, "el número no puede recibir por WhatsApp (131026)"),
        ([{"code": "131026"}], "el número no puede recibir por WhatsApp (131026)"),
        ([None, {"code": 131026}], "el número no puede recibir por WhatsApp (131026)"),
        ([{"code": True}], ""),
        ([{"code": 10**30}], ""),
        ([{"code": []}], ""),
        ("x", ""),
        (None, ""),
        (7, ""),
        ([], ""),
        ({}, ""),
        ([[]], ""),
    ],
)
def test_errors_of_any_shape_do_not_undo_a_final_status(http, message, errors, detail):
    Message.objects.update(provider_id="")
    assert meta(http, notification(wa(message, "failed", errors=errors))).status_code == 204
    assert state_of(message) == "UNDELIVERED"
    assert MessageEvent.objects.filter(message=message).last().detail == detail


@pytest.mark.parametrize("data", [None, 5, [], {}, "x", "a\u0000"])
def test_callback_data_that_is_not_ours_is_none(http, message, data):
    assert meta(http, notification(wa(message, biz_opaque_callback_data=data))).status_code == 204
    assert state_of(message) == "SENT"


def test_what_is_no_status_is_taken_and_ignored(http, message):
    value = {"messages": [{"from": "51987654321", "text": {"body": "hola"}}]}
    assert meta(http, {"entry": [{"changes": [{"value": value}]}]}).status_code == 204
    assert state_of(message) == "SENT"


def test_the_challenge(http, settings):
    asked = {"hub.mode": "subscribe", "hub.verify_token": "palabra", "hub.challenge": "1158201444"}
    answer = http.get("/recibos/whatsapp", asked)
    assert (answer.status_code, answer.content) == (200, b"1158201444")
    assert answer["Content-Type"].startswith("text/plain")
    assert http.get("/recibos/whatsapp", {**asked, "hub.verify_token": "otra"}).status_code == 403
    assert http.get("/recibos/whatsapp", {**asked, "hub.verify_token": "ñ"}).status_code == 403
    settings.WHATSAPP_VERIFY_TOKEN = ""
    assert http.get("/recibos/whatsapp", {**asked, "hub.verify_token": ""}).status_code == 403


@pytest.mark.parametrize(
    ("event_type", "state"), [("delivered", "DELIVERED"), ("bounced", "UNDELIVERED"), ("opened", "SENT")]
)
def test_what_a_mail_service_reports(message, event_type, state):
    Message.objects.update(provider="postmark", provider_id="b7bc")
    event = AnymailTrackingEvent(
        event_type=event_type, message_id="b7bc", reject_reason="bounced" if state == "UNDELIVERED" else None
    )
    tracking.send(sender=object, event=event, esp_name="Postmark")
    assert state_of(message) == state


def test_an_unavailable_database_asks_the_provider_to_retry(http, message, monkeypatch):
    def unavailable(*_, **__):
        raise OperationalError("gone")

    monkeypatch.setattr(receipts, "receive", unavailable)
    answer = twilio(http, message.pk, status())
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_a_get_and_a_body_over_the_limit_are_refused(http, message):
    assert http.get(f"/recibos/twilio/{message.pk}").status_code == 405
    assert http.post(f"/recibos/twilio/{message.pk}", CONTENT_LENGTH="99999999").status_code == 413
    assert http.post("/recibos/whatsapp", CONTENT_LENGTH="99999999").status_code == 413
    assert http.post("/recibos/twilio/1").status_code == 404
