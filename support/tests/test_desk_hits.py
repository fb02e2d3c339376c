"""Hits of a search at the desk: how many there are is said truly, some of each kind are shown, and nobody's case is
opened by a number that may be the beginning of another."""

import re

import pytest

from clients.models import Partner
from conftest import make_applicant
from support.cases import person_search
from tests.factories import (
    ApiRequestFactory,
    AuthorizedClientFactory,
    ExternalClientFactory,
    PartnerFactory,
    staff_browser,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(db):
    return staff_browser("use_desk", "act_at_desk")


def quispes(applicants=0, authorized=0, external=0):
    for number in range(applicants):
        make_applicant(f"{number:08}", email=f"q{number}@example.com", paternal_surname="Quispe")
    for number in range(authorized):
        AuthorizedClientFactory(name=f"Rosa Quispe {number}", document_type="DNI", document_number=f"5{number:07}")
    for number in range(external):
        ExternalClientFactory(client_id=f"Q{number}", last_name="Quispe")


def heading(http, term):
    answer = http.get("/soporte/", {"q": term})
    assert answer.status_code == 200, answer.headers
    return re.search("<h1>(.*?)</h1>", answer.content.decode())[1]


def test_more_people_than_are_shown_are_not_counted_as_all(agent):
    quispes(applicants=31, authorized=32, external=3)
    assert heading(agent, "quispe") == "Más de 20 personas con «quispe»"
    page = agent.get("/soporte/", {"q": "quispe"}).content.decode()
    assert page.count("<h2>") == 20
    assert "Agregue el otro apellido" in page


def test_of_a_common_name_some_of_each_kind_are_shown(agent):
    quispes(applicants=31, authorized=32, external=3)
    people = person_search.search("quispe")
    assert [sum(bool(getattr(each, kind)) for each in people) for kind in ("applicants", "authorized", "external")] == [
        9,
        8,
        3,
    ]


@pytest.mark.parametrize("kind", ["applicants", "authorized"])
@pytest.mark.parametrize(("number", "words"), [(20, "20 personas"), (21, "Más de 20 personas")])
def test_the_last_one_that_is_shown_is_told_from_one_that_is_not(agent, kind, number, words):
    quispes(**{kind: number})
    assert heading(agent, "quispe") == f"{words} con «quispe»"


def test_a_person_authorised_by_many_companies_is_one_and_others_may_be_behind_them(agent):
    for number in range(25):
        AuthorizedClientFactory(name="Rosa Quispe", email="rosa@dominio.com", partner=PartnerFactory(slug=f"e{number}"))
    hits = person_search.find("quispe")
    assert (len(hits.found), hits.has_more) == (1, True)
    assert heading(agent, "quispe") == "Al menos 1 persona con «quispe»"


def test_a_hit_names_its_companies_and_ends_in_no_lone_dot(agent):
    bank = PartnerFactory(name="Banco Andino")
    ExternalClientFactory(client_id="Q1", last_name="Quispe", cui="6774970750101", partner=bank)
    make_applicant("40000001", paternal_surname="Quispe", partner=PartnerFactory(name="Caja Cusco"))
    page = agent.get("/soporte/", {"q": "quispe"}).content.decode()
    assert '<p class="soft">CUI 6774970750101</p>' in page
    assert {"Banco Andino", "Caja Cusco"} <= set(re.findall('<p class="soft">(.*?)</p>', page))


def test_a_short_number_opens_nobody_and_says_what_it_is(agent):
    ana = make_applicant()
    asked = ApiRequestFactory(pk=910, subject=ana.pk)
    page = agent.get("/soporte/", {"q": str(asked.pk)})
    assert page.status_code == 200
    assert "Encontrado por id_solicitud 910." in page.content.decode()


@pytest.mark.parametrize("term", ["91000011", "event_910"])
def test_a_long_number_opens_the_case_and_says_that_it_is_a_request(agent, term):
    ana = make_applicant()
    for number in (91000011, 910):
        ApiRequestFactory(pk=number, subject=ana.pk)
    answer = agent.get("/soporte/", {"q": term}, follow=True)
    assert answer.redirect_chain[0][0] == f"/soporte/caso/cliente/{ana.pk}/"
    name = "event_id" if term.startswith("event") else "id_solicitud"
    assert f"Encontrado por {name} {term}." in answer.content.decode()


@pytest.mark.parametrize("term", ["12345", " 9 1 0 "])
def test_a_company_s_own_short_number_opens_nobody_either(agent, term):
    AuthorizedClientFactory(external_code=term.strip(), name="Rosa Quispe")
    page = agent.get("/soporte/", {"q": term})
    assert page.status_code == 200
    assert Partner.objects.get().name in page.content.decode()


def test_a_company_s_own_long_number_opens_the_case_and_says_so(agent):
    client = AuthorizedClientFactory(external_code="1234567", name="Rosa Quispe")
    answer = agent.get("/soporte/", {"q": "1234567"}, follow=True)
    assert answer.redirect_chain[0][0] == f"/soporte/caso/autorizado/{client.pk}/"
    assert "Encontrado por código externo 1234567." in answer.content.decode()


def test_a_person_s_own_value_opens_the_case_without_a_word(agent):
    ana = make_applicant()
    answer = agent.get("/soporte/", {"q": ana.document_number}, follow=True)
    assert answer.redirect_chain
    assert "Encontrado por" not in answer.content.decode()
