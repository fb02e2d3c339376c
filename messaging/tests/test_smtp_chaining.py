"""MAIL, RCPT and DATA of the next mail in one write with the text of the one before (RFC 2920, section 3.1)."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from messaging.gateways import smtp
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.tests.smtp_servers import cut, gateway_to, listening, outgoing, real_server, scripted_server

OFFERS = "250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-SMTPUTF8\r\n250 8BITMIME"
TAKEN = b"250 2.0.0 Ok: queued as 4XyZ12abc\r\n"
GROUP = (b"mail", b"rcpt", b"data")


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"


@dataclass
class Server:
    """A server with PIPELINING that takes every mail."""

    answers_after_the_next_group: bool = False  # it answers a text only once the next mail's commands are there
    forgets: bool = False  # it drops what arrives with the end of a text
    most: int = 99  # mails of one connection, after which MAIL gets 421
    port: int = 0
    texts: list[bytes] = field(default_factory=list)  # complete ones
    connections: int = 0
    left: bytes = b""  # received after the last complete text
    hung_up: threading.Event = field(default_factory=threading.Event)

    def serve(self, connection: socket.socket) -> None:
        self.connections += 1
        self.hung_up.clear()
        try:
            self._converse(connection)
        finally:
            self.hung_up.set()

    def _converse(self, connection: socket.socket) -> None:
        self.left, count = b"", 0
        connection.sendall(b"220 mx\r\n")
        self._until(b"\r\n", connection)
        connection.sendall(OFFERS.encode() + b"\r\n")
        while (verb := self._until(b"\r\n", connection)[:4].lower()) in GROUP:
            if verb == b"mail" and count == self.most:
                connection.sendall(b"421 4.7.0 too many mails in this connection\r\n")
                return
            with contextlib.suppress(ConnectionError):  # the client has gone: what it left is read all the same
                connection.sendall(b"354 go\r\n" if verb == b"data" else b"250 ok\r\n")
            if verb == b"data":
                self._take(connection)
                count += 1
        connection.sendall(b"221 bye\r\n")

    def _take(self, connection: socket.socket) -> None:
        self.texts.append(self._until(b"\r\n.\r\n", connection))
        limit = time.monotonic() + 5
        while self.answers_after_the_next_group and b"\r\ndata\r\n" not in self.left and time.monotonic() < limit:
            self.left += connection.recv(4096)
        if self.forgets:
            time.sleep(0.05)
            self.left = b""
        connection.sendall(TAKEN)

    def _until(self, end: bytes, connection: socket.socket) -> bytes:
        while end not in self.left:
            received = connection.recv(4096)
            if not received:
                raise ConnectionResetError
            self.left += received
        found, _, self.left = self.left.partition(end)
        return found


@contextlib.contextmanager
def server(**how: Any) -> Iterator[Server]:
    one = Server(**how)
    with listening(one.serve) as one.port:
        yield one


def mails(count):
    return [outgoing(recipient=f"ana{each}@dominio.com", text=f"Hola {each}.") for each in range(count)]


def send_in_turn(session, messages):
    """What came of each: "taken", or the error."""
    outcomes = []
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        session.announce(following)
        try:
            outcomes.append("taken" if isinstance(session.send(message, None), Receipt) else "")
        except (GatewayError, OutcomeUnknown) as error:
            outcomes.append(error)
    return outcomes


def numbers(texts):
    return [each for text in texts for each in range(10) if f"Hola {each}.".encode() in text]


def test_a_server_that_waits_for_the_next_commands_before_it_answers_gets_them():
    with server(answers_after_the_next_group=True) as heard:
        with gateway_to(heard.port, step_timeout=2).session() as session:
            session.announce(mails(2)[1])
            assert session.send(mails(1)[0], None).reply == TAKEN.decode().strip()
        assert heard.hung_up.wait(5)
    assert numbers(heard.texts) == [0]


@pytest.mark.parametrize("offered", [True, False])
def test_chained_or_not_a_real_server_gets_every_mail_once(offered):
    chance = random.Random(3)
    messages = [
        outgoing(recipient=chance.choice(["ana@dominio.com", "josé@ñandú.pe"]), text=f"{each}\n.\n" + "ñ" * each * 40)
        for each in range(30)
    ]
    with real_server(enable_SMTPUTF8=True) as mailbox:
        mailbox.pipelining = offered
        with gateway_to(mailbox.port).session() as session:
            assert send_in_turn(session, messages) == ["taken"] * 30
        assert len(set(mailbox.peers)) == 1
        assert [mail.smtp_utf8 for mail in mailbox.mails] == [not each.recipient.isascii() for each in messages]
        alone = []
        for message in messages:
            gateway_to(mailbox.port).send(message, None)
            alone.append(mailbox.mails.pop())
    unchanging = [mail.content.partition(b"\r\n\r\n")[2] for mail in mailbox.mails]
    assert unchanging == [mail.content.partition(b"\r\n\r\n")[2] for mail in alone]


def test_a_refused_text_does_not_take_the_next_mail_with_it():
    with scripted_server(ehlo=OFFERS, body="554 5.7.1 spam") as script:
        with gateway_to(script.port).session() as session:
            outcomes = send_in_turn(session, mails(3))
        assert [each.reply for each in outcomes] == ["554 5.7.1 spam"] * 3
        assert numbers(script.bodies) == [0, 1, 2]
        assert script.verbs().count("QUIT") == 1, "after the last one; a server that waits for a text takes it for one"


def test_a_refused_recipient_of_a_chained_mail_is_its_refusal_alone():
    with scripted_server(ehlo=OFFERS, rcpt="550 5.1.1 no such user") as script:
        with gateway_to(script.port).session() as session:
            outcomes = send_in_turn(session, mails(3))
        assert [(each.permanent, each.hard_bounce) for each in outcomes] == [(True, True)] * 3
        assert script.connections == 3
        assert not any(script.bodies)


def test_a_cut_after_a_text_leaves_that_mail_unknown_and_the_next_is_sent():
    with scripted_server(ehlo=OFFERS, body=cut) as script:
        with gateway_to(script.port).session() as session:
            outcomes = send_in_turn(session, mails(2))
        assert [type(each) for each in outcomes] == [OutcomeUnknown] * 2
        assert numbers(script.bodies) == [0, 1]


def test_a_server_that_forgets_what_comes_with_a_text_gets_each_mail_once_and_no_more_commands_with_it():
    with server(forgets=True) as heard:
        gateway = gateway_to(heard.port, step_timeout=0.5, total_timeout=3)
        with gateway.session() as session:
            assert send_in_turn(session, mails(5)) == ["taken"] * 5
        assert not gateway.may_chain
    assert numbers(heard.texts) == [0, 1, 2, 3, 4]
    assert heard.connections == 2, "the one on which it was noticed, and one for all the others"


def test_it_is_tried_again_after_a_while(monkeypatch):
    monkeypatch.setattr(smtp, "CHAINING_RETRY", 0.0)
    with server(forgets=True) as heard:
        gateway = gateway_to(heard.port, step_timeout=0.5, total_timeout=3)
        with gateway.session() as session:
            assert send_in_turn(session, mails(3)) == ["taken"] * 3
        assert gateway.may_chain


def test_a_server_that_takes_so_many_mails_in_a_connection_gets_the_others_over_new_ones():
    with server(most=3) as heard:
        gateway = gateway_to(heard.port)
        with gateway.session() as session:
            assert send_in_turn(session, mails(9)) == ["taken"] * 9
        assert gateway.may_chain
    assert numbers(heard.texts) == list(range(9))
    assert heard.connections == 3


def test_a_mail_that_is_announced_and_not_sent_does_not_arrive():
    with server() as heard:
        with gateway_to(heard.port).session() as session:
            session.announce(mails(2)[1])
            session.send(mails(1)[0], None)
        assert heard.hung_up.wait(5)
    assert numbers(heard.texts) == [0]
    assert heard.left == b"", "not even QUIT, which would be its text"


def test_another_mail_than_the_announced_one_is_sent_as_itself():
    one, two, three = mails(3)
    with server() as heard, gateway_to(heard.port).session() as session:
        session.announce(two)
        session.send(one, None)
        session.send(three, None)
    assert numbers(heard.texts) == [0, 2]
    assert heard.connections == 2


def test_a_chained_mail_whose_time_is_over_does_not_leave():
    one, two = mails(2)
    late = outgoing(recipient=two.recipient, text=two.text, send_before=datetime.now(UTC) + timedelta(seconds=0.2))
    with server() as heard:
        with gateway_to(heard.port).session() as session:
            session.announce(late)
            session.send(one, None)
            time.sleep(0.3)
            with pytest.raises(GatewayError):
                session.send(late, None)
            session.send(outgoing(text="Hola 7."), None)
        assert heard.hung_up.wait(5)
    assert numbers(heard.texts) == [0, 7]


def test_a_mail_that_cannot_be_written_for_the_server_is_refused_in_its_own_turn():
    with scripted_server(ehlo=OFFERS.replace("250-SMTPUTF8\r\n", "")) as script:
        messages = mails(3)
        messages[1] = outgoing(recipient="josé@dominio.com")
        with gateway_to(script.port).session() as session:
            outcomes = send_in_turn(session, messages)
        assert (outcomes[0], outcomes[1].unsupported, outcomes[2]) == ("taken", True, "taken")
