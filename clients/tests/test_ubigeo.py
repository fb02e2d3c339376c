import json
import tracemalloc
from pathlib import Path

import pytest

from clients.identity import ubigeo
from clients.identity.ubigeo import Level, Place, Unknown, counts, find, resolve

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


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("Prov. Const. del Callao", "Prov. Const. del Callao", "Callao"), "070101"),
        (("PROVINCIA CONSTITUCIONAL DEL CALLAO", "Callao", "La Perla"), "070104"),
        (("Callao", "P.C. del Callao", "Cercado del Callao"), "070101"),
        (("Callao", "Callao", "Carmen de la Legua"), "070103"),
        (("Ica", "Nazca", "NAZCA"), "110301"),
        (("CUZCO", "Cuzco", "Qosqo"), "080101"),
        (("Dpto. del Cuzco", "Prov. de Quispicanchis", "Urcos"), "081201"),
        (("Ayacucho", "VILCASHUAMAN", "Vilcashuamán"), "051101"),
        (("Lima", "Lima", "Cercado de Lima"), "150101"),
        (("Lima Metropolitana", "Lima", "LIMA CERCADO"), "150101"),
        (("Lima", "Lima", "Cercado"), "150101"),
        (("Lima", "Lima", "Lima (Cercado)"), "150101"),
        (("Arequipa", "Arequipa", "Cercado de Arequipa"), "040101"),
        (("Ayacucho", "Huamanga", "Cercado de Huamanga"), "050101"),
        (("Cuzco", "Cuzco", "Cercado del Cuzco"), "080101"),
        (("Departamento de Lima", "Provincia de Lima", "Distrito de San Isidro"), "150131"),
        (("Región La Libertad", "Provincia de Trujillo", "Dist. Trujillo"), "130101"),
        (("Lima", "Lima", "Sta. Anita"), "150137"),
        (("Lima", "Lima", "S.J.L."), "150132"),
        (("Lima", "Lima", "S. J. de Miraflores"), "150133"),
        (("Lima", "Lima", "Lurigancho - Chosica"), "150118"),
        (("Lima", "Lima", "Ate-Vitarte"), "150103"),
        (("Moquegua", "Gral.  Sánchez Cerro", "Omate"), "180201"),
        (("Piura", "Piura", "26 de Octubre"), "200115"),
        (("Arequipa", "Arequipa", "J.L. Bustamante y Rivero"), "040129"),
    ],
)
def test_usual_spellings_are_the_official_place(names, code):
    assert code_of(*names) == code


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (("Limma", "Lima", "Lima"), Unknown(Level.DEPARTMENT, "")),
        (("cuzco", "Lima", "Miraflores"), Unknown(Level.PROVINCE, "Cusco")),
        (("Lima", "Lima", "Wanchaq"), Unknown(Level.DISTRICT, "Lima")),
        (("Lima", "Lima", "Cercado de Cusco"), Unknown(Level.DISTRICT, "Lima")),
        (("Ica", "Nazca", "Cercado de Lima"), Unknown(Level.DISTRICT, "Nasca")),
        (("Prov. Lima", "Dist. de", "x"), Unknown(Level.PROVINCE, "Lima")),
        (("Lima", "Lima", "Distrito"), Unknown(Level.DISTRICT, "Lima")),
        (("Lima", "Lima", "S." * 5_000), Unknown(Level.DISTRICT, "Lima")),
    ],
)
def test_the_unknown_one_of_three_names_is_said(names, unknown):
    assert find(*names) == unknown


def test_every_other_spelling_belongs_to_a_place_and_to_no_other():
    others = json.loads((Path(ubigeo.__file__).parent / "data" / "place_spellings.json").read_text(encoding="utf-8"))
    levels, names, spellings = ubigeo._gazetteer()
    assert set(others) <= set(names)
    assert len(spellings) == sum(map(len, others.values())), "a spelling stands twice"
    for spelling, code in spellings.items():
        assert levels[len(code) // 2 - 1].get(spelling, code) == code, "the name of another place"
