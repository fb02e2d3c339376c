"""Results of a dialogue with an SMTP server, and the outcome of each."""

import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.tests.smtp_servers import (
    CODE,
    SHORT,
    cut,
    endless_line,
    endless_reply,
    free_port,
    gateway_to,
    outgoing,
    real_server,
    refused,
    reply_then,
    scripted_server,
    silence,
    trickle,
)


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval Perú <no-responder@aval.pe>"


FOR_NOW = {
    "421 instead of a greeting": ({"greeting": "421 4.3.2 busy"}, "421 4.3.2 busy"),
    "554 instead of a greeting": ({"greeting": "554 5.7.1 your address is blocked"}, "554 5.7.1 your address"),
    "a greeting that is none": ({"greeting": "hola"}, "CONNECT"),
    "silence instead of a greeting": ({"greeting": silence}, "no respondió a tiempo (CONNECT)"),
    "a cut instead of a greeting": ({"greeting": cut}, "se cortó la conexión (CONNECT)"),
    "a greeting byte by byte": ({"greeting": trickle}, "no respondió a tiempo (CONNECT)"),
    "a greeting without an end": ({"greeting": endless_reply}, "(CONNECT)"),
    "550 to EHLO and HELO": ({"ehlo": "550 no", "helo": "550 5.7.1 not you"}, "550 5.7.1 not you"),
    "silence after EHLO": ({"ehlo": silence}, "(EHLO)"),
    "451 to MAIL": ({"mail": "451 4.3.0 later"}, "451 4.3.0 later"),
    "550 to MAIL": ({"mail": "550 5.7.60 not allowed to send as this"}, "550 5.7.60"),
    "530 to MAIL": ({"mail": "530 5.7.0 log in first"}, "530 5.7.0"),
    "421 to MAIL": ({"mail": "421 4.7.0 too many"}, "421"),
    "450 to RCPT": ({"rcpt": "450 4.2.0 greylisted"}, "450 4.2.0 greylisted"),
    "451 to RCPT": ({"rcpt": "451 4.3.0 later"}, "451 4.3.0 later"),
    "452 to RCPT": ({"rcpt": "452 4.2.2 full"}, "452 4.2.2 full"),
    "421 to RCPT": ({"rcpt": "421 4.3.2 going down"}, "421 4.3.2 going down"),
    "530 to RCPT": ({"rcpt": "530 5.7.0 log in first"}, "530 5.7.0"),
    "a cut at RCPT": ({"rcpt": cut}, "se cortó la conexión (RCPT)"),
    "silence at RCPT": ({"rcpt": silence}, "no respondió a tiempo (RCPT)"),
    "nonsense at RCPT": ({"rcpt": "¿qué?"}, "(RCPT)"),
    "451 to DATA": ({"data": "451 4.3.0 later"}, "451 4.3.0 later"),
    "250 to DATA": ({"data": "250 Ok"}, "(DATA)"),
    "a cut before 354": ({"data": cut}, "se cortó la conexión (DATA)"),
    "silence before 354": ({"data": silence}, "no respondió a tiempo (DATA)"),
    "a reply byte by byte before 354": ({"data": trickle}, "(DATA)"),
    "451 to the message": ({"body": "451 4.3.0 later"}, "451 4.3.0 later"),
    "452 to the message": ({"body": "452 4.3.1 no room"}, "452 4.3.1 no room"),
    "421 to the message": ({"body": "421 4.3.2 going down"}, "421 4.3.2 going down"),
    "554 to DATA": ({"data": "554 5.5.1 no valid recipients"}, "554 5.5.1"),
    "554 to the message": ({"body": "554 5.6.0 rejected"}, "554 5.6.0 rejected"),
    "an unclear refusal, then silence": ({"body": reply_then("554 5.6.0 rejected", silence)}, "554 5.6.0 rejected"),
}

FOR_GOOD = {
    "550 to RCPT": ({"rcpt": "550 5.1.1 no such user"}, "550 5.1.1 no such user"),
    "553 to RCPT": ({"rcpt": "553 5.1.3 bad address"}, "553 5.1.3 bad address"),
    "a refusal of several lines": ({"rcpt": "550-5.1.1 no such user\r\n550 5.1.1 ask elsewhere"}, "user 5.1.1 ask"),
    "552 to MAIL": ({"mail": "552 5.3.4 too big"}, "552 5.3.4 too big"),
    "552 to the message": ({"body": "552 5.3.4 too big"}, "552 5.3.4 too big"),
    "550 to the message": ({"body": "550 5.1.1 no such user"}, "550 5.1.1 no such user"),
    "a refusal, then silence": ({"body": reply_then("552 5.2.2 full", silence)}, "552 5.2.2 full"),
}

UNKNOWN = {
    "a cut after 354": ({"data": reply_then("354 go", cut)}, "(DATA)"),
    "silence after 354": ({"data": reply_then("354 go", silence)}, "no respondió a tiempo (DATA)"),
    "a cut after the message": ({"body": cut}, "se cortó la conexión (DATA)"),
    "silence after the message": ({"body": silence}, "no respondió a tiempo (DATA)"),
    "an answer byte by byte": ({"body": trickle}, "no respondió a tiempo (DATA)"),
    "an answer without an end of its line": ({"body": endless_line}, "(DATA)"),
    "an answer without an end": ({"body": endless_reply}, "(DATA)"),
    "nonsense after the message": ({"body": "¿qué?"}, "(DATA)"),
    "354 to the message": ({"body": "354 go on"}, "(DATA)"),
}

TAKEN = {
    "a cut at QUIT": {"quit": cut},
    "a refusal at QUIT": {"quit": "500 no"},
    "251 to RCPT": {"rcpt": "251 will forward"},
    "another 2xx to the message": {"body": "252 taken"},
    "a cut after the answer": {"body": reply_then("250 ok", cut)},
    "a server without EHLO": {"ehlo": "502 what?"},
}


HELLO = {"one by one": {}, "in one write": {"ehlo": "250-mx.example.com\r\n250 PIPELINING"}}
"""MAIL, RCPT and DATA one after the other, or together (RFC 2920): the outcome is the same."""

every_way = pytest.mark.parametrize("hello", HELLO.values(), ids=HELLO)


def patience(answers):
    slow = [act for act in answers.values() if callable(act) and act is not cut]
    return SHORT if slow else {}


def cases(table):
    return {"argvalues": [(answers, said) for answers, said in table.values()], "ids": list(table)}


@every_way
@pytest.mark.parametrize(("answers", "said"), **cases(FOR_NOW))
def test_refused_for_now(hello, answers, said):
    with scripted_server(**{**hello, **answers}) as script:
        refusal = refused(script, **patience(answers))
    assert not refusal.permanent
    assert said in refusal.reply


@every_way
@pytest.mark.parametrize(("answers", "said"), **cases(FOR_GOOD))
def test_refused_for_good(hello, answers, said):
    with scripted_server(**{**hello, **answers}) as script:
        refusal = refused(script, **patience(answers))
    assert refusal.permanent
    assert said in refusal.reply


@every_way
@pytest.mark.parametrize(("answers", "said"), **cases(UNKNOWN))
def test_perhaps_taken(hello, answers, said):
    with scripted_server(**{**hello, **answers}) as script, pytest.raises(OutcomeUnknown) as silence_:
        gateway_to(script.port, **patience(answers)).send(outgoing(), CODE)
    assert said in silence_.value.reply


@every_way
@pytest.mark.parametrize("answers", TAKEN.values(), ids=TAKEN)
def test_taken(hello, answers):
    with scripted_server(**{**hello, **answers}) as script:
        receipt = gateway_to(script.port).send(outgoing(), CODE)
    assert receipt.reply.startswith("25")


@pytest.mark.parametrize(
    ("said", "provider_id"),
    [
        ("250 2.0.0 Ok: queued as 4XyZ12abc", "4XyZ12abc"),
        ("250 OK id=1tAbCd-000000-1X", "1tAbCd-000000-1X"),
        ("250 Ok", "<0198c0de-0000-4000-8000-000000000001@aval.pe>"),
        ("250", "<0198c0de-0000-4000-8000-000000000001@aval.pe>"),
    ],
)
def test_the_mail_is_known_by_the_servers_name_for_it_or_by_ours(said, provider_id):
    with scripted_server(body=said) as script:
        receipt = gateway_to(script.port).send(outgoing(), CODE)
    assert receipt.provider_id == provider_id


def test_a_reply_is_kept_short_on_one_line_and_without_control_characters():
    with scripted_server(body="250-uno\x00\x1b[31m\r\n250 " + "dos " * 100) as script:
        receipt = gateway_to(script.port).send(outgoing(), CODE)
    assert receipt.reply.startswith("250 uno [31m dos dos")
    assert len(receipt.reply) == 300


@pytest.mark.parametrize("act", [silence, trickle])
@pytest.mark.parametrize("step", ["greeting", "ehlo", "rcpt", "body"])
def test_no_server_holds_a_thread_past_the_limit(step, act):
    with scripted_server(**{step: act}) as script:
        started = time.monotonic()
        with pytest.raises((GatewayError, OutcomeUnknown)):
            gateway_to(script.port, step_timeout=0.2, total_timeout=0.4).send(outgoing(), CODE)
        assert time.monotonic() - started < 0.4 + 0.2


def test_a_farewell_that_gets_no_answer_costs_a_second_at_most():
    with scripted_server(quit=silence) as script:
        started = time.monotonic()
        gateway_to(script.port).send(outgoing(), CODE)
        assert time.monotonic() - started < 3


def test_a_server_that_never_stops_talking_is_left_long_before_the_limit():
    with scripted_server(ehlo=endless_reply) as script:
        started = time.monotonic()
        assert not refused(script).permanent
        assert time.monotonic() - started < 3


def test_a_server_that_is_slow_at_every_step_meets_the_total():
    def slowly(reply):
        def act(connection):
            time.sleep(0.15)
            connection.sendall(reply.encode() + b"\r\n")

        return act

    # each answer comes within its step; only together they are too long
    with scripted_server(greeting=reply_then("220-wait", slowly("220 mx")), ehlo=silence) as script:
        started = time.monotonic()
        refusal = refused(script, step_timeout=0.2, total_timeout=0.3)
        assert time.monotonic() - started < 0.3 + 0.2
    assert not refusal.permanent


def test_a_refused_connection_is_for_now():
    with pytest.raises(GatewayError, match="rechaza la conexión") as refusal:
        gateway_to(free_port()).send(outgoing(), CODE)
    assert not refusal.value.permanent


def test_an_unknown_host_is_a_temporary_error(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(GatewayError, match="no se encuentra el servidor") as refusal:
        gateway_to(25, host="mail.example.com").send(outgoing(), CODE)
    assert not refusal.value.permanent


def test_a_dead_address_of_the_host_does_not_hide_the_next_one(monkeypatch):
    with real_server() as mailbox:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (free_port(), mailbox.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        gateway_to(25, host="mail.example.com").send(outgoing(), CODE)
        assert len(mailbox.mails) == 1


def test_a_code_that_expires_during_the_dialogue_is_not_handed_over():
    with scripted_server() as script:
        refusal = refused(script, outgoing(send_before=datetime.now(UTC) - timedelta(seconds=1)))
        assert "DATA" not in script.verbs()
    assert not refusal.permanent
    with scripted_server() as script:
        gateway_to(script.port).send(outgoing(send_before=datetime.now(UTC) + timedelta(minutes=1)), CODE)
