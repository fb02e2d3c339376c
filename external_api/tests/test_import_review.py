"""The page before an import shows what would be stored, and stays when the database gives up."""

import re
import threading
import time
from html import unescape

import psycopg
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections

from clients.models import AuthorizedClient
from external_api.client_import import jobs
from external_api.client_import.columns import FIELDS
from external_api.models import ApiRequest
from external_api.tests.workbooks import book, number, row, sheet, styles, text
from tests.factories import AuthorizedClientFactory, superuser_browser

IMPORT = "/admin/clients/authorizedclient/importar/"
HEADER = row(*map(text, FIELDS))


def upload(http, partner, data, name="clientes.xlsx"):
    return http.post(IMPORT, {"partner": partner.pk, "file": SimpleUploadedFile(name, data)})


def confirm(http, answer):
    parcel = unescape(re.search(r'name="parcel" value="([^"]+)"', answer.content.decode())[1])
    return http.post(IMPORT, {"parcel": parcel})


def clients(count):
    return "\n".join([",".join(FIELDS), *(f",,,,C-{at},VIP,c{at}@dominio.pe" for at in range(count))]).encode()


@pytest.fixture
def partner(nopasanada):
    return nopasanada.partner


@pytest.fixture
def http(db):
    return superuser_browser()


@pytest.mark.django_db
def test_the_review_shows_the_clients_as_they_would_be_stored(http, partner):
    AuthorizedClientFactory(partner=partner, email="esta@dominio.pe")
    rows = [
        row(
            *map(text, ("D´Angelo Paz", "Dni", "40.000.001", "+51 987 654 321")),
            number("123", 1),
            text(" VIP  A "),
            text("ANA@Dominio.pe"),
        ),
        row(*map(text, ("", "", "", "")), number("1E+20"), text("V"), text("b@dominio.pe")),
        row(*map(text, ("", "", "", "", "C", "V", "esta@dominio.pe"))),
        row(*map(text, ("", "", "", "", "C-4", "V", "c@xn--and-6ma2c.pe")), hidden="1"),
    ]
    data = book(
        {"Clientes": sheet(HEADER, *rows), "Notas": sheet(row(text("x")))}, parts={"xl/styles.xml": styles("00000")}
    )
    answer = upload(http, partner, data)
    review = answer.context["review"]
    assert [(each.number, each.values) for each in review.sample] == [
        (2, ["D'Angelo Paz", "DNI", "40000001", "987654321", "00123", "VIP A", "ana@dominio.pe"]),
        (5, ["", "", "", "", "C-4", "V", "c@ñandú.pe"]),
    ]
    assert [(each.number, each.email) for each in answer.context["outcome"].faults] == [
        (3, "b@dominio.pe"),
        (4, "esta@dominio.pe"),
    ]
    page = answer.content.decode()
    for shown in ("Hoja «Clientes»", "también se leen: 5.", "otras hojas con datos: «Notas»", "00123", "c@ñandú.pe"):
        assert shown in page
    confirm(http, answer)
    fields = ("name", "document_type", "document_number", "phone", "external_code", "profile", "email")
    stored = AuthorizedClient.objects.exclude(email="esta@dominio.pe").order_by("id").values_list(*fields)
    assert [list(each) for each in stored] == [each.values for each in review.sample]


@pytest.mark.django_db
def test_the_review_shows_the_first_clients_only(http, partner):
    answer = upload(http, partner, clients(50), "clientes.csv")
    assert [each.number for each in answer.context["review"].sample] == list(range(2, 2 + jobs.SAMPLE))
    page = answer.content.decode()
    assert f"los primeros {jobs.SAMPLE} de 50" in page
    assert "CSV en UTF-8, separado por coma" in page


@pytest.mark.django_db
def test_a_row_that_cannot_be_read_leaves_its_address_to_another(http, partner):
    data = f"{','.join(FIELDS)}\n,,,,#N/A,V,a@b.pe\n,,,,C,V,a@b.pe\n,,,,C,V,a@b.pe\n".encode()
    answer = upload(http, partner, data, "clientes.csv")
    assert [(each.number, each.errors) for each in answer.context["outcome"].faults] == [
        (2, ["codigo_externo: es un error de Excel: escriba el valor."]),
        (4, ["Correo repetido en la solicitud."]),
    ]
    assert answer.context["outcome"].good == 1


# --- the database gives up ---


@pytest.fixture
def elsewhere(transactional_db):
    """A connection of another process, with the table of clients locked."""
    with psycopg.connect(**{**connection.get_connection_params(), "cursor_factory": None, "context": None}) as other:
        yield other


@pytest.mark.django_db(transaction=True)
def test_an_import_that_waits_too_long_keeps_its_review_and_works_again(http, partner, elsewhere):
    answer = upload(http, partner, clients(3), "clientes.csv")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    elsewhere.execute("LOCK TABLE clients_authorizedclient IN EXCLUSIVE MODE")
    refused = confirm(http, answer)
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    page = refused.content.decode()
    assert "La base de datos no terminó a tiempo y no se guardó nada." in page
    assert "Importar 3 clientes" in page
    assert refused.context["review"] == answer.context["review"]
    assert not AuthorizedClient.objects.exists()
    elsewhere.rollback()
    assert confirm(http, refused).context["outcome"].good == 3
    assert AuthorizedClient.objects.count() == ApiRequest.objects.get().successes == 3
    assert confirm(http, refused).status_code == 302, "and once only"


@pytest.mark.django_db(transaction=True)
def test_an_import_whose_connection_is_lost_keeps_its_review_and_works_again(http, partner, elsewhere):
    answer = upload(http, partner, clients(3), "clientes.csv")
    elsewhere.execute("LOCK TABLE clients_authorizedclient IN EXCLUSIVE MODE")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (ours,) = cursor.fetchone()

    def end_it():
        waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        try:
            while True:
                with connections["default"].cursor() as cursor:
                    cursor.execute(waits, [ours])
                    if cursor.fetchone():
                        cursor.execute("SELECT pg_terminate_backend(%s)", [ours])
                        return
                time.sleep(0.02)
        finally:
            connections["default"].close()

    ending = threading.Thread(target=end_it)
    ending.start()
    refused = confirm(http, answer)
    ending.join()
    assert refused.status_code == 503
    assert "Se perdió la conexión con la base de datos." in refused.content.decode()
    elsewhere.rollback()
    assert confirm(http, refused).context["outcome"].good == 3


@pytest.mark.django_db(transaction=True)
def test_a_review_that_the_database_gives_up_on_asks_for_the_file_again(http, partner, elsewhere):
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    elsewhere.execute("LOCK TABLE clients_authorizedclient IN EXCLUSIVE MODE")
    answer = upload(http, partner, clients(3), "clientes.csv")
    assert answer.status_code == 503
    assert "Elija el archivo otra vez en un momento." in answer.content.decode()
    elsewhere.rollback()
    assert upload(http, partner, clients(3), "clientes.csv").context["outcome"].good == 3
