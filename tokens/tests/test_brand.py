"""A client reads the brand of the company that asked, in its codes and as the sender of its mails."""

from email.utils import getaddresses

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from clients.models import Partner
from conftest import NOW, make_applicant
from messaging.campaigns import rendering
from messaging.delivery.send import to_outgoing
from messaging.gateways import mail
from messaging.gateways.base import MASK, Unsendable
from messaging.gsm import encode
from messaging.models import Message
from messaging.tests.campaign_steps import subscriber
from testkit.codes import request_code
from tests.factories import CampaignFactory, MessageFactory, PartnerFactory
from tokens import services, texts

pytestmark = pytest.mark.django_db

BRAND = "Banco Andino"


@pytest.fixture
def partner():
    return PartnerFactory(name="Banco Andino del Sur S. A.", brand=BRAND)


def message_of_a_code(partner, via, number="12345678"):
    applicant = make_applicant(number, partner=partner)
    phone = "" if via == "C" else "987654321"
    origin = services.Origin(partner)
    code = request_code(applicant.pk, via=via, phone=phone, operator="CLARO", origin=origin, at=NOW)
    return Message.objects.get(reference=code.pk)


@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_a_code_names_the_company_that_asked(partner, via):
    message = message_of_a_code(partner, via)
    assert BRAND in message.text
    assert "Aval" not in message.text + message.subject + message.html
    if via == "C":
        assert message.subject.startswith(f"{BRAND}:")
        assert BRAND in message.html


@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_without_a_brand_it_names_the_installation(via):
    assert "Aval" in message_of_a_code(PartnerFactory(brand=""), via).text
    assert "Aval" in texts.compose(via).text


@pytest.mark.parametrize("brand", ["Crédito Perú Ñandú", "€" * 20, "ÁÉÍÓÚ áéíóú ÑñÜü¿¡", "银行银行", "M" * 20])
def test_by_sms_it_is_one_segment_whatever_the_brand(settings, brand):
    settings.WEBOTP_DOMAIN = "verificacion.ejemplo.com.pe"
    text = texts.compose("S", PartnerFactory(brand=brand)).text.replace(MASK, "A1B2")
    assert len(encode(text)) <= 160


def test_a_mail_with_a_code_is_sent_in_the_name_of_the_company(partner, settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"
    written = mail.compose(to_outgoing(message_of_a_code(partner, "C")), "A1B2").message()
    assert written["From"] == f"{BRAND} <no-responder@aval.pe>"
    other = mail.compose(to_outgoing(message_of_a_code(PartnerFactory(brand=""), "C", "40000002")), "A1B2").message()
    assert other["From"] == settings.DEFAULT_FROM_EMAIL


@pytest.mark.parametrize("brand", ['Caja "Sur", S.A.', "Caja Ñuñoa", "Caja <a@b.pe>", "a@b.pe, Caja"])
def test_a_sender_s_name_is_a_name_and_never_an_address(partner, settings, brand):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"
    Partner.objects.filter(pk=partner.pk).update(brand=brand)
    partner.refresh_from_db()
    written = mail.compose(to_outgoing(message_of_a_code(partner, "C")), "A1B2").message()
    assert [address for _, address in getaddresses([written["From"]])] == ["no-responder@aval.pe"]


def test_a_line_break_in_a_sender_s_name_is_sent_nowhere(partner):
    Partner.objects.filter(pk=partner.pk).update(brand="Caja\r\nBcc: x@y.z")
    partner.refresh_from_db()
    with pytest.raises(Unsendable):
        mail.compose(to_outgoing(message_of_a_code(partner, "C")), "A1B2")


def test_a_bulletin_is_sent_in_the_name_of_the_company(partner, settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"
    client = subscriber(partner, "ana@dominio.com")
    message = MessageFactory(
        kind="boletin", via="C", partner=partner, campaign=CampaignFactory(text="Hola."), recipient=client.email
    )
    outgoing = rendering.render_alone(message, "token", minute=timezone.now())
    assert mail.compose(outgoing, None).message()["From"] == f"{BRAND} <no-responder@aval.pe>"


@pytest.mark.parametrize("brand", ["x" * 21, "Caja\x07Sur", "Caja •", "Caja\u202e", "..."])
def test_a_brand_that_cannot_stand_in_a_message_is_refused(brand):
    with pytest.raises(CommandError, match="brand"):
        call_command("create_partner", "Caja Sur", "--brand", brand)


def test_the_command_takes_a_brand(capsys):
    call_command("create_partner", "Caja Sur", "--brand", "  Caja   Sur ")
    assert Partner.objects.get(slug="caja-sur").brand == "Caja Sur"
