"""Identity documents: the shape of each type, and the check character of a DNI."""

import pytest

from clients.identity.documents import (
    DOCUMENT_TYPES,
    canonical_number,
    check_character_form_ok,
    check_character_ok,
    shape_ok,
)


def test_there_are_three_types_of_document():
    assert DOCUMENT_TYPES == ("DNI", "CE", "PASAPORTE")


@pytest.mark.parametrize(
    ("document_type", "number"),
    [
        ("DNI", "12345678"),
        ("DNI", "00000000"),
        ("CE", "001234567"),
        ("PASAPORTE", "A12345"),
        ("PASAPORTE", "123456"),
        ("PASAPORTE", "ab12CD34ef56"),
    ],
)
def test_a_number_of_its_types_shape_passes(document_type, number):
    assert shape_ok(document_type, number)


@pytest.mark.parametrize(
    ("document_type", "number"),
    [
        ("DNI", "1234567"),
        ("DNI", "123456789"),
        ("DNI", "1234567A"),
        ("DNI", "12345678\n"),
        ("DNI", "\n12345678"),
        ("DNI", " 12345678"),
        ("DNI", "1234-5678"),
        ("DNI", "١٢٣٤٥٦٧٨"),  # digits to str.isdigit, not to us
        ("DNI", "１２３４５６７８"),
        ("DNI", "1234567²"),
        ("DNI", ""),
        ("CE", "12345678"),
        ("CE", "1234567890"),  # contract 1's own second row
        ("CE", "A12345678"),
        ("PASAPORTE", "A1234"),
        ("PASAPORTE", "A123456789012"),
        ("PASAPORTE", "A12 345"),
        ("PASAPORTE", "A12-345"),
        ("PASAPORTE", "Ñ12345"),
        ("PASAPORTE", "A12345\n"),
        ("RUC", "20123456789"),
        ("dni", "12345678"),
        ("", "12345678"),
    ],
)
def test_a_number_of_another_shape_or_of_an_unknown_type_fails(document_type, number):
    assert not shape_ok(document_type, number)


def test_a_passport_is_the_same_in_either_case():
    assert canonical_number("ab123456") == canonical_number("AB123456") == "AB123456"


@pytest.mark.parametrize("character", [*"0123456789", *"ABCDEFGHIJK", "k"])
def test_a_digit_or_a_letter_up_to_k_has_the_form_of_a_check_character(character):
    assert check_character_form_ok(character)


@pytest.mark.parametrize("character", ["", "L", "Z", "Ñ", "-", "12", "AB", "1\n", " 1", "٣", "²", "É", "\u212a"])
def test_no_other_text_has_the_form_of_a_check_character(character):
    assert not check_character_form_ok(character)


@pytest.mark.parametrize(
    ("number", "digit", "letter"),
    [
        ("12345678", "1", "E"),
        ("10117410", "2", "G"),
        ("87654321", "0", "D"),
        ("46027897", "5", "J"),
        ("00000000", "6", "K"),
    ],
)
def test_each_dni_has_one_check_digit_and_one_check_letter(number, digit, letter):
    assert [c for c in "0123456789" if check_character_ok(number, c)] == [digit]
    assert [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if check_character_ok(number, c)] == [letter]
    assert check_character_ok(number, letter.lower())


def test_the_contracts_own_example_has_the_form_but_not_the_right_digit():
    assert check_character_form_ok("9")
    assert not check_character_ok("12345678", "9")


@pytest.mark.parametrize(
    ("number", "character"),
    [("1234567", "1"), ("123456789", "1"), ("12345678", ""), ("12345678", "1E"), ("1234-5678", "1"), ("abcdefgh", "1")],
)
def test_what_is_no_dni_or_no_character_has_no_check_character(number, character):
    assert not check_character_ok(number, character)
