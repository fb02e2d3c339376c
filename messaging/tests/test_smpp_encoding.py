"""Texts over SMPP: alphabet, length, validity, sender."""

from datetime import timedelta

import pytest
from smpplib import smpp

from conftest import NOW
from messaging.gateways import gateway_from_url
from messaging.gateways.base import MASK, Outgoing
from messaging.smpp import pdus
from messaging.smpp.encoding import encoded, validity


def submit(text, secret="A1B2", options="sender=AVAL", recipient="987654321"):
    account = gateway_from_url(f"smpp://u:p@smsc.example.com/?{options}", "S").account
    message = Outgoing(
        id=None, kind="verificacion", via="S", recipient=recipient, subject="", text=text, html="", send_before=None
    )
    return smpp.parse_pdu(pdus.submit(account, 7, message, secret, validity=""), sequence=0)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("clave A1B2", b"clave A1B2"),
        ("@ $ _ Δ", b"\x00 \x02 \x11 \x10"),
        ("ñ é Ñ ü ¿ ¡ à", b"\x7d \x05 \x5d \x7e \x60 \x40 \x7f"),
        ("[€]\n", b"\x1b\x3c\x1b\x65\x1b\x3e\n"),
    ],
)
def test_what_the_default_alphabet_has_goes_in_it_one_octet_each_and_two_for_its_extension(text, octets):
    assert (encoded(text).data_coding, encoded(text).octets) == (0, octets)


@pytest.mark.parametrize("text", ["á", "í", "ó", "ú", "Á", "`", "\x1b", "clave `A1B2`", "日", "😀"])
def test_one_character_outside_it_makes_the_whole_text_ucs2(text):
    assert (encoded(text).data_coding, encoded(text).octets.decode("utf-16-be")) == (8, text)


@pytest.mark.parametrize(
    ("text", "is_long"),
    [
        ("x" * 160, False),
        ("x" * 161, True),
        ("x" * 158 + "€", False),
        ("x" * 159 + "€", True),
        ("á" * 70, False),
        ("á" * 71, True),
    ],
)
def test_a_text_of_more_than_one_segment_goes_whole_as_a_payload(text, is_long):
    got = submit(text)
    assert bool(got.message_payload) == is_long
    assert (got.message_payload if is_long else got.short_message) == encoded(text).octets
    assert got.sm_length == (0 if is_long else len(encoded(text).octets))


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("x" * 161, [153, 8]),
        ("x" * 306, [153, 153]),
        ("x" * 307, [153, 153, 1]),
        ("x" * 152 + "€" * 10, [152, 20]),
        ("x" * 151 + "€" * 10, [153, 18]),
        ("€" * 80, [152, 8]),
        ("á" * 71, [134, 8]),
        ("á" * 66 + "😀" * 5, [132, 20]),
        ("á" * 65 + "😀" * 5, [134, 16]),
    ],
)
def test_a_text_in_parts_is_the_same_text_and_no_character_is_cut(text, lengths):
    whole = encoded(text)
    parts = whole.parts(300)
    assert [len(part) - 6 for part in parts] == lengths
    assert [part[:6] for part in parts] == [
        bytes((5, 0, 3, 44, len(parts), number + 1)) for number in range(len(parts))
    ]
    assert b"".join(part[6:] for part in parts) == whole.octets
    for part in parts:
        if whole.data_coding == 8:
            part[6:].decode("utf-16-be")
        else:
            assert part[-1] != 0x1B


def test_a_text_of_more_parts_than_a_header_can_count_is_too_long():
    assert len(encoded("x" * 153 * 255).parts(0)) == 255
    with pytest.raises(ValueError, match="too long"):
        encoded("x" * 153 * 256).parts(0)


def test_the_code_takes_the_place_of_its_mask():
    assert submit(f"Aval: tu clave es {MASK}. @aval.pe #{MASK}").short_message == (
        b"Aval: tu clave es A1B2. \x00aval.pe #A1B2"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("sender=AVAL", (5, 0, b"AVAL")),
        ("sender=Mi%20Banco", (5, 0, b"Mi Banco")),
        ("sender=%2B51987654321", (1, 1, b"51987654321")),
        ("sender=51987654321", (1, 1, b"51987654321")),
        ("sender=4040", (3, 0, b"4040")),
        ("sender=4040&source_ton=0&source_npi=1", (0, 1, b"4040")),
    ],
)
def test_a_senders_type_follows_from_its_form_unless_it_is_said(options, expected):
    got = submit("hola", options=options)
    assert (got.source_addr_ton, got.source_addr_npi, got.source_addr) == expected


def test_a_number_that_is_no_mobile_is_refused_without_being_named():
    with pytest.raises(ValueError, match="not a Peruvian mobile number") as fault:
        submit("hola", recipient="014445555")
    assert "014445555" not in str(fault.value)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(seconds=150), "000000000230000R"),
        (timedelta(seconds=1.9), "000000000001000R"),
        (timedelta(hours=25, seconds=61), "000001010101000R"),
        (timedelta(days=300), "000003000000000R"),
        (timedelta(seconds=0.9), None),
        (timedelta(seconds=-5), None),
    ],
)
def test_the_validity_at_the_smsc_ends_with_the_codes_lifetime(left, expected):
    assert validity(NOW + left, at=NOW) == expected


def test_what_has_no_end_has_the_smscs_own():
    assert validity(None, at=NOW) == ""
