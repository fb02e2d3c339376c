"""CUI, the identity number of Guatemala: shape, check digit and place."""

import json
from pathlib import Path

import pytest

from clients.identity import cui
from clients.identity.cui import Fault, canonical, check_digit, fault_of, municipalities

COUNTS = [17, 8, 16, 16, 14, 14, 19, 8, 24, 21, 9, 30, 33, 21, 8, 17, 14, 5, 11, 11, 7, 17]
NUMBER = "238003337"
"""Example of the contract document, which has a right check digit and a place."""


@pytest.mark.parametrize("number", ["2380033370713", "2380033370514", "2380033371333"])
def test_a_cui_with_its_check_digit_and_place_passes(number):
    assert fault_of(number) is None


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("2380033380713", Fault.CHECK_DIGIT),
        ("2380033370720", Fault.PLACE),  # Sololá has 19 municipalities
        ("2380033370700", Fault.PLACE),
        ("2380033370013", Fault.PLACE),
        ("2380033372301", Fault.PLACE),
        ("2380033370515", Fault.PLACE),
        ("2380033371334", Fault.PLACE),
        ("2380033379999", Fault.PLACE),
        ("", Fault.SHAPE),
        ("238003337071", Fault.SHAPE),
        ("23800333707130", Fault.SHAPE),
        ("2380 03337 0713", Fault.SHAPE),
        ("2380033370713\n", Fault.SHAPE),
        ("-380033370713", Fault.SHAPE),
        ("238003337071a", Fault.SHAPE),
        ("٢٣٨٠٠٣٣٣٧٠٧١٣", Fault.SHAPE),
        ("２３８００３３３７０７１３", Fault.SHAPE),
        ("2380033370713\x00", Fault.SHAPE),
    ],
    ids=ascii,
)
def test_a_cui_with_another_shape_check_digit_or_place_fails(number, fault):
    assert fault_of(number) is fault


def test_exactly_one_ninth_digit_is_right():
    right = [digit for digit in "0123456789" if fault_of(f"23800333{digit}0713") is None]
    assert right == ["7"]


def test_a_remainder_of_ten_has_no_right_digit():
    number = next(f"{each:08}" for each in range(1_000) if check_digit(f"{each:08}") == 10)
    assert {fault_of(f"{number}{digit}0101") for digit in "0123456789"} == {Fault.CHECK_DIGIT}


def test_two_neighbours_that_changed_places_are_noticed():
    for at in range(7):
        swapped = NUMBER[:at] + NUMBER[at + 1] + NUMBER[at] + NUMBER[at + 2 :]
        if swapped != NUMBER:
            assert fault_of(swapped + "0713") is Fault.CHECK_DIGIT


def test_all_340_municipalities_and_no_other_place():
    places = {f"{each:04}" for each in range(10_000) if fault_of(f"{NUMBER}{each:04}") is None}
    assert places == {
        f"{department:02}{municipality:02}"
        for department, count in enumerate(COUNTS, start=1)
        for municipality in range(1, count + 1)
    }
    assert len(places) == 340


def test_the_table_of_municipalities_is_read_from_its_file():
    data = json.loads((Path(cui.__file__).parent / "data" / "guatemala.json").read_text(encoding="utf-8"))
    assert [department["municipalities"] for department in data.values()] == COUNTS
    assert list(municipalities()) == [f"{each:02}" for each in range(1, 23)]
    assert data["13"]["name"] == "Huehuetenango"


@pytest.mark.parametrize(
    "written",
    [
        "2380 03337 0713",
        "2380-03337-0713",
        " 2380 03337 0713 ",
        "2380\u201003337\u20110713",
        "2380.03337.0713",
        "2380033370713",
    ],
)
def test_a_cui_in_groups_is_the_cui(written):
    assert canonical(written) == "2380033370713"


@pytest.mark.parametrize("other", ["", "2380 03337 071", "2380/03337/0713", "２３８０ 03337 0713", "CL 123", "a-b"])
def test_what_is_no_cui_in_groups_stays_as_it_is(other):
    assert canonical(other) == other
