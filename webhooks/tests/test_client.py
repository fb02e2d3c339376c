"""One try over a real connection: what counts as a success, and what a receiver cannot make us do."""

import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from webhooks import addresses, client
from webhooks.addresses import target_of
from webhooks.client import Try
from webhooks.tests.receiver import certificate, raw_server, receiving

HEADERS = {"Content-Type": "application/json", "webhook-id": "evt_1"}


def post(url, body=b"{}", **options):
    return Try(target_of(url, sandbox=True), sandbox=True, **options).post(body, HEADERS)


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


def test_the_request_is_the_urls_with_our_headers(receiver):
    outcome = post(receiver.url, b'{"id":"evt_1"}')
    assert outcome.is_success
    assert outcome.status == 204
    (got,) = receiver.received
    assert (got.path, got.body) == ("/hook?of=aval", b'{"id":"evt_1"}')
    assert got.headers["host"] == f"localhost:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == "evt_1"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_a_success(receiver, status):
    receiver.answer = status
    outcome = post(receiver.url)
    assert (outcome.is_success, outcome.error) == (True, "")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503, 999])
def test_anything_else_is_a_failure_and_no_redirect_is_followed(receiver, status):
    receiver.answer = (status, {"Location": receiver.url})
    outcome = post(receiver.url)
    assert (outcome.is_success, outcome.status, outcome.error) == (False, status, f"HTTP {status}")
    assert outcome.is_gone == (status == 410)
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("99999999999", 10**6),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
    ],
)
def test_retry_after_in_seconds(receiver, value, expected):
    receiver.answer = (503, {"Retry-After": value})
    found = post(receiver.url).retry_after
    assert found == (None if expected is None else timedelta(seconds=expected))


def test_retry_after_as_a_date(receiver):
    receiver.answer = (503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)})
    assert timedelta(minutes=4, seconds=55) < post(receiver.url).retry_after <= timedelta(minutes=5)
    receiver.answer = (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert post(receiver.url).retry_after == timedelta(0)


def aborted_after(seconds, url):
    """The outcome of a try that another thread aborts, and how long it took."""
    attempt = Try(target_of(url, sandbox=True), sandbox=True)
    timer = threading.Timer(seconds, attempt.abort)
    timer.start()
    began = time.monotonic()
    outcome = attempt.post(b"{}", HEADERS)
    timer.cancel()
    return outcome, time.monotonic() - began


def drip(link):
    link.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        link.sendall(b"X: 1\r\n")
        time.sleep(0.05)


def endless_continue(link):
    link.recv(4096)
    while True:
        link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


def silence(link):
    link.recv(4096)
    time.sleep(60)


@pytest.mark.parametrize("talk", [drip, endless_continue, silence], ids=["headers", "continue", "nothing"])
def test_a_receiver_that_never_ends_its_answer_is_aborted(talk):
    with raw_server(talk) as url:
        outcome, seconds = aborted_after(0.3, url)
    assert not outcome.is_success
    assert outcome.status is None
    assert outcome.error == "no respondió a tiempo"
    assert seconds < 5


def test_a_handshake_that_never_ends_is_aborted():
    def swallow(link):
        while link.recv(4096):
            pass

    with raw_server(swallow) as url:
        outcome, seconds = aborted_after(0.3, url.replace("http:", "https:"))
    assert outcome.error == "no respondió a tiempo"
    assert seconds < 3


def test_a_try_has_a_deadline_of_its_own(monkeypatch):
    monkeypatch.setattr(client, "DEADLINE", 0.4)
    with raw_server(silence) as url:
        began = time.monotonic()
        outcome = post(url)
    assert outcome.error == "no respondió a tiempo"
    assert time.monotonic() - began < 3


def test_nothing_is_sent_once_a_slow_resolver_has_used_up_the_time(receiver, monkeypatch):
    monkeypatch.setattr(client, "DEADLINE", 0.1)
    answer = socket.getaddrinfo("localhost", receiver.port, type=socket.SOCK_STREAM)

    def slow(*args, **kwargs):
        time.sleep(0.2)
        return answer

    monkeypatch.setattr(addresses.socket, "getaddrinfo", slow)
    assert post(receiver.url).error == "no respondió a tiempo"
    assert receiver.received == []


def test_a_large_body_is_not_read(monkeypatch):
    sent = []

    def flood(link):
        link.recv(4096)
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(2_000):
            sent.append(link.send(b"x" * 65_536))

    with raw_server(flood) as url:
        assert post(url).is_success
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (lambda link: link.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), "la respuesta no es HTTP"),
        (lambda link: link.recv(4096), "la conexión se cortó"),
        (lambda link: link.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 500), "la respuesta no es HTTP"),
        (lambda link: link.sendall(b"HTTP/1.1 200 " + b"x" * 100_000), "la respuesta no es HTTP"),
    ],
    ids=["another protocol", "a cut", "a thousand headers", "a long line"],
)
def test_what_is_no_answer_is_a_failure_in_plain_words(talk, error):
    with raw_server(talk) as url:
        outcome = post(url)
    assert not outcome.is_success
    assert outcome.error in (error, "la conexión se cortó")


def test_a_closed_port_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/").error == "la conexión fue rechazada"


# --- names, addresses, certificates -----------------------------------------------------------------------------------


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """A receiver over TLS for `hooks.example.com`, whose certificate we trust, and that the resolver leads to."""
    path = certificate(tmp_path, "hooks.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    names = []
    context.sni_callback = lambda link, name, its: names.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    client._tls_context.cache_clear()
    with receiving(context) as found:
        answer = socket.getaddrinfo("127.0.0.1", found.port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: answer)
        found.names = names
        yield found
    client._tls_context.cache_clear()


def test_the_name_of_the_url_is_in_tls_and_in_the_header_though_the_address_is_called(secure):
    assert post(f"https://hooks.example.com:{secure.port}/hook").is_success
    assert secure.names == ["hooks.example.com"]
    assert secure.received[0].headers["host"] == f"hooks.example.com:{secure.port}"


def test_a_certificate_for_another_name_is_refused(secure):
    outcome = post(f"https://others.example.com:{secure.port}/hook")
    assert outcome.error == "el certificado no es válido"
    assert secure.received == []


def test_a_certificate_of_nobody_we_trust_is_refused(secure, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    client._tls_context.cache_clear()
    assert post(f"https://hooks.example.com:{secure.port}/hook").error == "el certificado no es válido"
    assert secure.received == []


def test_a_name_is_resolved_once_a_try_so_that_it_cannot_point_elsewhere_in_between(receiver, monkeypatch):
    """Rebinding: the first answer is public, the second is this machine."""
    answers = [
        [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.7", 443))],
        socket.getaddrinfo("127.0.0.1", receiver.port, type=socket.SOCK_STREAM),
    ]
    called = []
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: answers.pop(0))
    monkeypatch.setattr(addresses, "is_public", lambda address: not address.is_loopback)

    def connect(address, *args, **kwargs):
        called.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(client.socket, "create_connection", connect)
    target = target_of(f"https://hooks.example.com:{receiver.port}/", sandbox=False)
    assert not Try(target, sandbox=False).post(b"{}", HEADERS).is_success
    assert called == ["203.0.113.7"]
    assert len(answers) == 1
    assert Try(target, sandbox=False).post(b"{}", HEADERS).error == "el servidor está en una red interna"
    assert called == ["203.0.113.7"], "nothing was called"


def test_the_next_address_is_called_where_the_first_takes_no_connection(receiver, monkeypatch):
    here = socket.getaddrinfo("127.0.0.1", receiver.port, type=socket.SOCK_STREAM)
    nowhere = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", receiver.port))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: [*nowhere, *here])
    assert post(receiver.url).is_success
    assert len(receiver.received) == 1
