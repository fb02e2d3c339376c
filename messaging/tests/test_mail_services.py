"""Mail services' HTTP APIs: taken, refused for now, refused for good, not known; keys and codes kept out."""

import contextlib
import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from messaging.gateways import BadGatewayUrl, gateway_from_url
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.tests.smtp_servers import CODE, outgoing

TAKEN = {"To": "ana@dominio.com", "ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a-e38e-4336-af7d-e6c392c2f817"}
REJECTED = {"ErrorCode": 406, "Message": "Found inactive addresses: ana@dominio.com. Inactive recipients are ones that"}


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"


@contextlib.contextmanager
def service(status=200, body=TAKEN, headers=(), act=None):
    """A service's API on a free port; `act` does something else than answering."""
    heard = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((self.headers, sent, self.client_address))
            if act is not None:
                return act(self)
            answer = json.dumps(body).encode()
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
        url = f"postmark://server-key@/?api=http://127.0.0.1:{server.server_port}/"
        yield gateway_from_url(url, "C"), heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def cut(handler):
    """Breaks the connection off with a reset, after the request was read."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def test_a_mail_is_taken_with_its_code_headers_and_both_bodies():
    with service() as (gateway, heard):
        receipt = gateway.send(outgoing(html="<b>••••</b>", headers=(("List-Unsubscribe", "<https://x>"),)), CODE)
    headers, sent, _ = heard[0]
    assert headers["X-Postmark-Server-Token"] == "server-key"
    assert (sent["To"], sent["Subject"]) == ("ana@dominio.com", "Su código de verificación")
    assert "A1B2" in sent["TextBody"]
    assert sent["HtmlBody"] == "<b>A1B2</b>"
    assert {"Name": "List-Unsubscribe", "Value": "<https://x>"} in sent["Headers"]
    assert receipt.provider_id == TAKEN["MessageID"]
    assert receipt.reply == "postmark: sent"


def test_many_mails_over_one_connection():
    with service() as (gateway, heard), gateway.session() as session:
        for _ in range(5):
            session.send(outgoing(), CODE)
    assert len({peer for _, _, peer in heard}) == 1


@pytest.mark.parametrize("status", [401, 403, 408, 429, 503])
def test_refused_for_now(status):
    answering = service(status, {"Message": "later"}, [("Retry-After", "17")])
    with answering as (gateway, _), pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert not refusal.value.permanent
    assert refusal.value.retry_after == 17
    assert refusal.value.reply.startswith(str(status))


@pytest.mark.parametrize(("status", "body"), [(400, {}), (404, {}), (413, {}), (422, REJECTED)])
def test_refused_for_good(status, body):
    with service(status, body) as (gateway, _), pytest.raises(GatewayError) as refusal:
        gateway.send(outgoing(), CODE)
    assert refusal.value.permanent


@pytest.mark.parametrize(
    "answer",
    [{"status": 500}, {"status": 502}, {"status": 504}, {"act": cut}, {"status": 302, "headers": [("Location", "/x")]}],
)
def test_not_known(answer):
    with service(**answer) as (gateway, heard), pytest.raises(OutcomeUnknown):
        gateway.send(outgoing(), CODE)
    assert len(heard) == 1, "never asked twice"


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
    ["postmark://K@/", "mailgun://K@/?domain=mg.example.com", "brevo://K@/", "resend://K@/",
     "sparkpost://K@/", "mailersend://K@/", "mailjet://K:S@/", "postmark://K@/?stream=broadcast"],
)  # fmt: skip
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
