"""Search by name: without accents, by any of its words, in any order, among any number of names."""

import pytest
from django.db import connection

from clients.identity.names import name_ok
from clients.models import Applicant, AuthorizedClient
from clients.search.external_clients import folded
from clients.search.names import MAX_RESULTS, NAMES_OF_AN_APPLICANT, authorized_with_names, with_names
from conftest import make_applicant
from support.cases.person_search import search
from tests.factories import AuthorizedClientFactory, PartnerFactory

pytestmark = pytest.mark.django_db

LETTERS = [chr(code) for code in range(0x180) if name_ok(chr(code))]
"""Letters that a name may have."""
BECOME_TWO = {"ß", "ŉ"}
"""Letters that PostgreSQL's `translate` maps to one character, and a folded name to two."""


@pytest.fixture
def bank(db):
    return PartnerFactory(name="Banco")


def authorised(bank, *names):
    AuthorizedClient.objects.bulk_create(AuthorizedClientFactory.build(partner=bank, name=name) for name in names)


def found_authorised(term):
    ids = authorized_with_names(AuthorizedClient.objects.all(), term)
    return set(AuthorizedClient.objects.filter(pk__in=ids).values_list("name", flat=True))


def words_in_sql(text):
    """Words of an applicant of this name in the index."""
    make_applicant(names=text, paternal_surname="", maternal_surname="")
    [found] = Applicant.objects.annotate(words=NAMES_OF_AN_APPLICANT).values_list("words", flat=True)
    Applicant.objects.all().delete()
    return found


def test_there_are_letters_to_look_at():
    assert len(LETTERS) == 242
    assert set("azAZñÑáÜßžŁ") <= set(LETTERS)


def test_postgresql_folds_every_letter_of_a_name_as_python_does():
    rows = [
        make_applicant(f"{number:08}", names=f"x{letter}", paternal_surname="", maternal_surname="")
        for number, letter in enumerate(LETTERS)
    ]
    words = dict(Applicant.objects.annotate(words=NAMES_OF_AN_APPLICANT).values_list("pk", "words"))
    wrong = {
        letter: words[row.pk]
        for row, letter in zip(rows, LETTERS, strict=True)
        if words[row.pk] != f"'{folded(f'x{letter}')}'"
    }
    assert set(wrong) == BECOME_TWO


@pytest.mark.parametrize("between", [" ", "-", "'", "’", ".", ". "])
def test_postgresql_divides_a_name_as_python_does(between):
    name = f"Muñoz{between}Nájar"
    assert name_ok(name)
    assert sorted(words_in_sql(name).replace("'", "").split()) == sorted(folded(name).split())


NAMES = ("Pérez", "Ñahui", "D'Angelo", "Muñoz-Nájar", "O’Higgins", "Žižek", "Łukasz", "Sánchez Cerro", "Strauß", "Ana")
TYPED = {
    "perez": "Pérez",
    "PÉREZ": "Pérez",
    "ñahui": "Ñahui",
    "nahui": "Ñahui",
    "d'angelo": "D'Angelo",
    "angelo": "D'Angelo",
    "dangelo": "",
    "munoz-najar": "Muñoz-Nájar",
    "najar": "Muñoz-Nájar",
    "nájar muñoz": "Muñoz-Nájar",
    "higgins": "O’Higgins",
    "o'higgins": "O’Higgins",
    "zizek": "Žižek",
    "žižek": "Žižek",
    "łukasz": "Łukasz",
    "cerro sanchez": "Sánchez Cerro",
    "sánchez": "Sánchez Cerro",
    "sanch": "Sánchez Cerro",
    "strauß": "Strauß",
    "strauss": "Strauß",
    "ana": "Ana",
    "erez": "",
}
"""Typed text -> the surname that it finds; "" for none."""


def test_an_applicant_is_found_by_name_however_it_is_typed(db):
    for number, name in enumerate(NAMES):
        make_applicant(f"{number:08}", names="Rosa", paternal_surname=name, maternal_surname="Quispe")
    wrong = {}
    for typed, name in TYPED.items():
        rows = Applicant.objects.filter(with_names(typed)).values_list("paternal_surname", flat=True)
        if set(rows) != {name} - {""}:
            wrong[typed] = list(rows)
    assert wrong == {}


def test_an_authorised_client_is_found_by_name_however_it_is_typed(bank):
    authorised(bank, *(f"Rosa {name} Quispe" for name in NAMES))
    found = {typed: found_authorised(typed) for typed in TYPED}
    assert found == {typed: {f"Rosa {name} Quispe"} if name else set() for typed, name in TYPED.items()}


def test_an_authorised_client_is_found_by_every_letter_of_a_name_without_its_accent(bank):
    authorised(bank, *(f"Rosa X{letter}" for letter in LETTERS))
    lost = [each for each in LETTERS if f"Rosa X{each}" not in found_authorised(folded(f"x{each}"))]
    assert set(lost) <= {"ŉ"}


@pytest.mark.parametrize("typed", ["ana", "inca", "yoya", "noa"])
def test_a_name_is_found_among_many_of_the_same_length(bank, typed):
    """Only MAX_RESULTS rows are compared: they must be those that have the word."""
    authorised(
        bank, *(f"Luz Palma {'QWRTPSDFG'[n % 9]}osa" for n in range(MAX_RESULTS + 50)), f"{typed.capitalize()} Pinto"
    )
    assert found_authorised(typed) == {f"{typed.capitalize()} Pinto"}


def plan(rows):
    with connection.cursor() as cursor:
        sql, params = rows.order_by().values("pk").query.sql_with_params()
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("typed", ["perez", "d'angelo", "strauss", "nájar muñoz"])
def test_names_of_applicants_are_found_by_their_index(db, typed):
    shown = plan(Applicant.objects.filter(with_names(typed)))
    assert "Index Cond" in shown
    assert "Seq Scan" not in shown


def test_the_desk_finds_both_kinds_by_one_name(bank):
    make_applicant(names="José", paternal_surname="Ñahui")
    authorised(bank, "Ñahui Rojas")
    assert [person.name for person in search("nahui")] == ["José Ñahui Gomez", "Ñahui Rojas"]


RARE = {
    "Ẽtsa Ampã̱": ("ẽtsa", "ẼTSA ampã̱", "Ẽ"),
    "G\u0303aritai Paz": ("g\u0303aritai", "G\u0303ARI"),
    "Kʉtsa Ɨ\u0301mɨ": ("kʉtsa", "Ɨ\u0301MƗ"),
}


@pytest.mark.parametrize("name", RARE)
def test_names_with_letters_of_other_alphabets_are_found_as_they_are_written(bank, name):
    first, last = name.split()
    make_applicant(names=first, paternal_surname=last, maternal_surname="", partner=bank)
    for term in (*RARE[name], name):
        assert len(search(term)) == 1, term
    Applicant.objects.all().delete()
    AuthorizedClientFactory(partner=bank, name=name)
    for term in (*RARE[name], name, folded(name)):
        assert len(search(term)) == 1, term
