"""Mails filled in from a template: the same bytes as those composed one by one, whatever their texts."""

import logging
import random
import re
import smtplib
from dataclasses import fields
from email import message_from_bytes, policy
from uuid import UUID

import pytest
from django.utils import timezone

from clients.email_subscriptions import unsubscribe_token
from messaging.campaigns import rendering
from messaging.gateways import mail, mail_template
from messaging.gateways.base import MASK, Outgoing
from messaging.gateways.mail_template import MailTemplate, new_placeholder
from messaging.models import Message
from messaging.tests.campaign_steps import campaign, launch, subscriber
from messaging.tests.smtp_servers import gateway_to, outgoing, scripted_server
from tests.factories import PartnerFactory

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LINE_ENDS = ["\n", "\r\n", "\r", "\n\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
SNIPPETS = [
    *LINE_ENDS,
    *(
        " ",
        "  ",
        "\t",
        "=",
        "=\r\n",
        "=3D",
        "=?utf-8?q?a?=",
        ".",
        "\n.",
        "\n..\n",
        "\nFrom ",
        "\nDate: hoy\n",
        "--",
        "%s",
    ),
    *(
        "ñ",
        "á",
        "¿",
        "€",
        "😀",
        "e\u0301",
        "\u200b",
        "\xa0",
        "<p>",
        "</body>",
        "</html>",
        "&amp;",
        "{{ url }}",
        "%(to)b",
    ),
    *(
        "====",
        "==",
        "a" * 75,
        "b " * 40,
        "ñ" * 40,
        "x" * 990,
        "y" * 1100,
        "palabra " * 130,
        "Content-Type: text/plain\n",
    ),
    *(MASK, "null\x00", "\\", '"', "'", ";", ",", "123", "palabra"),
]
ATEXT = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+/=?^_`{|}~-"
BRANDS = ["Aval <no-responder@aval.pe>", "Señal Perú <avisos@correo.aval.pe>", f"{'Largo ' * 15}<a@aval.pe>", "a@b.pe"]


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = BRANDS[0]


@pytest.fixture(autouse=True)
def none_is_composed(caplog):
    """No template falls back to composing, unless a test expects it."""
    with caplog.at_level(logging.WARNING, logger=mail_template.__name__):
        yield caplog
    assert not caplog.records


def text_of(chance: random.Random, most: int) -> str:
    return "".join(
        chance.choice(SNIPPETS) if chance.random() < 0.6 else "".join(chance.choices(LETTERS, k=chance.randint(1, 60)))
        for _ in range(chance.randint(0, most))
    )


def line_of(chance: random.Random, most: int) -> str:
    """A text without the characters that `mail.check` refuses in a subject."""
    return re.sub("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]", "", text_of(chance, most))


def recipient_of(chance: random.Random) -> str:
    local = "".join(chance.choices(ATEXT, k=chance.randint(1, chance.choice([10, 64]))))
    domain = "".join(chance.choices(LETTERS[:26], k=chance.randint(1, chance.choice([10, 60]))))
    return f"{local}@{chance.choice(['', 'ñandú.', 'mail.'])}{domain}.pe"


def token_of(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(LETTERS + "._-", k=length))


def uuid_of(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


def as_composed(message: Outgoing, like: bytes, *, seven_bit: bool) -> bytes:
    """The mail as composed by itself, with the date and the boundary of another text of it."""
    written = mail_template.as_bytes(mail.compose(message, None, seven_bit=seven_bit).message())
    return with_date_and_boundary_of(like, written)


def with_date_and_boundary_of(like: bytes, written: bytes) -> bytes:
    assert len(date_of(like)) == len(date_of(written))
    written = written.replace(date_of(written), date_of(like), 1)
    mine, others = boundary_of(written), boundary_of(like)
    assert len(mine) == len(others)
    return written.replace(mine, others) if mine else written


def date_of(written: bytes) -> bytes:
    found = re.search(rb"^Date: (.*)\r$", written, re.MULTILINE)
    assert found
    return found[0]


def boundary_of(written: bytes) -> bytes:
    found = re.search(
        rb'^Content-Type: multipart/alternative;\r\n boundary="(={15}\d{19}==)"\r$', written, re.MULTILINE
    )
    return found[1] if found else b""


@pytest.mark.parametrize("seed", range(150))
def test_any_text_is_filled_in_as_it_is_composed(settings, seed):
    chance = random.Random(seed)
    settings.DEFAULT_FROM_EMAIL = chance.choice(BRANDS)
    subject, length = line_of(chance, 6), chance.randint(44, 60)
    around = [text_of(chance, 12) for _ in range(6)]
    has_html = chance.random() < 0.8
    site = "https://" + "a" * chance.choice([1, 10, 20, 60]) + ".pe"

    def written_for(recipient: str, token: str, message_id: UUID) -> Outgoing:
        url = f"{site}/suscripcion/baja/{token}/"
        return outgoing(
            id=message_id,
            kind="boletin",
            recipient=recipient,
            subject=subject,
            text=around[0] + url + around[1] + chance_of_two * url + around[2],
            html=around[3] + url + around[4] + chance_of_two * url + around[5] if has_html else "",
            headers=(("List-Unsubscribe", f"<{url}>"), ("Precedence", "bulk")),
        )

    chance_of_two = chance.randint(0, 1)
    placeholder = new_placeholder(length)
    template = in_use(MailTemplate(written_for("", placeholder, uuid_of(chance)), placeholder))
    for seven_bit in (False, True):
        for _ in range(4):
            recipient, token, message_id = recipient_of(chance), token_of(chance, length), uuid_of(chance)
            message = template.mail_to(recipient, token, id=message_id, send_before=None)
            alone = written_for(recipient, token, message_id)
            assert [getattr(message, field.name) for field in fields(Outgoing)] == [
                getattr(alone, field.name) for field in fields(Outgoing)
            ]
            filled = template.fill_in(message, seven_bit=seven_bit)
            assert (filled is None) == (len(mail.recipient(alone)) > 70), "only a long recipient is not filled in"
            sent = mail_template.write(message, None, seven_bit=seven_bit)
            assert sent == as_composed(alone, sent, seven_bit=seven_bit)
            assert smtplib.quoteaddr(mail.recipient(alone)) == f"<{mail.recipient(alone)}>"


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(25))
def test_a_campaign_is_rendered_from_its_template_as_each_mail_by_itself(settings, seed):
    chance = random.Random(seed)
    settings.PUBLIC_URL = "https://aval.pe"
    settings.BRAND = chance.choice(["Aval", "Señal & Cía <b>", "Largo " * 30])
    name = "".join(chance.choice(["<", "&", "ñ", " ", "Banco", "'", "=", "palabra " * 12]) for _ in range(5))[
        :100
    ].strip()
    partner = PartnerFactory(name=name or "Uno", slug="uno")
    page = text_of(chance, 10).replace("\x00", "") + chance.choice(["", "</body>", "</body></html>\n", "\n"])
    made = campaign(
        text=text_of(chance, 10).replace("\x00", ""),
        html=chance.choice(["", page]),
        subject=line_of(chance, 3)[:100] or "Novedades",
        is_advertising=chance.random() < 0.5,
    )
    if chance.random() < 0.5:
        made.partners.add(partner)
    clients = [subscriber(partner, f"c{each}@dominio.com") for each in range(12)]
    launch(made)
    for message in Message.objects.all():
        minute = timezone.now()
        token = unsubscribe_token(message.authorized_client_id or 0, everywhere=made.partners.count() != 1)
        alone = rendering.render_alone(message, token, minute=minute)
        rendered = rendering.render(message)
        assert [getattr(rendered, field.name) for field in fields(Outgoing)] == [
            getattr(alone, field.name) for field in fields(Outgoing)
        ]
        for seven_bit in (False, True):
            assert isinstance(rendered, mail_template.TemplatedMail)
            in_use(rendered.template)
            filled = rendered.template.fill_in(rendered, seven_bit=seven_bit)
            assert filled == as_composed(alone, filled or b"", seven_bit=seven_bit)
    assert len(clients) == 12


def a_template(**changes) -> MailTemplate:
    placeholder = new_placeholder(44)
    values = {"text": f"Hola: https://aval.pe/{placeholder}/", "html": f"<p>ñ {placeholder}</p>", **changes}
    return in_use(MailTemplate(outgoing(**values), placeholder))


def in_use(template: MailTemplate) -> MailTemplate:
    """The template after its first mail, which is composed."""
    for seven_bit in (False, True):
        token = "a" * len(template._placeholder)
        template.fill_in(
            template.mail_to("ana@dominio.com", token, id=UUID(int=0), send_before=None), seven_bit=seven_bit
        )
    return template


def mail_to(template: MailTemplate, recipient: str = "ana@dominio.com") -> mail_template.TemplatedMail:
    chance = random.Random(7)
    return template.mail_to(recipient, token_of(chance, 44), id=uuid_of(chance), send_before=None)


def test_the_first_mail_of_a_template_is_composed_for_it_may_be_the_only_one():
    placeholder = new_placeholder(44)
    template = MailTemplate(outgoing(text=placeholder), placeholder)
    for seven_bit in (False, True):
        assert template.fill_in(mail_to(template), seven_bit=seven_bit) is None
        assert template.fill_in(mail_to(template), seven_bit=seven_bit) is not None


def test_a_token_is_found_across_the_soft_breaks_of_quoted_printable():
    for before in range(90):
        placeholder = new_placeholder(44)
        template = in_use(MailTemplate(outgoing(text="ñ" + "a" * before + placeholder + "b" * 1000), placeholder))
        message = mail_to(template)
        filled = template.fill_in(message, seven_bit=False)
        assert filled is not None
        assert b"quoted-printable" in filled
        assert filled == as_composed(message, filled, seven_bit=False)


@pytest.mark.parametrize("recipient", ["josé@dominio.com", "a" * 64 + "@dominio.com"])
def test_a_recipient_outside_ascii_or_with_a_long_header_is_composed(recipient):
    template = a_template()
    assert template.fill_in(mail_to(template, recipient), seven_bit=False) is None


def test_the_longest_recipient_that_is_filled_in_has_one_line():
    template = a_template()
    for length in range(60, 72):
        message = mail_to(template, "a" * (length - len("@dominio.com")) + "@dominio.com")
        filled = template.fill_in(message, seven_bit=False)
        assert (filled is not None) == (length <= 70)
        assert filled is None or filled == as_composed(message, filled, seven_bit=False)


def test_where_a_mail_that_is_filled_in_differs_all_are_composed(monkeypatch, none_is_composed):
    fill_in = mail_template._Text.fill_in
    monkeypatch.setattr(mail_template._Text, "fill_in", lambda *args: fill_in(*args) + b"x")
    template = a_template()
    for _ in range(2):
        message = mail_to(template)
        sent = mail_template.write(message, None, seven_bit=False)
        assert sent == as_composed(message, sent, seven_bit=False)
    assert len(none_is_composed.records) == 1
    none_is_composed.clear()


@pytest.mark.parametrize("token", ["a" * 43, "a" * 45, "a" * 43 + "=", "a" * 43 + "&", "a" * 43 + "ñ", "a" * 43 + "\n"])
def test_a_token_of_another_length_or_alphabet_needs_another_template(token):
    with pytest.raises(ValueError, match="another template"):
        a_template().mail_to("ana@dominio.com", token, id=UUID(int=0), send_before=None)


def test_an_address_of_ours_that_was_changed_takes_effect_at_once(settings):
    template = a_template()
    for ours in BRANDS:
        settings.DEFAULT_FROM_EMAIL = ours
        in_use(template)
        message = mail_to(template)
        filled = template.fill_in(message, seven_bit=False)
        assert filled is not None
        assert filled == as_composed(message, filled, seven_bit=False)


def test_a_mail_says_when_it_was_written(monkeypatch):
    template = a_template()
    monkeypatch.setattr(mail_template, "formatdate", lambda **_: "Sat, 28 Nov 2026 10:00:00 -0000")
    assert b"\r\nDate: Sat, 28 Nov 2026 10:00:00 -0000\r\n" in (
        template.fill_in(mail_to(template), seven_bit=False) or b""
    )
    monkeypatch.setattr(mail_template, "formatdate", lambda **_: "Sat, 28 Nov 2026 10:00:01 -0000")
    assert b"\r\nDate: Sat, 28 Nov 2026 10:00:01 -0000\r\n" in (
        template.fill_in(mail_to(template), seven_bit=False) or b""
    )


@pytest.mark.parametrize("hello", ["250 mx", "250-mx\r\n250 8BITMIME", "250-mx\r\n250-PIPELINING\r\n250 8BITMIME"])
def test_it_is_the_filled_in_text_that_is_sent(hello):
    with scripted_server(ehlo=hello) as script:
        template = a_template()
        message = mail_to(template)
        gateway_to(script.port).send(message, None)
        (sent,) = script.bodies
    assert sent.isascii() == ("8BITMIME" not in hello)
    parsed = message_from_bytes(sent, policy=policy.default)
    assert message.token in parsed.get_body(("plain",)).get_content()
    assert boundary_of(sent) == boundary_of(template.fill_in(message, seven_bit=sent.isascii()) or b"")
