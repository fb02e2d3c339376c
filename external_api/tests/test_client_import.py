"""Files of authorised clients: previewed before they are applied, by the contract's rules, and safe to open."""

import csv
import io
import re
import zipfile
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from openpyxl import Workbook, load_workbook

from clients.models import AuditEntry, AuthorizedClient, Partner
from conftest import NOW
from external_api.client_import import admin
from external_api.client_import.cell_texts import neutral, original
from external_api.client_import.columns import COLUMNS, FIELDS
from external_api.client_import.limits import MAX_UNZIPPED_BYTES, WrongFile
from external_api.client_import.spreadsheets import read
from external_api.frontdoor.export_slots import STAFF, Slot
from external_api.models import ApiRequest
from tests.factories import AuthorizedClientFactory, PartnerFactory, staff_browser, superuser_browser

pytestmark = pytest.mark.django_db

LIST = "/admin/clients/authorizedclient/"
IMPORT = f"{LIST}importar/"
HEADER = ",".join(FIELDS)
GOOD = "Juan Pérez,DNI,12345678,987654321,C-1,VIP,juan@dominio.com"


@pytest.fixture
def superuser():
    return superuser_browser()


@pytest.fixture
def partner(nopasanada):
    return nopasanada.partner


def as_bytes(*lines):
    return "\r\n".join([HEADER, *lines]).encode()


def xlsx(*rows, header=FIELDS):
    book, into = Workbook(), io.BytesIO()
    for row in (header, *rows):
        book.active.append(row)
    book.save(into)
    return into.getvalue()


def upload(http, partner, data, name="clientes.csv"):
    return http.post(IMPORT, {"partner": partner.pk, "file": SimpleUploadedFile(name, data)})


def parcel_in(answer):
    return unescape(re.search(r'name="parcel" value="([^"]+)"', answer.content.decode())[1])


def confirm(http, answer):
    return http.post(IMPORT, {"parcel": parcel_in(answer)})


def faults(answer):
    return [(fault.number, fault.errors) for fault in answer.context["outcome"].faults]


def form_error(answer):
    assert answer.status_code == 200
    return answer.context["form"].errors["file"]


def lines(data, at_most=10_000):
    found = read(data, at_most=at_most, too_many="Demasiados clientes.")
    assert not any(row.faults for row in found.rows)
    return [(row.number, row.cells) for row in found.rows]


def client(partner, email="ana@dominio.com", **changes):
    fields = {"external_code": "C", "request_id": 7, "created_at": NOW}
    return AuthorizedClientFactory(partner=partner, email=email, **{**fields, **changes})


# --- import ---


def test_a_preview_stores_nothing(superuser, partner):
    answer = upload(superuser, partner, as_bytes(GOOD))
    assert (answer.context["outcome"].good, faults(answer)) == (1, [])
    assert "Todavía no se ha guardado nada" in answer.content.decode()
    assert not AuthorizedClient.objects.exists()
    assert not ApiRequest.objects.exists()
    assert not AuditEntry.objects.filter(action="clients.imported").exists()


def test_confirming_applies_it_as_one_request_of_the_contract(superuser, partner):
    done = confirm(superuser, upload(superuser, partner, as_bytes(GOOD, ",,,,,,mal")))
    request = ApiRequest.objects.get()
    assert (request.contract, request.partner, request.user, request.action) == ("nopasanada", partner, "ana", "alta")
    assert (request.status, request.successes, request.failures, request.address) == (207, 1, 1, "192.0.2.7")
    who = AuthorizedClient.objects.get()
    assert (who.partner, who.request_id, who.subscribed_at) == (partner, request.pk, None)
    assert (who.name, who.document_type, who.document_number, who.phone) == (
        "Juan Pérez",
        "DNI",
        "12345678",
        "987654321",
    )
    assert (who.external_code, who.profile, who.email) == ("C-1", "VIP", "juan@dominio.com")
    entry = AuditEntry.objects.get(action="clients.imported")
    assert (entry.actor, entry.address, entry.object_id) == ("ana", "192.0.2.7", str(partner.pk))
    assert entry.data == {"request": request.pk, "file": "clientes.csv", "good": 1, "bad": 1}
    assert f"solicitud <strong>{request.pk}</strong>" in done.content.decode()


def test_what_was_imported_is_said_in_the_singular_too(superuser, partner):
    more = [GOOD.replace("juan@", f"{name}@") for name in ("eva", "ana")]
    for rows, words in (
        ([GOOD, ",,,,,,mal"], "Se autorizó 1 cliente; se omitió 1 fila con errores."),
        ([GOOD, *more, ",,,,,,mal"], "Se autorizaron 2 clientes; se omitieron 2 filas con errores."),
    ):
        done = confirm(superuser, upload(superuser, partner, as_bytes(*rows))).content.decode()
        assert words in re.sub("<[^>]+>", "", done)


def test_each_line_s_faults_are_the_contract_s(superuser, partner, desk):
    client(partner, "vive@dominio.com")
    rows = [
        ",,,,C-1,VIP,vive@dominio.com",
        "",
        "R2,LE,1,12,,,mal",
        ",CE,1234567890,,C,V,",
        ",,,,C-1,VIP,Uno@Dominio.com",
        ",,,,C-1,VIP,uno@dominio.com",
    ]
    answer = upload(superuser, partner, as_bytes(*rows))
    assert faults(answer) == [
        (2, ["Correo ya registrado."]),
        (
            4,
            [
                "Nombre Invalido.",
                "Tipo de Documento Invalido.",
                "Celular Invalido.",
                "Codigo Externo Requerido.",
                "Perfil Requerido.",
                "Correo Invalido.",
            ],
        ),
        (5, ["Numero de Documento Invalido.", "Correo Requerido."]),
        (7, ["Correo repetido en la solicitud."]),
    ]
    sent = [dict(zip(FIELDS, row.split(","), strict=True)) for row in rows if row]
    fallos = desk.send("alta", clientes=sent).json()["resultados"]["fallos"]
    assert [errors for _, errors in faults(answer)] == [each["errores"] for each in fallos]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("comma", [",", ";"])
def test_csv_with_and_without_mark_with_either_separator(mark, comma):
    text = as_bytes(GOOD).decode().replace(",", comma)
    assert lines(mark + text.encode()) == [(2, GOOD.split(","))]


def test_columns_may_stand_in_any_order_and_be_spelled_for_people():
    data = 'Correo;Código externo;PERFIL\na@b.pe;"x;y";V\n'.encode()
    assert lines(data) == [(2, ["", "", "", "", "x;y", "V", "a@b.pe"])]


def test_xlsx_keeps_numbers_as_they_were_typed(superuser, partner):
    row = ["Juan Pérez", "DNI", 12345678, 987654321.0, 15, None, "juan@dominio.com"]
    data = xlsx(row, [None] * 7, ["", "", "", "", "'=1+1", "V", "eva@dominio.com"])
    found = lines(data)
    assert found == [
        (2, ["Juan Pérez", "DNI", "12345678", "987654321", "15", "", "juan@dominio.com"]),
        (4, ["", "", "", "", "=1+1", "V", "eva@dominio.com"]),
    ]
    confirm(superuser, upload(superuser, partner, data, "clientes.xlsx"))
    assert AuthorizedClient.objects.get().external_code == "=1+1"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", None),
        (b"\r\n\r\n", "El archivo está vacío."),
        (HEADER.encode(), "Clientes requeridos."),
        (b"hola\nque tal", "Columnas desconocidas: hola."),
        (b"correo,perfil\na@b.pe,V", "Faltan columnas: codigo_externo."),
        (b"correo,Correo,perfil,codigo_externo\n", "La columna correo está repetida."),
        (as_bytes('"sin cerrar'), "El CSV está mal formado"),
        (b"PK\x03\x04 no es un zip", "El XLSX está dañado o protegido."),
        (xlsx(["x"])[:-200], "El XLSX está dañado o protegido."),
        (b"x" * (5 * 1024 * 1024 + 1), "El archivo pasa de 5 MB."),
    ],
)
def test_a_file_that_is_no_list_of_clients_says_why(superuser, partner, data, text):
    errors = form_error(upload(superuser, partner, data))
    assert text is None or errors[0].startswith(text)
    assert not AuthorizedClient.objects.exists()


def test_a_zip_that_is_no_sheet_and_a_sheet_that_unfolds_without_end():
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as parts:
        parts.writestr("hola.txt", "hola")
    with pytest.raises(WrongFile, match="dañado"):
        lines(plain.getvalue())
    bomb = io.BytesIO(xlsx(["x"]))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/sharedStrings.xml.bak", bytes(MAX_UNZIPPED_BYTES))
    with pytest.raises(WrongFile, match="demasiado grande"):
        lines(bomb.getvalue())


def test_too_many_rows_and_empty_ones_that_do_not_count():
    assert len(lines(as_bytes(*[GOOD] * 10_000))) == 10_000
    with pytest.raises(WrongFile, match="Demasiados clientes"):
        lines(as_bytes(*[GOOD] * 10_001))
    assert lines(as_bytes(*["", ",,,,,,"] * 100_000, GOOD)) == [(200_002, GOOD.split(","))]


def test_an_ended_authorisation_does_not_come_back_by_accident():
    data = b"correo,perfil,codigo_externo,dado_de_baja_el\na@b.pe,V,C,\nb@b.pe,V,C,2026-01-01\n"
    with pytest.raises(WrongFile, match="La fila 3 está dada de baja"):
        lines(data)


def test_a_file_is_applied_once(superuser, partner):
    checked = upload(superuser, partner, as_bytes(GOOD))
    confirm(superuser, checked)
    AuthorizedClient.objects.all().delete()
    again = confirm(superuser, checked)
    assert again.status_code == 302
    assert not AuthorizedClient.objects.exists()
    assert ApiRequest.objects.count() == 1


def test_the_previewed_rows_cannot_be_exchanged(superuser, partner):
    checked = upload(superuser, partner, as_bytes(GOOD))
    parcel = parcel_in(checked)
    assert superuser.post(IMPORT, {"parcel": "A" + parcel}).status_code == 302
    other = upload(superuser, partner, as_bytes(GOOD.replace("juan@", "eva@")))
    assert superuser.post(IMPORT, {"parcel": parcel}).status_code == 302
    assert confirm(superuser, other).status_code == 302
    assert not AuthorizedClient.objects.exists()


def test_only_partners_that_may_use_the_contract(superuser, informa, nopasanada):
    off = PartnerFactory(name="Apagada", is_active=False)
    for each in (informa.partner, off):
        assert upload(superuser, each, as_bytes(GOOD)).context["form"].errors["partner"]
    checked = upload(superuser, nopasanada.partner, as_bytes(GOOD))
    Partner.objects.update(is_active=False)
    assert confirm(superuser, checked).status_code == 302
    assert not AuthorizedClient.objects.exists()


def test_the_number_of_statements_does_not_depend_on_the_rows(superuser, partner):
    def statements(rows):
        data = as_bytes(*[GOOD.replace("juan@", f"c{each}@{rows}.") for each in range(rows)])
        with CaptureQueriesContext(connection) as caught:
            assert confirm(superuser, upload(superuser, partner, data)).status_code == 200
        return len(caught)

    statements(2)
    assert statements(3) == statements(3_000)
    assert AuthorizedClient.objects.count() == 3_005


def test_ten_thousand_rows_come_through(superuser, partner):
    rows = [f"Juan Pérez,DNI,{n:08},987654321,C-{n},VIP,c{n}@dominio.com" for n in range(10_000)]
    done = confirm(superuser, upload(superuser, partner, as_bytes(*rows)))
    assert done.context["outcome"].good == 10_000


def test_a_parcel_that_no_form_would_carry_is_refused(superuser, partner, monkeypatch):
    monkeypatch.setattr(admin, "MAX_PARCEL_BYTES", 100)
    assert form_error(upload(superuser, partner, as_bytes(GOOD))) == ["El archivo es demasiado grande; divídalo."]


def test_contents_are_shown_as_text(superuser, partner):
    html = upload(superuser, partner, as_bytes(",,,,C,V,<script>x</script>"), "<b>.csv").content.decode()
    assert "<script>x</script>" not in html
    assert "&lt;script&gt;x" in html
    assert "<b>.csv" not in html


def test_permissions(partner):
    assert Client().get(IMPORT).status_code == 302
    http = staff_browser("view_authorizedclient")
    assert http.get(LIST).status_code == 200
    assert "Importar" not in http.get(LIST).content.decode()
    assert http.get(IMPORT).status_code == 403
    assert upload(http, partner, as_bytes(GOOD)).status_code == 403
    User.objects.all().delete()
    http = staff_browser("view_partner")
    for path in ("", "exportar.csv", "exportar.xlsx", "importar/"):
        assert http.get(LIST + path).status_code == 403


# --- the list ---


def test_the_list_finds_exactly_and_filters(superuser, partner, stranger):
    client(partner, "ana@dominio.com", document_type="PASAPORTE", document_number="AB12345", external_code="X-9")
    client(partner, "eva@dominio.com", subscribed_at=NOW, profile="ORO")
    client(stranger.partner, "luz@dominio.com", deauthorized_at=NOW, subscribed_at=NOW)

    def shown(query):
        answer = superuser.get(f"{LIST}?{query}")
        assert answer.status_code == 200
        return {each.email[:3] for each in answer.context["cl"].result_list}

    assert shown("") == {"ana", "eva", "luz"}
    assert shown("q=ANA@dominio.com") == shown("q=ab12345") == shown("q=X-9") == {"ana"}
    assert shown("q=dominio") == shown("q=X") == set()
    assert shown("vigente=si") == {"ana", "eva"}
    assert shown("vigente=no") == {"luz"}
    assert shown("suscrito=si") == {"eva"}
    assert shown("suscrito=no") == {"ana", "luz"}
    assert shown("perfil=ORO") == {"eva"}
    assert shown(f"partner__id__exact={stranger.partner.pk}&vigente=no") == {"luz"}
    html = superuser.get(f"{LIST}?vigente=si&perfil=%3Cb%3E").content.decode()
    assert '<input type="hidden" name="vigente" value="si">' in html
    assert 'value="&lt;b&gt;"' in html


def test_the_number_of_queries_does_not_grow_with_the_list(superuser, partner):
    client(partner)
    superuser.get(LIST)
    with CaptureQueriesContext(connection) as few:
        superuser.get(LIST)
    for each in range(20):
        client(partner, f"c{each}@dominio.com")
    with CaptureQueriesContext(connection) as many:
        superuser.get(LIST)
    assert len(many) == len(few)


def test_a_client_cannot_be_written_by_hand(superuser, partner):
    who = client(partner)
    assert superuser.get(f"{LIST}add/").status_code == 403
    assert superuser.post(f"{LIST}{who.pk}/change/", {"email": "x@y.pe"}).status_code == 403
    assert superuser.post(f"{LIST}{who.pk}/delete/", {"post": "yes"}).status_code == 403
    assert superuser.get(f"{LIST}{who.pk}/change/").status_code == 200


# --- export ---

FORMULAS = ["=1+1", "+51", "-1", "@SUM(A1)", "\tx", "\r=x", "\n=x", "'=x", "''@x", "＝1"]
ZEROS_KEPT = ["'00123", "''5"]
"""Codes that begin with an apostrophe: people keep the zeros of a number with one."""
PLAIN_CELLS = ["", "Juan", "O'Higgins", "'cita'", "a=b", "1-2", "'"]


@pytest.mark.parametrize("cell", FORMULAS + ZEROS_KEPT + PLAIN_CELLS)
def test_no_cell_is_a_formula_and_each_comes_back(cell):
    written = neutral(cell)
    assert written[:1] not in tuple("=+-@\t\r\n＝")
    assert original(written) == cell
    assert (written == cell) == (cell in PLAIN_CELLS)


def exported(http, path):
    answer = http.get(LIST + path)
    assert answer.status_code == 200, answer.content
    assert "no-store" in answer["Cache-Control"]
    return b"".join(answer.streaming_content)


def sheet_of(data):
    return list(load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True))


@pytest.fixture
def some(partner):
    client(
        partner,
        "ana@dominio.com",
        name="Ana Ñahui",
        document_type="DNI",
        document_number="01234567",
        phone="987654321",
        external_code='=HYPERLINK("x")',
        profile="-VIP; oro, plata",
        subscribed_at=NOW,
    )
    client(partner, "eva@dominio.com", external_code="\\N y \\\\", profile="'=x")
    return partner


@pytest.mark.django_db(transaction=True)
def test_a_csv_shows_what_the_list_shows_and_ends_with_its_count(superuser, some):
    client(some, "baja@dominio.com", deauthorized_at=NOW)
    data = exported(superuser, "exportar.csv?vigente=si")
    assert data.startswith(b"\xef\xbb\xbfnombre,")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows == [
        list(COLUMNS),
        [
            "Ana Ñahui",
            "DNI",
            "01234567",
            "987654321",
            '\'=HYPERLINK("x")',
            "'-VIP; oro, plata",
            "ana@dominio.com",
            "Nopasanada",
            "sí",
            "7",
            "2026-02-12 10:30:00",
            "",
        ],
        ["", "", "", "", "\\N y \\\\", "''=x", "eva@dominio.com", "Nopasanada", "no", "7", "2026-02-12 10:30:00", ""],
        ["Total: 2 filas"],
    ]
    entry = AuditEntry.objects.get(action="clients.exported")
    assert entry.data == {"format": "csv", "filter": {"vigente": "si"}}
    assert (entry.actor, entry.address) == ("ana", "192.0.2.7")


def with_entities(data):
    """The workbook with a billion laughs in its sheet: a little text that becomes 3 GB."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    stored, into = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(into, "w") as bomb:
        for part in stored.namelist():
            text = stored.read(part).decode()
            if part.startswith("xl/worksheets/sheet"):
                body = text[text.index("<worksheet") :].replace("<t>", "<t>&l9;", 1)
                text = f'<?xml version="1.0"?><!DOCTYPE worksheet [<!ENTITY l0 "ja">{laughs}]>{body}'
            bomb.writestr(part, text)
    return into.getvalue()


def test_a_workbook_of_entities_that_expand_is_refused_before_it_expands(superuser, partner):
    data = with_entities(xlsx(["Ana", "", "", "", "1", "V", "ana@dominio.com"]))
    answer = upload(superuser, partner, data, "clientes.xlsx")
    assert "El XLSX está dañado o protegido." in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_an_xlsx_holds_text_and_no_formula(superuser, some):
    data = exported(superuser, "exportar.xlsx")
    rows = sheet_of(data)
    assert rows[0] == COLUMNS
    assert rows[1][4] == '\'=HYPERLINK("x")'
    cells = [cell for row in load_workbook(io.BytesIO(data)).active for cell in row]
    assert not [cell.value for cell in cells if cell.data_type == "f"]
    assert rows[1][2] == "01234567"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_what_was_exported_can_be_imported_as_it_was(superuser, some, form):
    values = ("name", "document_type", "document_number", "phone", "external_code", "profile", "email")
    before = list(AuthorizedClient.objects.order_by("id").values_list(*values))
    data = exported(superuser, f"exportar.{form}")
    AuthorizedClient.objects.all().delete()
    answer = confirm(superuser, upload(superuser, some, data))
    assert faults(answer) == []
    assert list(AuthorizedClient.objects.order_by("id").values_list(*values)) == before


@pytest.mark.django_db(transaction=True)
def test_nothing_to_export_is_an_empty_list(superuser):
    assert exported(superuser, "exportar.csv").decode("utf-8-sig") == ",".join(COLUMNS) + "\r\nTotal: 0 filas\r\n"
    assert len(sheet_of(exported(superuser, "exportar.xlsx"))) == 1


@pytest.mark.django_db(transaction=True)
def test_one_export_at_a_time_and_a_released_slot_lets_the_next_begin(superuser, some):
    first = superuser.get(f"{LIST}exportar.csv")
    second = superuser.get(f"{LIST}exportar.csv?vigente=si")
    assert second.headers["Location"] == f"{LIST}?vigente=si"
    first.close()
    third = superuser.get(f"{LIST}exportar.csv")
    next(iter(third.streaming_content))
    third.close()
    assert exported(superuser, "exportar.csv").endswith(b"Total: 2 filas\r\n")
    Slot(STAFF).release()


@pytest.mark.django_db(transaction=True)
def test_more_than_a_sheet_should_hold_is_sent_to_csv(superuser, some, monkeypatch):
    monkeypatch.setattr(admin, "MAX_XLSX_ROWS", 1)
    answer = superuser.get(f"{LIST}exportar.xlsx")
    assert answer.headers["Location"].startswith(LIST)
    assert len(sheet_of(exported(superuser, "exportar.xlsx?q=eva@dominio.com"))) == 2
