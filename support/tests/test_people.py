"""Search of a person by each value that an agent may have; rows of one person are joined, and those of two are not."""

import pytest
from django.utils import timezone

from clients.authorized_clients import Authorization, authorize
from clients.external_clients import Details, register
from clients.models import AuthorizedClient
from clients.retention import erase_authorized
from clients.search.typed import documents
from conftest import make_applicant
from messaging.models import Message
from support.cases import person_search
from support.cases.person_search import search
from tests.factories import (
    ApiRequestFactory,
    AuthorizedClientFactory,
    ExternalClientFactory,
    MessageFactory,
    PartnerFactory,
)
from tokens import services
from tokens.services import Origin

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(db):
    made = make_applicant()
    services.request(made.pk, via="S", phone="987654321", operator="CLARO", origin=Origin(), at=timezone.now())
    return made


@pytest.fixture
def luis(db):
    bank = PartnerFactory(name="Banco Andino", contracts=["nopasanada"])
    asked = ApiRequestFactory(contract="nopasanada", partner=bank, action="alta")
    row = Authorization("luis@dominio.com", "Luis Paz Ríos", "DNI", "87654321", "912345678", "COD-77", "A")
    authorize(bank, [row], request_id=asked.pk, at=timezone.now())
    return AuthorizedClient.objects.get()


def names(term):
    return [person.name for person in search(term)]


def test_an_applicant_is_found_by_each_of_their_values(ana):
    message = Message.objects.get()
    token = ana.tokens.get()
    asked = ApiRequestFactory(subject=ana.pk)
    terms = [
        "987654321",
        "+51 987654321",
        "987 654 321",
        ana.email,
        ana.email.upper(),
        ana.document_number,
        str(ana.pk),
        str(ana.pk).upper(),
        str(token.pk),
        str(message.pk),
        str(asked.pk),
        f"event_{asked.pk}",
        ana.paternal_surname,
        f"{ana.names} {ana.paternal_surname}".lower(),
    ]
    for term in terms:
        assert [person.applicants for person in search(term)] == [[ana]], term


def test_an_authorised_client_is_found_by_each_of_their_values(luis):
    for term in ("luis@dominio.com", "87654321", "912345678", "COD-77", "luis ríos", str(luis.request_id)):
        assert [person.authorized for person in search(term)] == [[luis]], term


def test_an_external_client_is_found_by_each_of_their_values(registry):
    from clients.models import Credential, ExternalClient

    key = Credential.objects.get(partner=registry.partner, kind="jwt")
    details = Details("2380033370713", "Juan", "Pérez", "555-1234", "ABC", "9", "web", [])
    register(key, "CL123456", details, request_id=1, address=None, at=timezone.now())
    row = ExternalClient.objects.get()
    for term in ("2380033370713", "CL123456", "5551234", "perez juan", str(row.pk)):
        assert [person.external for person in search(term)] == [[row]], term


TYPED = {
    "40000001-9": "40000001",
    "40000001 – 9": "40000001",
    "40000001K": "40000001",
    "40.000.001": "40000001",
    "40 000 001": "40000001",
    "DNI 40000001": "40000001",
    "D.N.I. N° 40.000.001-9": "40000001",
    "51910000113": "910000113",
    "0051 910 000 113": "910000113",
    "+51 910-000-113": "910000113",
    "910.000.113": "910000113",
    "x5@xn--and-6ma2c.pe": "x5@ñandú.pe",
    "X5@ÑANDÚ.PE": "x5@ñandú.pe",
    "Ana Paz <x5@ñandú.pe>": "x5@ñandú.pe",
    "mailto:x5@ñandú.pe": "x5@ñandú.pe",
}
"""What is typed or pasted, and the value that it means."""


@pytest.mark.parametrize("term", TYPED)
def test_a_person_is_found_however_their_values_are_typed(db, term):
    bank = PartnerFactory(contracts=["nopasanada"])
    row = Authorization("x5@ñandú.pe", "Ana Paz", "DNI", "40000001", "910000113", "COD-1", "A")
    other = Authorization("otra@dominio.com", "Eva Paz", "DNI", "40000002", "910000114", "COD-2", "A")
    authorize(bank, [row, other], request_id=1, at=timezone.now())
    applicant = make_applicant(document_number="40000001", email="x5@ñandú.pe")
    services.request(applicant.pk, via="S", phone="910000113", operator="CLARO", origin=Origin(), at=timezone.now())
    [person] = search(term)
    assert [each.external_code for each in person.authorized] == ["COD-1"]
    assert person.applicants == [applicant]


def test_a_mailbox_that_got_mail_is_found_by_its_domain_in_ascii(db):
    MessageFactory(kind="suscripcion", via="C", recipient="x5@ñandú.pe")
    assert [person.mailbox for person in search("X5@xn--and-6ma2c.pe")] == ["x5@ñandú.pe"]


@pytest.mark.parametrize("term", ["2380 03337 0713", "2380-03337-0713"])
def test_an_external_client_is_found_by_a_cui_in_groups(registry, term):
    ExternalClientFactory(partner=registry.partner, cui="2380033370713")
    assert len(search(term)) == 1


@pytest.mark.parametrize(
    ("term", "meant"), [("400000019", ["400000019"]), ("CE-1", ["CE-1"]), ("400000013", ["400000013", "40000001"])]
)
def test_a_number_is_not_taken_apart_without_a_reason(term, meant):
    """Nine digits are a CE, unless the last one is the check character of the others."""
    assert documents(term) == meant


def test_rows_of_two_contracts_with_one_document_are_one_person(ana, luis):
    AuthorizedClient.objects.update(document_number=ana.document_number)
    [person] = search(ana.document_number)
    assert len(person.applicants) == len(person.authorized) == 1


def test_two_people_with_one_phone_are_two(ana):
    other = make_applicant(document_number="11112222", email="otra@dominio.com")
    services.request(other.pk, via="W", phone="987654321", operator="CLARO", origin=Origin(), at=timezone.now())
    assert len(search("987654321")) == 2


def test_a_mailbox_that_got_mail_is_found_without_a_registered_person(db):
    MessageFactory(kind="suscripcion", via="C", recipient="x@dominio.com")
    [person] = search("x@dominio.com")
    assert (person.mailbox, person.emails) == ("x@dominio.com", ["x@dominio.com"])


@pytest.mark.parametrize(
    "term",
    [
        "",
        "   ",
        "nadie@dominio.com",
        "00000000",
        "event_999999999999999999",
        "event_x",
        "%",
        "_",
        "'",
        "\\",
        "🙂",
        "x" * 500,
        "9" * 400,
    ],
)
def test_a_term_of_nobody_finds_nobody(ana, luis, term):
    assert search(term) == []


def test_a_message_of_an_erased_person_finds_nobody(luis):
    sent = MessageFactory(sent=True, kind="alerta", via="C", recipient="", authorized_client=luis)
    assert [person.authorized for person in search(str(sent.pk))] == [[luis]]
    erase_authorized([luis.pk], at=timezone.now())
    assert search(str(sent.pk)) == []


def test_no_more_people_are_gathered_than_are_shown(monkeypatch, ana):
    gathered = []
    monkeypatch.setattr(person_search, "person_of", lambda row: gathered.append(row) or person_search.Person([row]))
    for number in range(person_search.MAX_ROWS):
        make_applicant(f"{number:08}", email=f"{number}@dominio.com")
        AuthorizedClientFactory(name="Juan Perez")
    assert len(search("perez juan")) == person_search.MAX_ROWS
    assert len(gathered) == person_search.MAX_ROWS
