"""Twilio: the requests for an SMS, a WhatsApp message and a call, and the outcomes of its error codes."""

import base64
import json
from xml.etree import ElementTree

import pytest

from messaging.gateways import BadGatewayUrl, gateway_from_url
from messaging.gateways.base import GatewayError
from messaging.gateways.codes import PERMANENT, THROTTLED
from messaging.gateways.spoken import NAMES
from messaging.gateways.twilio_codes import REQUEST
from messaging.tests.http_provider import provider
from messaging.tests.outgoing_messages import CODE, outgoing

MADE = {"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued"}
ACCOUNT = "/2010-04-01/Accounts/AC123"


@pytest.fixture
def api():
    with provider() as made:
        made.say(201, MADE)
        yield made


def gateway(api, via="S", options="from=%2B12025550123"):
    return gateway_from_url(f"twilio://AC123:secreto@/?{options}&api={api.url}", via)


def test_an_sms_has_its_remaining_lifetime_and_a_callback_url_with_our_id(api, settings):
    settings.PUBLIC_URL = "https://aval.pe"
    receipt = gateway(api).send(outgoing(), CODE)
    [sent] = api.requests
    assert (receipt.provider_id, receipt.reply) == (MADE["sid"], "twilio: queued")
    assert sent.path == f"{ACCOUNT}/Messages.json"
    assert sent.headers["Authorization"] == "Basic " + base64.b64encode(b"AC123:secreto").decode()
    form = sent.form
    validity = int(form.pop("ValidityPeriod"))
    assert 97 <= validity <= 100
    assert form == {
        "To": "+51987654321",
        "From": "+12025550123",
        "Body": f"Aval: tu clave es {CODE}.",
        "StatusCallback": "https://aval.pe/recibos/twilio/3fa85f64-5717-4562-b3fc-2c963f66afa6",
    }


@pytest.mark.parametrize("public", ["http://aval.pe", "https://localhost:8000", "http://localhost:8000"])
def test_no_report_is_asked_for_where_it_could_not_arrive(api, settings, public):
    settings.PUBLIC_URL = public
    gateway(api).send(outgoing(), CODE)
    assert "StatusCallback" not in api.requests[0].form


def test_a_messaging_service(api):
    gateway(api, options="from=MG77").send(outgoing(), CODE)
    form = api.requests[0].form
    assert form["MessagingServiceSid"] == "MG77"
    assert "From" not in form


def test_whatsapp_by_template_and_by_plain_text(api):
    gateway(api, "W", "from=%2B12025550123&content=HX9").send(outgoing(), CODE)
    gateway(api, "W").send(outgoing(), CODE)
    template, plain = (each.form for each in api.requests)
    assert (template["To"], template["From"]) == ("whatsapp:+51987654321", "whatsapp:+12025550123")
    assert (template["ContentSid"], json.loads(template["ContentVariables"])) == ("HX9", {"1": CODE})
    assert "Body" not in template
    assert plain["Body"] == f"Aval: tu clave es {CODE}."


def test_a_call_reads_the_code_slowly_and_twice(api):
    api.say(201, {"sid": "CA1", "status": "queued"})
    words = "Su código de Aval es ••••. Repito: ••••. No lo comparta con nadie."
    assert gateway(api, "I").send(outgoing(text=words), "B2V9").provider_id == "CA1"
    [sent] = api.requests
    assert sent.path == f"{ACCOUNT}/Calls.json"
    call = ElementTree.fromstring(sent.form["Twiml"])
    said = [each.text for each in call if each.tag == "Say"]
    code = ["B de burro", "dos", "V de vaca", "nueve"]
    assert said == ["Su código de Aval es", *code, "Repito:", *code, "No lo comparta con nadie"]
    assert all(each.attrib["language"] == "es-MX" for each in call if each.tag == "Say")
    tags = [each.tag for each in call]
    assert tags == ["Say", "Pause"] * len(said), "a pause after each character: the time to write it down"


def test_every_character_of_a_code_has_a_name_and_no_two_share_one():
    assert set(NAMES) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert len(set(NAMES.values())) == 32


@pytest.mark.parametrize("number", list(REQUEST))
def test_every_code_of_the_table(api, number):
    known = REQUEST[number]
    api.say(400, {"code": number, "message": "in English", "status": 400})
    with pytest.raises(GatewayError) as refusal:
        gateway(api).send(outgoing(), CODE)
    assert refusal.value.permanent == (known.outcome is PERMANENT)
    assert not refusal.value.about_recipient
    assert refusal.value.throttled == (known.outcome is THROTTLED)
    assert refusal.value.reply == f"twilio 400/{number}: {known.reason}"


@pytest.mark.parametrize("code", [99999, 20009, "99999"])
@pytest.mark.parametrize("status", [400, 402, 404, 409])
def test_an_unlisted_code_is_unclear_and_goes_to_the_next_provider(api, code, status):
    api.say(status, {"code": code, "message": "Something new", "status": status})
    with pytest.raises(GatewayError) as refusal:
        gateway(api).send(outgoing(), CODE)
    assert not refusal.value.permanent
    assert not refusal.value.about_recipient
    assert refusal.value.reply == f"twilio {status}/{code}: Something new"


@pytest.mark.parametrize(
    "body",
    [
        {"type": "https://x", "title": "Bad", "status": 400, "code": 21211, "detail": "Invalid 'To'"},  # RFC 9457
        {"code": "21211", "message": "Invalid 'To'"},
    ],
)
def test_every_shape_of_an_error_is_read(api, body):
    api.say(400, body)
    with pytest.raises(GatewayError) as refusal:
        gateway(api).send(outgoing(), CODE)
    assert refusal.value.permanent
    assert refusal.value.reply == "twilio 400/21211: el número no es válido"


@pytest.mark.parametrize("code", [None, [], {"a": 1}, True, 10**30, -1, "x" * 9999])
def test_an_error_code_of_any_kind_breaks_nothing(api, code):
    api.say(400, {"code": code, "message": ["uno", {"message": "dos"}]})
    with pytest.raises(GatewayError) as refusal:
        gateway(api).send(outgoing(), CODE)
    assert not refusal.value.permanent
    assert len(refusal.value.reply) <= 300


@pytest.mark.parametrize("state", ["failed", "undelivered", "canceled"])
@pytest.mark.parametrize("via", ["S", "W", "I"])
def test_created_and_failed_in_one_answer_is_final(api, state, via):
    api.say(201, {**MADE, "status": state, "error_code": 30008})
    with pytest.raises(GatewayError) as refusal:
        gateway(api, via).send(outgoing(), CODE)
    assert refusal.value.permanent
    assert state in refusal.value.reply


def test_created_and_failed_for_a_reason_that_is_ours_goes_to_the_next_provider(api):
    api.say(201, {**MADE, "status": "failed", "error_code": 30002})
    with pytest.raises(GatewayError, match="la cuenta está suspendida") as refusal:
        gateway(api).send(outgoing(), CODE)
    assert not refusal.value.permanent


@pytest.mark.parametrize(
    "body",
    [
        {"sid": "SM\u0000", "status": "queued"},
        {"sid": ["SM1"], "status": {"a": 1}},
        {"sid": None},
        {"sid": ""},
        {"sid": {"x": 1}, "date_created": 5, "date_updated": [], "status": 7, "error_code": "x", "price": {}},
    ],
)
def test_a_success_of_any_shape_is_taken_and_goes_by_our_id(api, body):
    api.say(201, body)
    receipt = gateway(api).send(outgoing(), CODE)
    assert receipt.provider_id == "3fa85f64-5717-4562-b3fc-2c963f66afa6"


@pytest.mark.parametrize(
    ("url", "via"),
    [
        ("twilio://AC123@/?from=%2B1", "S"),
        ("twilio://AC1:t@/", "S"),
        ("twilio://AC1:t@/?from=", "S"),
        ("twilio://AC1:t@host/?from=%2B1", "S"),
        ("twilio://AC1:t@/?from=%2B1&content=HX", "S"),
        ("twilio://AC1:t@/?from=MG1", "I"),
        ("twilio://AC1:t@/?from=%2B1&api=ftp://x", "S"),
        ("twilio://AC1:t@/?from=%2B1", "C"),
    ],
)
def test_a_url_that_is_not_whole(url, via):
    with pytest.raises(BadGatewayUrl) as refusal:
        gateway_from_url(url, via)
    assert "AC1" not in str(refusal.value)
