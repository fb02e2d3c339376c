"""The client's name in a campaign's mail: escaped, without header injection, and as fast as a text without it."""

from email import message_from_bytes, policy

import pytest
from django.utils import timezone

from clients.email_subscriptions import unsubscribe_token
from conftest import NOW
from messaging.campaigns import placeholders, rendering
from messaging.gateways import mail, mail_template
from messaging.models import Message
from messaging.tests.campaign_steps import campaign, launch, send_all, subscriber
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return PartnerFactory(name="Uno")


FILLED = {
    "Hola {{nombre}}": ("Hola Ana", "Hola "),
    "Hola {{nombre|cliente}}": ("Hola Ana", "Hola cliente"),
    "Hola {{ NOMBRE | vecino de Lima }}.": ("Hola Ana.", "Hola vecino de Lima."),
    "{{nombre}} y {{nombre|x}}": ("Ana y Ana", " y x"),
    "{{nombre|}}": ("Ana", ""),
    "{{otro}} {nombre} {{nombre|a|b}}": ("{{otro}} {nombre} Ana", "{{otro}} {nombre} a|b"),
    "nada": ("nada", "nada"),
}


@pytest.mark.parametrize("text", FILLED)
def test_a_placeholder_is_the_name_or_its_fallback(text):
    assert (placeholders.fill(text, "Ana"), placeholders.fill(text, "")) == FILLED[text]


def test_unknown_placeholders_are_told_once():
    assert placeholders.unknown_in("{{apellido}} {{nombre}}", "{{ dni | x }} {{apellido}}") == ["apellido", "dni"]


def test_each_client_gets_their_own_name(partner, smtp):
    names = {"ana": "Ana Díaz", "luz": "Luz O'Brien", "eva": "", "bob": "Bob <b>&"}
    for who, name in names.items():
        subscriber(partner, f"{who}@dominio.com", name=name)
    launch(
        campaign(subject="Hola {{nombre|amigo}}", text="Señor {{nombre|cliente}}:", html="<p>Hola {{nombre|cliente}}")
    )
    send_all()
    got = {}
    for envelope in smtp.mails:
        email = message_from_bytes(envelope.content, policy=policy.default)
        plain, page = (email.get_body((kind,)).get_content() for kind in ("plain", "html"))
        got[email["To"].partition("@")[0]] = (
            email["Subject"],
            plain.splitlines()[0],
            page.partition("<p>Hola ")[2].splitlines()[0],
        )
    assert got == {
        "ana": ("Hola Ana Díaz", "Señor Ana Díaz:", "Ana Díaz"),
        "luz": ("Hola Luz O'Brien", "Señor Luz O'Brien:", "Luz O&#x27;Brien"),
        "eva": ("Hola amigo", "Señor cliente:", "cliente"),
        "bob": ("Hola Bob <b>&", "Señor Bob <b>&:", "Bob &lt;b&gt;&amp;"),
    }


def test_a_name_injects_no_header(partner, smtp):
    subscriber(partner, "ana@dominio.com", name="Ana\r\nBcc: x@y.com")
    launch(campaign(subject="Hola {{nombre}}"))
    send_all()
    email = message_from_bytes(smtp.mails[0].content, policy=policy.default)
    assert email["Subject"] == "Hola Ana Bcc: x@y.com"
    assert email["Bcc"] is None


@pytest.mark.parametrize("name", ["Ana", "Ñusta Ágreda", "O'Higgins del Río", "X" * 50, "é" * 50, "Æ", "a b c d e f"])
@pytest.mark.parametrize("page", ["", "<p>Hola {{nombre}}</p>", "<p>ñ</p>"])
@pytest.mark.parametrize(
    "subject", ["Novedades", "Hola {{nombre}}", "Él: {{nombre|x}} " + "largo " * 12 + "{{nombre}}"]
)
def test_a_mail_with_a_name_is_filled_in_as_it_would_be_composed(partner, monkeypatch, name, page, subject, caplog):
    monkeypatch.setattr(rendering, "_this_minute", lambda: NOW)
    made = campaign(subject=subject, text="Hola {{nombre|tú}}\nque tal", html=page)
    for nth in range(4):
        subscriber(partner, f"c{nth}@dominio.com", name=name)
    launch(made)
    messages = list(Message.objects.order_by("recipient"))
    names = rendering.names_for(messages)
    used = set()
    for message in messages:
        rendered = rendering.render(message, names[message.authorized_client_id])
        token = unsubscribe_token(message.authorized_client_id, everywhere=True)
        alone = rendering.render_alone(message, token, minute=timezone.now(), name=name)
        assert (rendered.subject, rendered.text, rendered.html) == (alone.subject, alone.text, alone.html)
        filled = rendered.template.fill_in(rendered, seven_bit=False)
        assert (filled is not None) == (rendered.template in used), "all but the first of a template"
        used.add(rendered.template)
        if filled is not None:
            composed = mail.compose(alone, None).message()
            parsed = message_from_bytes(filled)
            composed.replace_header("Date", parsed["Date"])
            if parsed.is_multipart():
                composed.set_boundary(parsed.get_boundary())
            assert filled == mail_template.as_bytes(composed)
        assert rendered.template.fill_in(rendered, seven_bit=True) is None
    assert not [each for each in caplog.records if "one by one" in each.getMessage()]


def test_a_line_that_has_no_room_for_a_name_is_composed(partner):
    launch_one = campaign(text="{{nombre}}" + "x" * 700)
    subscriber(partner, "ana@dominio.com", name="Ana")
    launch(launch_one)
    message = Message.objects.get()
    for _ in range(3):
        rendered = rendering.render(message, "Ana")
        assert rendered.template.fill_in(rendered, seven_bit=False) is None


def test_without_a_placeholder_nobody_s_name_is_read(partner, django_assert_num_queries):
    subscriber(partner, "ana@dominio.com", name="Ana")
    launch(campaign(text="Hola"))
    messages = list(Message.objects.all())
    rendering.names_for(messages)
    with django_assert_num_queries(0):
        assert rendering.names_for(messages) == {}


def test_a_link_says_whose_campaign_it_is_of(partner, smtp):
    subscriber(partner, "ana@dominio.com")
    one = campaign()
    launch(one)
    send_all()
    email = message_from_bytes(smtp.mails[0].content, policy=policy.default)
    assert email["List-Unsubscribe"].endswith(f"/?c={one.pk}>")
    assert email["X-Auto-Response-Suppress"] == "DR, RN, NRN, OOF, AutoReply"


def test_a_name_in_html_is_text():
    assert placeholders.fill_html("<p>{{nombre}}</p>", "Ana <b>&") == "<p>Ana &lt;b&gt;&amp;</p>"
