"""MAIL, RCPT and DATA in one write (RFC 2920): what the server sees, and its refusals in the middle of a group."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from messaging.gateways import smtp_connection
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.tests.smtp_servers import CODE, cut, gateway_to, outgoing, real_server, refused, scripted_server, silence

OFFERS = "250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-SMTPUTF8\r\n250 8BITMIME"
WITHOUT = OFFERS.replace("250-PIPELINING\r\n", "")
TAKEN = "250 2.0.0 Ok: queued as 4XyZ12abc"
NOBODY = "550 5.1.1 no such user"


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"


@dataclass
class Heard:
    """All that a server received after EHLO: up to DATA, and then until the client hung up."""

    port: int
    group: bytes = b""
    rest: bytes = b""
    done: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def server_that_waits_for_data(*replies: str, delay: float = 0.0) -> Iterator[Heard]:
    """Run a server that answers nothing between EHLO and DATA, then all of `replies` at once, and TAKEN to each dot."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = Heard(port=listener.getsockname()[1])

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            connection.sendall(b"220 mx.example.com\r\n")
            connection.recv(4096)
            connection.sendall(OFFERS.encode() + b"\r\n")
            while not heard.group.endswith(b"\r\ndata\r\n"):
                heard.group += connection.recv(4096)
            time.sleep(delay)
            connection.sendall("".join(f"{reply}\r\n" for reply in replies).encode())
            while received := connection.recv(4096):
                heard.rest += received
                if heard.rest.endswith((b"\r\n.\r\n", b".\r\n")):
                    connection.sendall(f"{TAKEN}\r\n".encode())
        heard.done.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        listener.close()
        thread.join(10)


def test_a_server_that_answers_only_after_data_gets_the_whole_group_and_then_the_mail():
    with server_that_waits_for_data("250 Ok", "250 Ok", "354 go") as heard:
        receipt = gateway_to(heard.port).send(outgoing(), CODE)
        assert heard.done.wait(5)
    assert receipt.reply == TAKEN
    *commands, end = heard.group.decode().split("\r\n")
    assert end == ""
    assert [command.partition(":")[0].lower() for command in commands] == ["mail from", "rcpt to", "data"]
    assert heard.rest.startswith(b"Content-Type: ")
    assert heard.rest.endswith(b"\r\n.\r\nquit\r\n")


def test_with_and_without_it_a_server_gets_the_same_commands_and_the_same_mail(monkeypatch):
    monkeypatch.setattr("django.core.mail.message.formatdate", lambda **_: "Sat, 28 Nov 2026 10:00:00 -0000")
    chance, letters = random.Random(5), "abcxyz019!#$%&'*+/=?^_`{|}~-"
    texts = [".", ".\n..\n.", "a\n.b\n\n.", "ñ" * 500 + "\n.", "", "fin\n", "x" * 40_000]
    for text in texts:
        recipient = f"{''.join(chance.choices(letters, k=20))}@dominio.com"
        seen = []
        for ehlo in (OFFERS, WITHOUT):
            with scripted_server(ehlo=ehlo) as script:
                for address in (recipient, "josé@ñandú.pe"):
                    gateway_to(script.port).send(outgoing(recipient=address, text=text), None)
                seen.append((script.commands, script.bodies))
        assert seen[0] == seen[1]
        assert len(seen[0][1]) == 2


@pytest.mark.parametrize("offered", [True, False])
def test_a_real_server_gets_every_mail_whether_it_offers_it_or_not(offered):
    with real_server(enable_SMTPUTF8=True) as mailbox:
        mailbox.pipelining = offered
        addresses = ["ana@dominio.com", "josé@ñandú.pe", "eva@dominio.com"]
        with gateway_to(mailbox.port).session() as session:
            for address in addresses:
                session.send(outgoing(recipient=address, html="<p>ñ</p>"), CODE)
        assert [mail.rcpt_tos for mail in mailbox.mails] == [
            ["ana@dominio.com"],
            ["josé@xn--and-6ma2c.pe"],
            ["eva@dominio.com"],
        ]
        assert [mail.smtp_utf8 for mail in mailbox.mails] == [False, True, False]
        assert len(set(mailbox.peers)) == 1


def test_many_mails_over_one_connection_without_waiting_for_delayed_acknowledgements():
    with scripted_server(ehlo=OFFERS) as script:
        started = time.monotonic()
        with gateway_to(script.port).session() as session:
            for each in range(20):
                session.send(outgoing(recipient=f"ana{each}@dominio.com"), CODE)
        assert time.monotonic() - started < 20 * 0.04, "the server writes each reply by itself"
        assert script.connections == 1
        assert len(script.bodies) == 20
        assert [line for line in script.commands if line.startswith("rcpt")] == [
            f"rcpt to:<ana{each}@dominio.com>" for each in range(20)
        ]


def test_a_354_after_a_refused_recipient_is_no_hand_over_and_gets_an_empty_mail():
    with server_that_waits_for_data("250 Ok", NOBODY, "354 go") as heard:
        refusal = refused(heard)
        assert heard.done.wait(5)
    assert refusal.permanent
    assert refusal.reply == NOBODY
    assert heard.rest == b".\r\nquit\r\n"


@pytest.mark.parametrize("after", [("354 go", "451 later"), ("554 5.5.1 no valid recipients",), ("¿qué?",), ()])
def test_what_follows_a_refused_recipient_changes_nothing(after):
    with server_that_waits_for_data("250 Ok", "450 4.2.0 greylisted", *after) as heard:
        refusal = refused(heard)
    assert (refusal.permanent, refusal.about_recipient) == (False, True)
    assert refusal.reply == "450 4.2.0 greylisted"
    assert b"Content-Type" not in heard.rest


@pytest.mark.parametrize(
    ("mail", "rcpt"),
    [
        ("530 5.7.0 log in first", "250 Ok"),
        ("530 5.7.0 log in first", "251 will forward"),
        ("250 Ok", "252 cannot tell, but will try"),
        ("250 Ok", "¿qué?"),
    ],
)
def test_a_354_after_a_refusal_gets_no_mail_at_all_where_the_recipient_may_have_been_taken(mail, rcpt):
    with server_that_waits_for_data(mail, rcpt, "354 go") as heard:
        refusal = refused(heard)
        assert heard.done.wait(5)
    assert not refusal.permanent
    assert heard.rest == b"", "not even an empty mail, which would arrive"


def test_of_several_refusals_the_first_counts():
    with server_that_waits_for_data("552 5.3.4 too big", "503 no sender", "503 no recipient") as heard:
        refusal = refused(heard)
        assert heard.done.wait(5)
    assert refusal.unsupported
    assert refusal.reply == "552 5.3.4 too big"
    assert heard.rest == b"quit\r\n"


@pytest.mark.parametrize("act", [cut, silence])
def test_a_refusal_does_not_wait_for_the_rest_of_the_group(act):
    with scripted_server(ehlo=OFFERS, rcpt=NOBODY, data=act) as script:
        started = time.monotonic()
        refusal = refused(script)
        assert time.monotonic() - started < 2 * smtp_connection.QUIT_TIMEOUT + 1
    assert refusal.permanent
    assert refusal.reply == NOBODY


@pytest.mark.parametrize("code", ["421", "450", "550"])
def test_after_a_refusal_the_next_mail_has_a_connection_of_its_own(code):
    with scripted_server(ehlo=OFFERS, rcpt=f"{code} no") as script:
        with gateway_to(script.port).session() as session:
            for _ in range(3):
                with pytest.raises(GatewayError):
                    session.send(outgoing(), CODE)
        assert script.connections == 3
        assert script.bodies == [b""] * 3


def test_an_answer_that_is_missing_after_the_mail_is_unknown():
    with scripted_server(ehlo=OFFERS, body=cut) as script, pytest.raises(OutcomeUnknown):
        gateway_to(script.port).send(outgoing(), CODE)


def test_a_cut_before_354_is_known():
    with scripted_server(ehlo=OFFERS, data=cut) as script:
        assert not refused(script).permanent


def test_a_code_that_expires_before_the_answer_to_data_does_not_leave():
    soon = datetime.now(UTC) + timedelta(seconds=0.4)
    with server_that_waits_for_data("250 Ok", "250 Ok", "354 go", delay=0.6) as heard:
        refusal = refused(heard, outgoing(send_before=soon))
        assert heard.done.wait(5)
    assert not refusal.permanent
    assert heard.rest == b""
    with scripted_server(ehlo=OFFERS) as script:
        refused(script, outgoing(send_before=datetime.now(UTC) - timedelta(seconds=1)))
        assert script.verbs() == ["EHLO", "QUIT"]
