"""E-mail over SMTP: the mail that arrives, and mails that are never sent."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest

from messaging.gateways.base import MASK, GatewayError
from messaging.tests.smtp_servers import (
    CODE,
    SHORT,
    cut,
    gateway_to,
    make_authority,
    outgoing,
    password_check,
    real_server,
    refused,
    reply_then,
    scripted_server,
    silence,
)

HELLO_TLS = "250-mx\r\n250 STARTTLS"
HELLO_AUTH = "250-mx\r\n250 AUTH PLAIN LOGIN"


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval Perú <no-responder@aval.pe>"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("certificates"))


# --- what arrives ------------------------------------------------------------------------------------------


def test_a_mail_arrives_with_its_code_and_the_servers_name_for_it_is_kept():
    with real_server() as mailbox:
        receipt = gateway_to(mailbox.port).send(outgoing(), CODE)
        mail = mailbox.only()
    assert receipt.provider_id == "4XyZ12abc"
    assert receipt.reply == "250 2.0.0 Ok: queued as 4XyZ12abc"
    assert mailbox.mails[0].mail_from == "no-responder@aval.pe"
    assert mailbox.mails[0].rcpt_tos == ["ana@dominio.com"]
    assert mail.get_content().replace("\r\n", "\n").strip() == "Su código es A1B2.\n.\nNo lo comparta, señor Ñahui."
    assert mail.get_content_type() == "text/plain"
    assert mail["Subject"] == "Su código de verificación"
    assert mail["From"] == "Aval Perú <no-responder@aval.pe>"
    assert mail["To"] == "ana@dominio.com"
    assert mail["Message-ID"] == "<0198c0de-0000-4000-8000-000000000001@aval.pe>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "DR, RN, NRN, OOF, AutoReply", "not NDR: bounces must come back"
    assert abs(parsedate_to_datetime(mail["Date"]).replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)


def test_html_goes_beside_the_plain_text():
    with real_server() as mailbox:
        gateway_to(mailbox.port).send(outgoing(html=f"<p>Su código es <b>{MASK}</b></p>"), CODE)
        mail = mailbox.only()
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert html.get_content().strip() == "<p>Su código es <b>A1B2</b></p>"
    assert MASK.encode() not in mailbox.mails[0].content


def test_a_mail_without_a_code_goes_as_it_is_with_its_further_headers():
    unsubscribe = ("List-Unsubscribe", "<https://aval.pe/baja/abc>")
    with real_server() as mailbox:
        gateway_to(mailbox.port).send(outgoing(text="Boletín", headers=(unsubscribe,)), None)
        mail = mailbox.only()
    assert mail.get_content().strip() == "Boletín"
    assert mail["List-Unsubscribe"] == unsubscribe[1]


def test_each_mail_has_a_connection_of_its_own():
    with real_server() as mailbox:
        gateway = gateway_to(mailbox.port)
        gateway.send(outgoing(), CODE)
        gateway.send(outgoing(), CODE)
    assert len(set(mailbox.peers)) == 2


def test_threads_share_a_gateway_and_their_codes_do_not_meet():
    with real_server() as mailbox, ThreadPoolExecutor(8) as pool:
        gateway = gateway_to(mailbox.port)
        sent = [(f"c{number}@dominio.com", f"{number:04d}") for number in range(24)]
        list(pool.map(lambda each: gateway.send(outgoing(recipient=each[0]), each[1]), sent))
    for address, code in sent:
        (mail,) = [mail for mail in mailbox.mails if mail.rcpt_tos == [address]]
        assert f" {code}.".encode() in mail.content


def test_starttls_is_used_and_its_certificate_checked(authority):
    with real_server(tls_context=authority.server_context("127.0.0.1"), require_starttls=True) as mailbox:
        gateway_to(mailbox.port, "smtp+tls", query=f"?ca={authority.file}").send(outgoing(), CODE)
        assert len(mailbox.mails) == 1  # the server takes nothing in clear


@pytest.mark.parametrize("scheme", ["smtps", "smtp+ssl"])
def test_tls_from_the_first_byte(authority, scheme):
    with real_server(ssl_context=authority.server_context("127.0.0.1")) as mailbox:
        gateway_to(mailbox.port, scheme, query=f"?ca={authority.file}").send(outgoing(), CODE)
        assert len(mailbox.mails) == 1


in_clear_on_purpose = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@in_clear_on_purpose  # aiosmtpd does not count TLS from the first byte
@pytest.mark.parametrize(("scheme", "at_once"), [("smtp+tls", False), ("smtps", True)])
def test_login_over_tls(authority, scheme, at_once):
    context = authority.server_context("127.0.0.1")
    tls = {"ssl_context": context} if at_once else {"tls_context": context, "require_starttls": True}
    check = password_check("aval@relay.pe", "s3creta/1")
    with real_server(authenticator=check, auth_required=True, auth_require_tls=not at_once, **tls) as mailbox:
        login = "aval%40relay.pe:s3creta%2F1@"
        gateway_to(mailbox.port, scheme, login=login, query=f"?ca={authority.file}").send(outgoing(), CODE)
        assert len(mailbox.mails) == 1


@in_clear_on_purpose
def test_login_in_clear_where_the_url_says_so():
    check = password_check("aval", "s3creta")
    with real_server(authenticator=check, auth_required=True, auth_require_tls=False) as mailbox:
        gateway_to(mailbox.port, login="aval:s3creta@").send(outgoing(), CODE)
        assert len(mailbox.mails) == 1


def test_an_idn_domain_goes_out_in_ascii_by_the_rules_of_2008():
    with real_server() as mailbox:
        gateway = gateway_to(mailbox.port)
        gateway.send(outgoing(recipient="ana@ñandú.pe"), CODE)
        gateway.send(outgoing(recipient="ana@straße.de"), CODE)
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ana@xn--and-6ma2c.pe"], ["ana@xn--strae-oqa.de"]]
    assert b"\r\nTo: ana@xn--and-6ma2c.pe\r\n" in mailbox.mails[0].content


def test_an_accent_before_the_at_sign_needs_smtputf8_and_gets_it():
    with real_server(enable_SMTPUTF8=True) as mailbox:
        gateway_to(mailbox.port).send(outgoing(recipient="josé@ñandú.pe"), CODE)
    assert mailbox.mails[0].rcpt_tos == ["josé@xn--and-6ma2c.pe"]
    assert mailbox.mails[0].smtp_utf8
    assert "\r\nTo: josé@xn--and-6ma2c.pe\r\n".encode() in mailbox.mails[0].content


@pytest.mark.parametrize("offer", ["250 mx", "250-mx\r\n250 8BITMIME", "250-mx\r\n250 SMTPUTF8"])
def test_without_smtputf8_it_is_refused_for_good_and_not_sent_to_another_mailbox(offer):
    with scripted_server(ehlo=offer) as script:
        refusal = refused(script, outgoing(recipient="josé@dominio.com"))
        assert "RCPT" not in script.verbs()
    assert refusal.permanent
    assert "SMTPUTF8" in refusal.reply


def test_a_server_that_takes_seven_bits_gets_seven_bits():
    text, html = f"Código: {MASK}. Ñandú " + "largo " * 300, f"<p>{MASK} ñ</p>"
    with scripted_server() as script:
        gateway_to(script.port).send(outgoing(text=text, html=html), CODE)
        (body,) = script.bodies
        assert "mail from:<no-responder@aval.pe>" in script.commands
    assert body.isascii()
    assert max(map(len, body.split(b"\r\n"))) <= 998
    plain, beside = message_from_bytes(body, policy=policy.default).iter_parts()
    assert plain.get_content().strip() == text.replace(MASK, CODE).strip()
    assert beside.get_content().strip() == "<p>A1B2 ñ</p>"


def test_a_server_that_takes_eight_bits_is_told_of_them():
    with scripted_server(ehlo="250-mx\r\n250-SIZE 100000\r\n250 8BITMIME") as script:
        gateway_to(script.port).send(outgoing(), CODE)
        (said,) = [line for line in script.commands if line.startswith("mail")]
        assert said.upper().endswith("BODY=8BITMIME")
        assert "código es A1B2".encode() in script.bodies[0]


# --- never in clear, never to a stranger -------------------------------------------------------------------


def test_where_starttls_is_demanded_and_not_offered_nothing_is_said():
    with scripted_server(ehlo=HELLO_AUTH) as script:
        refusal = refused(script, scheme="smtp+tls", login="aval:s3creta@")
        assert script.verbs() == ["EHLO", "QUIT"]
    assert not refusal.permanent
    assert refusal.reply == "el servidor no ofrece STARTTLS (STARTTLS)"


@pytest.mark.parametrize(
    "answer",
    ["454 4.7.0 TLS not available", "220 go", reply_then("220 go", cut), reply_then("220 go", silence)],
    ids=["454", "plain text goes on", "cut", "silence"],
)
def test_a_starttls_that_fails_is_for_now(answer):
    with scripted_server(ehlo=HELLO_TLS, starttls=answer) as script:
        refusal = refused(script, scheme="smtp+tls", login="aval:s3creta@", **SHORT)
        assert "s3creta" not in str(script.commands)
    assert not refusal.permanent


@pytest.mark.parametrize("scheme", ["smtp+tls", "smtps"])
@pytest.mark.parametrize(("name", "known"), [("127.0.0.1", False), ("otro.example.com", True)])
def test_a_certificate_of_a_stranger_or_for_another_name_is_refused(authority, scheme, name, known):
    context = authority.server_context(name)
    options = {"ssl_context": context} if scheme == "smtps" else {"tls_context": context}
    query = f"?ca={authority.file}" if known else ""
    with real_server(**options) as mailbox:
        with pytest.raises(GatewayError, match="certificado del servidor no válido") as refusal:
            gateway_to(mailbox.port, scheme, query=query).send(outgoing(), CODE)
        assert mailbox.mails == []
    assert not refusal.value.permanent


def test_tls_with_a_server_that_speaks_in_clear_is_for_now():
    with scripted_server() as script:
        refusal = refused(script, scheme="smtps", **SHORT)
    assert not refusal.permanent
    assert script.bodies == []


# --- secrets -----------------------------------------------------------------------------------------------

PASSWORD = "s3creta"


def all_texts_of(error):
    """An error with its causes and contexts, as a log would show it."""
    told = []
    while error is not None:
        told += [str(error), repr(error), repr(error.args), str(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(told)


@pytest.mark.parametrize(
    "answer",
    [
        "535 5.7.8 wrong",
        "534 5.7.9 use an application password",
        "538 5.7.11 not in clear",
        "454 4.7.0 later",
        "535 5.7.8 who is aval with s3creta?",
        "535 5.7.8 AGF2YWwAczNjcmV0YQ== is nobody",  # base64 of both, as AUTH PLAIN says them
        "334 s3creta?",
        cut,
        silence,
    ],
)
def test_a_failed_login_is_temporary_and_shows_no_password(answer):
    with scripted_server(ehlo="250-mx\r\n250 AUTH PLAIN", auth=answer) as script:
        refusal = refused(script, login=f"aval:{PASSWORD}@", **SHORT)
        assert "MAIL" not in script.verbs()
    assert not refusal.permanent
    assert PASSWORD not in all_texts_of(refusal)
    assert "AGF2YWwAczNjcmV0YQ==" not in all_texts_of(refusal)


@pytest.mark.parametrize("hello", ["250 mx", "250-mx\r\n250 AUTH GSSAPI"])
def test_a_login_that_cannot_be_tried_is_for_now(hello):
    with scripted_server(ehlo=hello) as script:
        refusal = refused(script, login=f"aval:{PASSWORD}@")
    assert not refusal.permanent
    assert "(AUTH)" in refusal.reply


@pytest.mark.parametrize(
    "verdict", ["554 5.7.1 spam: «Su código es A1B2.»", "451 a1b2", "250 took A1B2, queued as A1B2C3"]
)
def test_a_server_that_repeats_the_code_does_not_get_it_into_our_records(verdict):
    with scripted_server(body=verdict) as script:
        try:
            reply = gateway_to(script.port).send(outgoing(), CODE).reply
        except GatewayError as refusal:
            reply = all_texts_of(refusal)
    assert MASK in reply
    assert "A1B2." not in reply
    assert "a1b2" not in reply
    assert "A1B2," not in reply
    assert ("A1B2C3" in reply) == ("A1B2C3" in verdict)  # a queue id that begins the same is another word


def test_a_queue_id_that_is_the_code_itself_is_not_kept():
    with scripted_server(body="250 queued as A1B2") as script:
        receipt = gateway_to(script.port).send(outgoing(), CODE)
    assert CODE not in receipt.reply + receipt.provider_id


def test_no_error_carries_the_code_or_the_text():
    with scripted_server(rcpt="550 no") as script:
        told = all_texts_of(refused(script))
    assert CODE not in told
    assert "comparta" not in told


# --- headers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hola\r\nBcc: todos@dominio.com"},
        {"subject": "Hola\nBcc: todos@dominio.com"},
        {"subject": "Hola\rBcc: todos@dominio.com"},
        {"subject": "Hola\x0bBcc: todos@dominio.com"},
        {"subject": "Hola\u2028Bcc: todos@dominio.com"},
        {"subject": "Hola\x00"},
        {"headers": (("List-Unsubscribe", "<x>\r\nBcc: todos@dominio.com"),)},
        {"recipient": "ana@dominio.com\r\nRCPT TO:<otro@dominio.com>"},
        {"recipient": "ana@dominio.com> NOTIFY=NEVER"},
        {"recipient": "ana@dominio.com,otro@dominio.com"},
        {"recipient": "Ana <ana@dominio.com>"},
        {"recipient": "ana"},
        {"recipient": ""},
    ],
)
def test_what_would_be_a_second_header_or_command_is_refused_for_good_without_a_call(changes):
    with scripted_server() as script:
        refusal = refused(script, outgoing(**changes))
        assert script.connections == 0
    assert refusal.permanent


@pytest.mark.parametrize("subject", ["", "a" * 200, "ñ" * 200, "Alerta: 50 % de descuento\ten «todo» 😀"])
def test_any_other_subject_arrives(subject):
    with real_server() as mailbox:
        gateway_to(mailbox.port).send(outgoing(subject=subject), CODE)
        assert mailbox.only()["Subject"].strip() == subject  # a long one begins on a folded line


@pytest.mark.parametrize("ours", ["", "Aval", "Aval <>", "Aval <a@\u200bé.pe>"])
def test_an_address_of_ours_that_is_none_is_ours_to_repair(settings, ours):
    settings.DEFAULT_FROM_EMAIL = ours
    with scripted_server() as script:
        refusal = refused(script)
    assert not refusal.permanent
    assert "DEFAULT_FROM_EMAIL" in refusal.reply
