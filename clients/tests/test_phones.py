"""Mobile numbers, operators, and masked destinations."""

import pytest

from clients.identity.phones import OPERATORS, mask_email, mask_phone, mobile_ok, to_e164


@pytest.mark.parametrize("number", ["987654321", "900000000", "999999999"])
def test_nine_digits_beginning_with_nine_are_a_mobile(number):
    assert mobile_ok(number)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "98765432",
        "9876543210",
        "887654321",
        "+51987654321",
        "51987654321",
        "987 654 321",
        "987-654-321",
        " 987654321",
        "987654321\n",
        "98765432a",
        "٩٨٧٦٥٤٣٢١",
        "９８７６５４３２１",
        "9８7654321",
        "98765432²",
        "987654321\u200f",
        "987654321\x00",
    ],
)
def test_any_other_number_is_no_mobile(number):
    assert not mobile_ok(number)
    with pytest.raises(ValueError, match="not a Peruvian mobile"):
        to_e164(number)


def test_the_providers_get_the_country_in_front():
    assert to_e164("987654321") == "+51987654321"


def test_a_refused_number_is_not_in_the_error():
    with pytest.raises(ValueError, match="not a") as refusal:
        to_e164("98765432")
    assert "98765432" not in str(refusal.value)


def test_the_operators_are_the_networks_the_virtual_ones_and_other():
    assert OPERATORS == ("MOVISTAR", "CLARO", "ENTEL", "BITEL", "FLASH", "CUY", "SUMA", "DOLPHIN", "INTERMAX", "OTRO")
    assert max(map(len, OPERATORS)) <= 10  # the column's width


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("987654321", "9•• ••• 321"),
        ("+51987654321", "9•• ••• 321"),
        ("+50255512345", "••• 345"),
        ("1234567", "••• 567"),
        ("123456", "•••"),
        ("", "•••"),
    ],
)
def test_a_phone_is_shown_by_its_last_digits(number, shown):
    assert mask_phone(number) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("juan.perez@dominio.com", "j•••@dominio.com"),
        ("j@dominio.com", "j•••@dominio.com"),
        ("ñusta@ñandú.pe", "ñ•••@ñandú.pe"),
        ("a@b@c.pe", "a•••@c.pe"),
        ("@dominio.com", "•••@dominio.com"),
        ("no es correo", "•••"),
        ("", "•••"),
    ],
)
def test_an_address_is_shown_by_its_first_letter_and_domain(address, shown):
    assert mask_email(address) == shown
