"""Results of an HTTP call to a provider, and the outcome of each: the same for Twilio and Meta."""

import socket
import time

import pytest

from messaging.gateways import gateway_from_url
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.tests.http_provider import cut, half, provider, silent, trickling
from messaging.tests.outgoing_messages import CODE, outgoing

TOKEN = "token-muy-secreto"
URLS = {
    "twilio": f"twilio://AC123:{TOKEN}@/?from=%2B12025550123&api={{}}",
    "whatsapp-cloud": f"whatsapp-cloud://{TOKEN}@/1055?template=codigo&api={{}}",
}
VIA = {"twilio": "S", "whatsapp-cloud": "W"}


@pytest.fixture(params=list(URLS))
def gateway_and_api(request, monkeypatch):
    monkeypatch.setattr("messaging.gateways.http.READ_TIMEOUT", 0.3)
    with provider() as api:
        yield gateway_from_url(URLS[request.param].format(api.url), VIA[request.param]), api


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 418, 422, 425, 429, 451, 499, 503]
)
@pytest.mark.parametrize("body", [{}, "no es json", "[]", "[" * 5000, '{"code": ' + "9" * 5000 + "}"])
def test_a_refusal_by_its_status_alone_is_never_the_recipients_fault(gateway_and_api, status, body):
    gateway, api = gateway_and_api
    api.say(status, body, Retry_After="7")
    with pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert not refusal.value.permanent
    assert not refusal.value.about_recipient
    assert refusal.value.throttled == (status == 429)
    assert str(status) in refusal.value.reply
    if status in (429, 503):
        assert refusal.value.retry_after == 7


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<html><style>p {}</style><body><h1>402 Payment&nbsp;Required</h1></body></html>", "402 Payment Required"),
        ("<STYLE>\np { color: red }\n</STYLE>\n<p>Sin\nsaldo</p>" + "<style" * 9000, "Sin saldo"),
        ("Sin saldo\n\x00", "Sin saldo"),
        ('{"otro": "algo"}', '{"otro": "algo"}'),
        ({"message": "largo " * 100}, "largo largo"),
    ],
)
def test_the_services_error_text_is_kept(gateway_and_api, body, text):
    gateway, api = gateway_and_api
    api.say(402, body)
    with pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert text in refusal.value.reply
    assert len(refusal.value.reply) <= 300
    assert refusal.value.reply.isprintable()


@pytest.mark.parametrize("status", [500, 502, 504, 301, 307])
def test_an_answer_without_information(gateway_and_api, status):
    gateway, api = gateway_and_api
    api.say(status, {}, Location=api.url + "/otro")
    with pytest.raises(OutcomeUnknown):
        gateway.send(outgoing(), CODE)
    assert len(api.requests) == 1, "a redirect is not followed, and nothing is sent again"


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("body", ["", "no es json", "<html>ok</html>", "[]", "{}", "null", "7", '{"messages": []}'])
def test_any_2xx_is_taken_with_our_id_where_no_other_can_be_read(gateway_and_api, status, body):
    gateway, api = gateway_and_api
    api.say(status, body)
    assert gateway.send(outgoing(), CODE).provider_id == "3fa85f64-5717-4562-b3fc-2c963f66afa6"


@pytest.mark.parametrize("act", [silent, cut])
def test_whatever_breaks_after_the_body_left_is_unknown(gateway_and_api, act):
    gateway, api = gateway_and_api
    api.do(act)
    with pytest.raises(OutcomeUnknown):
        gateway.send(outgoing(), CODE)
    assert len(api.requests) == 1


@pytest.mark.parametrize("act", [half, trickling])
def test_a_body_that_breaks_off_or_trickles_does_not_undo_its_status(gateway_and_api, act, monkeypatch):
    monkeypatch.setattr("messaging.gateways.http.TOTAL_TIMEOUT", 0.4)
    gateway, api = gateway_and_api
    api.do(act)
    began = time.monotonic()
    assert gateway.send(outgoing(), CODE)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("scheme", list(URLS))
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://aval.invalid", "tls"])
def test_what_never_left_may_be_offered_again(scheme, address):
    with socket.create_server(("127.0.0.1", 0)) as deaf, provider() as api:
        url = api.url.replace("http://", "https://") if address == "tls" else address  # speaks no TLS
        api.say(200)
        gateway = gateway_from_url(URLS[scheme].format(url), VIA[scheme])
        with pytest.raises(GatewayError) as refusal:
            gateway.send(outgoing(), CODE)
        assert not refusal.value.permanent
        assert deaf


@pytest.mark.parametrize(
    "body", [{"message": f"{CODE} {TOKEN}\n  eco", "code": 999999, "error": {"message": f"{CODE} {TOKEN}"}}]
)
def test_no_secret_in_a_reply(gateway_and_api, body):
    gateway, api = gateway_and_api
    api.say(400, body)
    with pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    shown = refusal.value.reply + repr(refusal.value) + repr(gateway)
    assert CODE not in shown
    assert TOKEN not in shown
    assert refusal.value.__context__ is None, "the original would quote the request"
    assert "\n" not in refusal.value.reply


def test_a_number_that_is_none_is_refused_before_anything_leaves(gateway_and_api):
    gateway, api = gateway_and_api
    api.say(200)
    with pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(recipient="123"), CODE)
    assert refusal.value.permanent
    assert api.requests == []
