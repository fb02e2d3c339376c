"""Mail services' HTTP APIs: the outcomes of their answers; keys and codes are never stored."""

import contextlib
import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from anymail.exceptions import AnymailUnsupportedFeature

from clients import request_id
from messaging.gateways import BadGatewayUrl, gateway_from_url
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.tests.smtp_servers import CODE, outgoing

TAKEN = {"To": "ana@dominio.com", "ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a-e38e-4336-af7d-e6c392c2f817"}
REJECTED = {"ErrorCode": 406, "Message": "Found inactive addresses: ana@dominio.com. Inactive recipients are ones that"}


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"


@contextlib.contextmanager
def service(status=200, body=TAKEN, headers=(), act=None, url="postmark://server-key@/"):
    """Run a service's API on a free port. `act`: a function called instead of answering."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.headers, json.loads(raw) if raw.startswith(b"{") else raw, self.client_address))
            if act is not None:
                return act(self)
            answer = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in (("Content-Length", str(len(answer))), *headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)
            return None

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        api = f"{'&' if '?' in url else '?'}api=http://127.0.0.1:{server.server_port}/"
        yield gateway_from_url(url + api, "C"), requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def cut(handler):
    """Reset the connection after reading the request."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def test_a_mail_is_taken_with_its_code_headers_and_both_bodies():
    with service() as (gateway, requests):
        receipt = gateway.send(outgoing(html="<b>••••</b>", headers=(("List-Unsubscribe", "<https://x>"),)), CODE)
    headers, sent, _ = requests[0]
    assert headers["X-Postmark-Server-Token"] == "server-key"
    assert (sent["To"], sent["Subject"]) == ("ana@dominio.com", "Su código de verificación")
    assert "A1B2" in sent["TextBody"]
    assert sent["HtmlBody"] == "<b>A1B2</b>"
    assert {"Name": "List-Unsubscribe", "Value": "<https://x>"} in sent["Headers"]
    assert receipt.provider_id == TAKEN["MessageID"]
    assert receipt.reply == "postmark: sent"


def test_many_mails_over_one_connection():
    with service() as (gateway, requests), gateway.session() as session:
        for _ in range(5):
            session.send(outgoing(), CODE)
    assert len({peer for _, _, peer in requests}) == 1


@pytest.mark.parametrize("status", [401, 403, 408, 429, 503])
def test_refused_for_now(status):
    answering = service(status, {"Message": "later"}, [("Retry-After", "17")])
    with answering as (gateway, _), pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert not refusal.value.permanent
    assert refusal.value.retry_after == 17
    assert refusal.value.reply.startswith(str(status))


JSON = [("Content-Type", "application/json")]
URLS = {
    "postmark": "postmark://server-key@/",
    "mailgun": "mailgun://K3Y@/?domain=mg.example.com",
    "brevo": "brevo://K3Y@/",
    "resend": "resend://K3Y@/",
    "sparkpost": "sparkpost://K3Y@/",
    "mandrill": "mandrill://K3Y@/",
    "mailersend": "mailersend://K3Y@/",
    "mailjet": "mailjet://K3Y:S3CRET@/",
}


def mailjet(code, related, message):
    errors = [{"ErrorCode": code, "StatusCode": 400, "ErrorMessage": message, "ErrorRelatedTo": related}]
    return {"Messages": [{"Status": "error", "Errors": errors}]}


def mandrill(status, reason):
    return [{"email": "ana@dominio.com", "status": status, "_id": "abc", "reject_reason": reason}]


ABOUT_THE_RECIPIENT = [
    ("postmark", 422, REJECTED),
    ("postmark", 422, {"ErrorCode": 406, "Message": "words that anymail does not know"}),
    ("postmark", 422, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'ana@dominio.com'."}),
    ("mailgun", 400, {"message": "'to' parameter is not a valid address. please check documentation"}),
    ("brevo", 400, {"code": "invalid_parameter", "message": "email is not valid in to"}),
    ("resend", 422, {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field. The email"}),
    ("sparkpost", 200, {"results": {"total_rejected_recipients": 1, "total_accepted_recipients": 0, "id": "1"}}),
    (
        "sparkpost",
        400,
        {
            "errors": [
                {
                    "message": "Message generation rejected",
                    "code": "1902",
                    "description": "recipient address suppressed due to customer policy",
                }
            ]
        },
    ),
    ("mandrill", 200, mandrill("rejected", "hard-bounce")),
    ("mandrill", 200, mandrill("rejected", "unsub")),
    ("mandrill", 200, mandrill("invalid", None)),
    (
        "mailersend",
        422,
        {
            "message": "The to.0.email must be a valid email address.",
            "errors": {"to.0.email": ["The to.0.email must be a valid email address."]},
        },
    ),
    (
        "mailersend",
        202,
        {
            "message": "There are some warnings",
            "warnings": [
                {"type": "ALL_SUPPRESSED", "recipients": [{"email": "ana@dominio.com", "reason": ["hard_bounced"]}]}
            ],
        },
    ),
    ("mailjet", 400, mailjet("mj-0013", ["To[0].Email"], '"ana" is an invalid email address.')),
]

ABOUT_US = [
    ("postmark", 422, {"ErrorCode": 412, "Message": "While your account is pending approval, all recipients must"}),
    ("postmark", 422, {"ErrorCode": 405, "Message": "Not allowed to send. You ran out of credits."}),
    ("postmark", 422, {"ErrorCode": 400, "Message": "The 'From' address you supplied is not a Sender Signature"}),
    ("postmark", 422, {"ErrorCode": 300, "Message": "Invalid 'From' address: 'x'."}),
    ("postmark", 422, {"ErrorCode": 99999, "Message": "Something new"}),
    ("postmark", 422, {}),
    ("postmark", 400, {}),
    ("postmark", 404, {}),
    ("postmark", 413, {}),
    ("postmark", 402, {"Message": "Payment required"}),
    ("mailgun", 402, {"message": "Payment required"}),
    ("mailgun", 403, {"message": "Domain mg.example.com is not allowed to send: account disabled"}),
    ("mailgun", 400, {"message": "from parameter is not a valid address. please check documentation"}),
    ("mailgun", 404, {"message": "Domain not found: mg.example.com"}),
    ("mailgun", 200, "Mailgun Magnificent API"),
    ("brevo", 402, {"code": "not_enough_credits", "message": "You do not have enough credits"}),
    ("brevo", 400, {"code": "invalid_parameter", "message": "sender email is not valid"}),
    ("brevo", 400, {"code": "account_under_validation", "message": "Your account is under validation"}),
    ("resend", 403, {"name": "validation_error", "message": "The aval.pe domain is not verified."}),
    ("resend", 429, {"name": "daily_quota_exceeded", "message": "You have reached your daily email sending quota."}),
    ("resend", 422, {"name": "validation_error", "message": "Invalid `from` field."}),
    ("sparkpost", 420, {"errors": [{"message": "Exceed Sending Limit (daily)", "code": "2101"}]}),
    ("sparkpost", 400, {"errors": [{"message": "Unconfigured Sending Domain <aval.pe>", "code": "7001"}]}),
    ("mandrill", 500, {"status": "error", "code": -1, "name": "Invalid_Key", "message": "Invalid API key"}),
    ("mandrill", 500, {"status": "error", "code": 10, "name": "PaymentRequired", "message": "Payment required"}),
    ("mandrill", 200, mandrill("rejected", "invalid-sender")),
    ("mandrill", 200, mandrill("rejected", "test-mode-limit")),
    ("mandrill", 200, mandrill("rejected", "unsigned")),
    (
        "mailersend",
        422,
        {
            "message": "The from.email domain must be verified #MS42207",
            "errors": {"from.email": ["The from.email domain must be verified #MS42207"]},
        },
    ),
    (
        "mailersend",
        422,
        {
            "message": "Trial accounts can only send to the administrator. #MS42225",
            "errors": {"to.0.email": ["Trial accounts can only send to the administrator. #MS42225"]},
        },
    ),
    ("mailjet", 400, mailjet("send-0008", ["From"], "The sender is not validated")),
    ("mailjet", 401, {"ErrorCode": "mj-0002", "StatusCode": 401, "ErrorMessage": "API key failure"}),
    ("mailjet", 403, {"StatusCode": 403, "ErrorMessage": "Your account has been temporarily blocked"}),
]


def service_text(body):
    """A text in the service's answer that must be in the stored reply."""
    text = body if isinstance(body, str) else json.dumps(body)
    return next(
        (
            word
            for word in (
                "credits",
                "pending",
                "Payment",
                "verified",
                "quota",
                "Limit",
                "Signature",
                "validated",
                "blocked",
                "Invalid API key",
            )
            if word in text
        ),
        "",
    )


@pytest.mark.parametrize(("name", "status", "body"), ABOUT_THE_RECIPIENT)
def test_what_is_about_the_recipient_is_refused_for_good(name, status, body):
    answering = service(status, body, JSON, url=URLS[name])
    with answering as (gateway, _), pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert refusal.value.permanent
    assert not refusal.value.unsupported


@pytest.mark.parametrize(("name", "status", "body"), ABOUT_US)
def test_errors_about_us_or_unclear_go_to_the_next_provider_with_the_services_text(name, status, body):
    answering = service(status, body, JSON, url=URLS[name])
    with answering as (gateway, _), pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    error = refusal.value
    assert (error.permanent, error.throttled, error.about_recipient) == (False, False, False)
    assert service_text(body) in error.reply


@pytest.mark.parametrize("odd", [["x"], {"x": 1}, 7, None])
def test_a_state_of_another_shape_is_taken_and_a_reason_of_another_shape_is_unclear(odd):
    with service(200, mandrill(odd, None), JSON, url=URLS["mandrill"]) as (gateway, _):
        assert gateway.send(outgoing(), CODE).reply == "mandrill: unknown"
    if odd is None:
        return
    with service(200, mandrill("rejected", odd), JSON, url=URLS["mandrill"]) as (gateway, _):
        with pytest.raises(GatewayError) as refusal:
            gateway.send(outgoing(), CODE)
        assert not refusal.value.permanent


def test_who_is_suppressed_is_read_whatever_the_content_type():
    said = {"message": "x", "warnings": [{"type": "ALL_SUPPRESSED", "recipients": [{"email": "ana@dominio.com"}]}]}
    for headers in ((), JSON, (("Content-Type", "application/json; charset=utf-8"),)):
        with service(202, said, headers, url=URLS["mailersend"]) as (gateway, _):
            with pytest.raises(GatewayError) as refusal:
                gateway.send(outgoing(), CODE)
            assert refusal.value.permanent


def test_a_soft_bounce_at_mandrill_is_temporary_and_no_failure():
    answering = service(200, mandrill("rejected", "soft-bounce"), JSON, url=URLS["mandrill"])
    with answering as (gateway, _), pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert refusal.value.about_recipient


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "body", ["", "<html>ok</html>", {}, [], "null", [None], {"id": {}, "message": 5}, {"Messages": 7}]
)
def test_a_success_that_cannot_be_read_is_taken_and_goes_by_our_id(name, body):
    for headers in (JSON, []):
        with service(200, body, headers, url=URLS[name]) as (gateway, requests):
            receipt = gateway.send(outgoing(), CODE)
        assert receipt.provider_id == "0198c0de-0000-4000-8000-000000000001"
        assert len(requests) == 1


@pytest.mark.parametrize("name", sorted(set(URLS) - {"mailersend"}))
def test_our_id_goes_along_where_the_service_has_metadata(name):
    with service(500, {}, JSON, url=URLS[name]) as (gateway, requests), pytest.raises(OutcomeUnknown):
        gateway.send(outgoing(), CODE)
    assert "0198c0de-0000-4000-8000-000000000001" in str(requests[0][1]).partition("Message-ID")[0] + str(
        requests[0][1]
    )
    assert "aval" in str(requests[0][1]).lower()


def test_what_anymail_cannot_express_for_a_service_may_go_by_another(monkeypatch):
    def cannot(*_):
        raise AnymailUnsupportedFeature("merge_data")

    with service() as (gateway, requests):
        monkeypatch.setattr(gateway._class, "build_message_payload", cannot)
        with pytest.raises(GatewayError) as refusal:
            gateway.send(outgoing(), CODE)
    assert refusal.value.unsupported
    assert requests == []


def test_a_fault_before_any_answer_is_not_known(monkeypatch):
    def fails(*_):
        raise TypeError("a fault of the library")

    with service() as (gateway, _):
        monkeypatch.setattr(gateway._class, "build_message_payload", fails)
        with pytest.raises(OutcomeUnknown):
            gateway.send(outgoing(), CODE)


@pytest.mark.parametrize("status", [400, 422])
def test_an_address_with_accents_that_this_service_refuses_is_unsupported(status):
    answering = service(status, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'josé@dominio.com'."})
    with answering as (gateway, _), pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(recipient="josé@dominio.com"), CODE)
    assert refusal.value.unsupported


@pytest.mark.parametrize(
    "answer",
    [{"status": 500}, {"status": 502}, {"status": 504}, {"act": cut}, {"status": 302, "headers": [("Location", "/x")]}],
)
def test_not_known(answer):
    with service(**answer) as (gateway, requests), pytest.raises(OutcomeUnknown):
        gateway.send(outgoing(), CODE)
    assert len(requests) == 1, "never asked twice"


def test_silence_after_the_request_is_not_known(monkeypatch):
    monkeypatch.setattr("messaging.gateways.http.READ_TIMEOUT", 0.2)
    go = threading.Event()
    with service(act=lambda handler: go.wait(5) and None) as (gateway, _):
        with pytest.raises(OutcomeUnknown):
            gateway.send(outgoing(), CODE)
        go.set()


def test_no_connection_is_refused_for_now():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    gateway = gateway_from_url(f"postmark://server-key@/?api=http://127.0.0.1:{port}/", "C")
    with pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert not refusal.value.permanent


def test_what_is_kept_of_a_refusal_has_neither_key_nor_code():
    answering = service(500, {"Message": f"key server-key code {CODE}"})
    with answering as (gateway, _), pytest.raises(OutcomeUnknown) as silence:
        gateway.send(outgoing(), CODE)
    whole = repr(silence.value) + silence.value.reply + str(silence.value.__context__) + repr(gateway)
    assert "server-key" not in whole
    assert CODE not in whole


@pytest.mark.parametrize(
    "url",
    [
        "postmark://K@/",
        "mailgun://K@/?domain=mg.example.com",
        "brevo://K@/",
        "resend://K@/",
        "sparkpost://K@/",
        "mailersend://K@/",
        "mailjet://K:S@/",
        "postmark://K@/?stream=broadcast",
    ],
)
def test_urls_that_are_fine(url):
    assert gateway_from_url(url, "C").name == url.partition(":")[0]


@pytest.mark.parametrize(
    "url",
    [
        "postmark://",
        "postmark://K:S@/",
        "mailjet://K@/",
        "brevo://K@/?domain=x",
        "mailgun://K@/?x=1",
        "postmark://K@/?api=ftp://x",
    ],
)
def test_urls_with_a_mistake(url):
    with pytest.raises(BadGatewayUrl) as fault:
        gateway_from_url(url, "C")
    assert "K" not in str(fault.value).replace("KEY", "")


def test_a_mail_has_the_id_of_the_request_that_asked_for_it():
    """For SMTP and for every service, which pass headers on."""
    trace = uuid4()
    with service() as (gateway, requests):
        with request_id.resumed(trace):
            gateway.send(outgoing(), CODE)
        gateway.send(outgoing(), CODE)
    named = [[each["Value"] for each in sent["Headers"] if each["Name"] == "X-Request-ID"] for _, sent, _ in requests]
    assert named == [[trace.hex], []]
