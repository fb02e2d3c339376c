import json
import tracemalloc
from pathlib import Path

import pytest

from clients.identity import ubigeo
from clients.identity.ubigeo import Place, counts, resolve

DATA = json.loads((Path(ubigeo.__file__).parent / "data" / "ubigeo.json").read_text(encoding="utf-8"))
MIRAFLORES = Place("150122", "Lima", "Lima", "Miraflores")


def every_place():
    for department, (department_name, provinces) in DATA.items():
        for province, (province_name, districts) in provinces.items():
            for district, name in districts.items():
                yield Place(department + province + district, department_name, province_name, name)


def code_of(*names):
    place = resolve(*names)
    return place and place.code


def test_peru_has_25_departments_196_provinces_and_1891_districts():
    assert counts() == [25, 196, 1891]  # a folded name that met another of its level would be missing here


def test_every_district_is_found_as_it_is_written_shouted_and_without_accents():
    plain = str.maketrans("áéíóúüñÁÉÍÓÚÜÑ", "aeiouunAEIOUUN")
    for place in every_place():
        names = (place.department, place.province, place.district)
        assert resolve(*names) == place
        assert resolve(*(name.upper() for name in names)) == place
        assert resolve(*(name.lower().translate(plain) for name in names)) == place


@pytest.mark.parametrize(
    "names",
    [
        ("LIMA", "LIMA", "MIRAFLORES"),
        ("Lima", "Lima", "Miraflores"),
        ("  lima ", "LIMA\n", " mira" + "flores "),
        ("Líma", "LÍMA", "Mirafl\u0301ores"),
    ],
)
def test_case_accents_and_outer_spaces_do_not_matter(names):
    assert resolve(*names) == MIRAFLORES


@pytest.mark.parametrize("breña", ["Breña", "BREÑA", "BRENA", "Bren\u0303a", "brena"])
def test_the_tilde_of_n_may_be_written_or_not(breña):
    assert resolve("LIMA", "LIMA", breña) == Place("150105", "Lima", "Lima", "Breña")


def test_repeated_spaces_and_a_hyphen_left_out_do_not_matter():
    place = resolve("MADRE  DE   DIOS", "TAHUAMANU", "IÑAPARI")
    assert place is not None
    assert place.department == "Madre de Dios"
    assert resolve("Apurimac", "Chincheros", "Anco Huallo") == resolve("Apurímac", "Chincheros", "ANCO-HUALLO")
    assert code_of("Apurimac", "Chincheros", "Anco Huallo") == "030602"


def test_four_districts_are_called_miraflores_and_each_is_found_in_its_own_province():
    found = {place for place in every_place() if place.district == "Miraflores"}
    assert {place.code for place in found} == {"040110", "100506", "150122", "151021"}
    for place in found:
        assert resolve(place.department, place.province, "MIRAFLORES") == place


@pytest.mark.parametrize(
    "names",
    [
        ("LIMA", "LIMA", "WANCHAQ"),
        ("LIMA", "CUSCO", "MIRAFLORES"),
        ("CUSCO", "LIMA", "MIRAFLORES"),
        ("LIMA", "", "MIRAFLORES"),
        ("", "", ""),
        ("LIMA", "LIMA", "MIRA FLORES"),
        ("LIMA", "LIMA", "MIRAFLORES!"),
        ("15", "01", "22"),
        ("LIMA", "01MIRAFLORES", ""),
        ("15LIMA", "MIRAFLORES", ""),
        ("ЛИМА", "LIMA", "MIRAFLORES"),
        ("LIMA\x00", "LIMA", "MIRAFLORES"),
    ],
)
def test_names_that_do_not_belong_together_are_no_place(names):
    assert resolve(*names) is None


def test_the_two_stale_codes_are_gone_and_their_districts_are_not():
    codes = {place.code for place in every_place()}
    assert not {"090708", "090712"} & codes
    assert code_of("HUANCAVELICA", "TAYACAJA", "HUARIBAMBA") == "090709"
    assert code_of("HUANCAVELICA", "TAYACAJA", "SALCABAMBA") == "090714"


def test_the_table_is_read_at_the_first_question_and_is_light():
    ubigeo._gazetteer.cache_clear()
    tracemalloc.start()
    try:
        counts()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
    assert ubigeo._gazetteer.cache_info().currsize == 1


def test_names_fit_their_columns():
    assert max(len(place.department) for place in every_place()) <= 50
    assert max(len(place.province) for place in every_place()) <= 50
    assert max(len(place.district) for place in every_place()) <= 60
