"""The words around a code: an SMS fits one GSM-7 segment, and no text loses or shows its code."""

import pytest

from messaging.gateways.base import MASK
from tokens import texts

GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
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


@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_every_via_has_its_words_with_the_code_masked(via):
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
