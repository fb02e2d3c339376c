"""Texts of codes: an SMS fits one GSM-7 segment, and no text loses or shows its code."""

import pytest
from django.core.checks import run_checks

from messaging.gateways.base import MASK
from messaging.smpp.encoding import encoded
from tokens import texts
from tokens.checks import check_sms_alphabet

GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The basic character set of 3GPP TS 23.038: one septet each."""


@pytest.mark.parametrize("domain", ["", "app.example.com", "d" * 56 + ".com"])
@pytest.mark.parametrize("brand", ["Aval", "B" * 20])
def test_an_sms_fits_one_segment_with_the_longest_brand_and_domain(settings, brand, domain):
    settings.BRAND, settings.WEBOTP_DOMAIN = brand, domain
    text = texts.compose("S").text.replace(MASK, "A1B2")
    assert set(text) <= GSM7, set(text) - GSM7
    assert len(text) <= 160
    assert text.startswith(f"{brand}: ")
    assert text.endswith(f"\n@{domain} #A1B2" if domain else "con nadie.")


@pytest.mark.parametrize(
    ("brand", "sent"),
    [
        ("Crédito Perú Sur", "Crédito Peru Sur"),
        ("Cre\u0301dito Peru\u0301 Sur", "Crédito Peru Sur"),
        ("Perú® • N°1", "Peru - No1"),
        ("Ñandú Ágil", "Ñandu Agil"),
        ("Banco São João", "Banco Sao Joao"),
        ("L’Étoile « çà »", 'L\'Étoile " cà "'),
        ("Łódź–Őr…", "Lodz-Or..."),
        ("Ahorro™ ½ 1ª", "AhorroTM 1/2 1a"),
        ("Caja \u200bNorte😀", "Caja Norte?"),
        ("日本", "??"),
        ("`Caja´", "'Caja'"),
        ("Caja [Ñ] € ~^|{}\\", "Caja [Ñ] € ~^|"),
        ("Œ" * 20, "OE" * 10),
        ("€" * 20, "€" * 10),
    ],
)
@pytest.mark.parametrize("domain", ["", "d" * 56 + ".com"])
def test_a_brand_outside_the_alphabet_of_sms_is_folded_and_a_code_stays_one_segment(settings, brand, sent, domain):
    settings.BRAND, settings.WEBOTP_DOMAIN = brand, domain
    text = texts.compose("S").text.replace(MASK, "A1B2")
    assert text.startswith(f"{sent}: tu clave es A1B2. ")
    assert (encoded(text).data_coding, encoded(text).is_long) == (0, False)


@pytest.mark.parametrize("via", ["W", "I", "C"])
def test_a_brand_is_folded_for_sms_only(settings, via):
    settings.BRAND = "Crédito Perú Sur"
    assert "Crédito Perú Sur" in texts.compose(via).text


@pytest.mark.parametrize("brand", ["Aval", "Crédito Ñ & Co. ¡ü!", "[Caja]", "B" * 20])
def test_a_brand_in_the_alphabet_warns_of_nothing(settings, brand):
    settings.BRAND = brand
    assert check_sms_alphabet() == []
    assert texts.brand_in_sms(brand) == brand


@pytest.mark.parametrize(
    ("brand", "words"),
    [
        ("Crédito Perú Sur", "(GSM-7): ú. By SMS it is sent as 'Crédito Peru Sur'"),
        ("Ágil Perú", "(GSM-7): Áú. By SMS it is sent as 'Agil Peru'"),
        ("{" * 20, "is too long for an SMS. By SMS it is sent as '{{{{{{{{{{'"),
    ],
)
def test_a_brand_outside_the_alphabet_warns_at_the_start(settings, brand, words):
    settings.BRAND = brand
    [warning] = [each for each in run_checks() if each.id == "tokens.W001"]
    assert words in warning.msg
    assert not warning.is_serious()


def test_a_domain_outside_the_alphabet_warns_at_the_start(settings):
    settings.WEBOTP_DOMAIN = "créditoperú.pe"
    assert [each.id for each in check_sms_alphabet()] == ["tokens.W002"]


@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_every_via_has_its_text_with_the_code_masked(via):
    text = texts.compose(via)
    assert MASK in text.text
    assert MASK not in text.subject
    assert (MASK in text.html) == (via == "C")
    assert bool(text.subject) == (via == "C")


def test_a_call_says_the_code_twice():
    assert texts.compose("I").text.count(MASK) == 2


def test_a_brand_with_markup_stays_text(settings):
    settings.BRAND = "A<b>&Co"
    mail = texts.compose("C")
    assert "A<b>&Co" in mail.text
    assert "A&lt;b&gt;&amp;Co" in mail.html
