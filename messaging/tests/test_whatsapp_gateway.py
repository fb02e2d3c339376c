"""Meta's Cloud API: the request for the authentication template, and the outcomes of its error codes."""

import pytest

from messaging.gateways import BadGatewayUrl, gateway_from_url
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.gateways.codes import DEFERRED, PERMANENT, THROTTLED, UNKNOWN
from messaging.gateways.whatsapp_codes import REQUEST
from messaging.tests.http_provider import provider
from messaging.tests.outgoing_messages import CODE, outgoing

MADE = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "51987654321", "wa_id": "51987654321"}],
    "messages": [{"id": "wamid.HBgL", "message_status": "accepted"}],
}


@pytest.fixture
def api():
    with provider() as made:
        made.say(200, MADE)
        yield made


def gateway(api, options=""):
    return gateway_from_url(f"whatsapp-cloud://EAAJ@/1055?template=codigo{options}&api={api.url}", "W")


def test_the_template_with_the_code_in_its_body_and_on_its_button(api):
    receipt = gateway(api).send(outgoing(via="W"), CODE)
    assert (receipt.provider_id, receipt.reply) == ("wamid.HBgL", "whatsapp: accepted")
    [sent] = api.requests
    assert sent.path == "/v24.0/1055/messages"
    assert sent.headers["Authorization"] == "Bearer EAAJ"
    assert sent.json == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "51987654321",
        "type": "template",
        "template": {
            "name": "codigo",
            "language": {"code": "es"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": CODE}]},
                {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": CODE}]},
            ],
        },
        "biz_opaque_callback_data": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    }


def test_language_and_version(api):
    gateway(api, "&lang=es_MX&version=v25.0").send(outgoing(), CODE)
    assert api.requests[0].path == "/v25.0/1055/messages"
    assert api.requests[0].json["template"]["language"] == {"code": "es_MX"}


@pytest.mark.parametrize("number", list(REQUEST))
@pytest.mark.parametrize("status", [400, 500])
def test_every_code_of_the_table_whatever_the_status(api, number, status):
    known = REQUEST[number]
    api.say(status, {"error": {"message": "in English", "code": number}})
    with pytest.raises((GatewayError, OutcomeUnknown)) as refusal:
        gateway(api).send(outgoing(), CODE)
    assert isinstance(refusal.value, OutcomeUnknown) == (known.outcome is UNKNOWN)
    if isinstance(refusal.value, GatewayError):
        assert refusal.value.permanent == (known.outcome is PERMANENT)
        assert refusal.value.throttled == (known.outcome is THROTTLED)
        assert refusal.value.about_recipient == (known.outcome is DEFERRED)
    assert refusal.value.reply == f"whatsapp {status}/{number}: {known.reason}"


@pytest.mark.parametrize("code", [999999, None, [], True, 10**30, "x"])
def test_an_unlisted_code_is_unclear_and_keeps_metas_text(api, code):
    api.say(400, {"error": {"message": "(#1) Something new", "code": code, "error_data": {"details": "look here"}}})
    with pytest.raises(GatewayError) as refusal:
        gateway(api).send(outgoing(), CODE)
    assert not refusal.value.permanent
    assert "(#1) Something new" in refusal.value.reply
    assert "look here" in refusal.value.reply


@pytest.mark.parametrize("messages", [[{"id": "wamid\u0000"}], [{"id": {}}], [{}], ["x"], {"id": "x"}, 5, [{"id": ""}]])
def test_a_success_of_any_shape_is_taken_and_goes_by_our_id(api, messages):
    api.say(200, {"messages": messages})
    assert gateway(api).send(outgoing(), CODE).provider_id == "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def test_only_codes_leave_by_whatsapp(api):
    with pytest.raises(GatewayError) as refusal:
        gateway(api).send(outgoing(), None)
    assert refusal.value.permanent
    assert api.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "whatsapp-cloud://@/1055?template=x",
        "whatsapp-cloud://T:p@/1055?template=x",
        "whatsapp-cloud://T@/?template=x",
        "whatsapp-cloud://T@/abc?template=x",
        "whatsapp-cloud://T@/1055",
        "whatsapp-cloud://T@/1055?template=No-vale",
        "whatsapp-cloud://T@/1055?template=x&version=24",
        "whatsapp-cloud://T@host/1055?template=x",
        "whatsapp-cloud://T@/1055?template=x&otra=1",
    ],
)
def test_a_url_that_is_not_whole(url):
    with pytest.raises(BadGatewayUrl):
        gateway_from_url(url, "W")
