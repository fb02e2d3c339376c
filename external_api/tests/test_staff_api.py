"""Staff API: clients and messages page by page, without a code."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings as site

from conftest import make_applicant
from external_api.tests.staff_agent import BASE, LISTS, NOON, SEES_ALL, Desk, ask, member
from messaging.models import Message
from tests.factories import MessageEventFactory, VerificationTokenFactory
from tokens import services

pytestmark = pytest.mark.django_db

CODE = "Q7ZX"


@pytest.fixture(autouse=True)
def known_code(monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)


@pytest.fixture
def agent(db):
    return member("ana", *SEES_ALL)


@pytest.fixture
def desk(agent):
    return Desk(agent)


# --- what is shown --------------------------------------------------------------------------------------------------


def test_a_client_in_the_list(desk, informa):
    applicant = make_applicant(partner=informa.partner)
    assert desk.listed("clients") == {
        "data": [
            {
                "id": str(applicant.pk),
                "empresa": "informa",
                "tipo_documento": "DNI",
                "documento": "12345678",
                "digito_verificador": "9",
                "nombres": "Juan",
                "apellido_paterno": "Perez",
                "apellido_materno": "Gomez",
                "correo": "juan12345678@example.com",
                "departamento": "LIMA",
                "provincia": "LIMA",
                "distrito": "MIRAFLORES",
                "estado": "PENDIENTE",
                "via_validada": None,
                "destino_validado": None,
                "operador": None,
                "bloqueado": None,
                "creado": "2026-02-12T10:30:00-05:00",
                "actualizado": "2026-02-12T10:30:00-05:00",
                "validado": None,
            }
        ],
        "next": None,
        "previous": None,
    }


def test_a_client_with_its_codes_their_messages_and_what_happened_to_them(desk):
    applicant = make_applicant()
    first, first_message = ask(applicant)
    MessageEventFactory(message=first_message, state="SENT", provider="sandbox")
    second, second_message = ask(applicant, at=NOON + timedelta(minutes=2), via="C")
    answer = desk.get(f"{BASE}/clients/{applicant.pk}")
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["id"] == str(applicant.pk)
    assert data["codigos_errados_seguidos"] == 0
    assert [token["id"] for token in data["tokens"]] == [str(second.pk), str(first.pk)]
    older = data["tokens"][1]
    assert older == {
        "id": str(first.pk),
        "via": "S",
        "destino": "987654321",
        "operador": "CLARO",
        "resultado": "REEMPLAZADO",
        "intentos_errados": 0,
        "creado": "2026-02-12T12:00:00-05:00",
        "vence": "2026-02-12T12:02:30-05:00",
        "cerrado": "2026-02-12T12:02:00-05:00",
        "intento_devuelto": None,
        "intento_cliente": 1,
        "espera_cliente_segundos": 120,
        "intento_destino": 1,
        "espera_destino_segundos": 120,
        "mensajes": older["mensajes"],
    }
    assert older["mensajes"] == [
        {
            "id": str(first_message.pk),
            "empresa": None,
            "tipo": "verificacion",
            "via": "S",
            "destino": "987654321",
            "asunto": "",
            "estado": "CANCELLED",
            "intentos": 0,
            "token": str(first.pk),
            "id_solicitud": None,
            "proveedor": None,
            "id_proveedor": None,
            "respuesta_proveedor": None,
            "creado": "2026-02-12T12:00:00-05:00",
            "enviar_antes_de": older["mensajes"][0]["enviar_antes_de"],
            "enviado": None,
            "entregado": None,
            "eventos": [
                {
                    "fecha": "2026-02-12T12:00:00-05:00",
                    "estado": "SENT",
                    "intento": 1,
                    "proveedor": "sandbox",
                    "detalle": None,
                },
                {
                    "fecha": "2026-02-12T12:02:00-05:00",
                    "estado": "CANCELLED",
                    "intento": 0,
                    "proveedor": None,
                    "detalle": "código REEMPLAZADO",
                },
            ],
            "texto": first_message.text,
        }
    ]
    assert "••••" in first_message.text
    assert [message["id"] for message in data["tokens"][0]["mensajes"]] == [str(second_message.pk)]


def test_a_proof_is_shown(desk):
    applicant = make_applicant()
    ask(applicant)
    services.verify(applicant.pk, CODE, origin=services.Origin(), at=NOON + timedelta(seconds=30))
    row = desk.listed("clients")["data"][0]
    assert (row["estado"], row["validado"]) == ("VALIDADO", "2026-02-12T12:00:30-05:00")
    assert (row["via_validada"], row["destino_validado"], row["operador"]) == ("S", "987654321", "CLARO")


def test_a_code_is_in_no_answer(desk):
    applicant = make_applicant()
    token, message = ask(applicant)
    token.refresh_from_db()
    hidden = [CODE, bytes(token.code_hmac).hex(), bytes(message.sealed).decode()]
    hidden += [base64.b64encode(bytes(token.code_hmac)).decode(), str(bytes(token.code_hmac)), "hmac", "sealed"]
    for path in (*LISTS, f"{BASE}/clients/{applicant.pk}"):
        answer = desk.get(path)
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        assert not [secret for secret in hidden if secret in answer.content.decode()]


def test_a_client_s_page_shows_a_bounded_number_of_codes(desk):
    applicant = make_applicant()
    for hours in range(101):
        VerificationTokenFactory(applicant=applicant, created_at=NOON + timedelta(hours=hours), outcome="CANCELADO")
    tokens = desk.get(f"{BASE}/clients/{applicant.pk}").json()["data"]["tokens"]
    assert len(tokens) == 100
    assert tokens[0]["creado"] > tokens[-1]["creado"]


# --- filters --------------------------------------------------------------------------------------------------------


@pytest.fixture
def applicants(informa):
    """One of a partner, validated; one without a partner, with a code; one without, a passport, a day later."""
    proved = make_applicant("11111111", partner=informa.partner)
    ask(proved, phone="911111111", partner=informa.partner)
    services.verify(proved.pk, CODE, origin=services.Origin(informa.partner), at=NOON)
    asked = make_applicant("22222222")
    ask(asked, phone="922222222")
    late = make_applicant(
        "AB1234567", document_type="PASAPORTE", email="ñandú@example.com", created_at=NOON + timedelta(days=1)
    )
    return {"proved": str(proved.pk), "asked": str(asked.pk), "late": str(late.pk)}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["late", "asked", "proved"]),
        ({"documento": "11111111"}, ["proved"]),
        ({"documento": "ab1234567"}, ["late"]),
        ({"documento": "1111111"}, []),
        ({"correo": "JUAN22222222@example.com"}, ["asked"]),
        ({"correo": "ñandú@EXAMPLE.com"}, ["late"]),
        ({"telefono": "911111111"}, ["proved"]),
        ({"telefono": "922222222"}, ["asked"]),
        ({"telefono": "933333333"}, []),
        ({"estado": "VALIDADO"}, ["proved"]),
        ({"estado": "PENDIENTE"}, ["late", "asked"]),
        ({"empresa": "informa"}, ["proved"]),
        ({"empresa": "nadie"}, []),
        ({"desde": "2026-02-13"}, ["late"]),
        ({"hasta": "2026-02-12"}, ["asked", "proved"]),
        ({"desde": "2026-02-12", "hasta": "2026-02-12"}, ["asked", "proved"]),
        ({"desde": "2026-02-12", "hasta": "2026-02-13", "estado": "PENDIENTE"}, ["late", "asked"]),
        ({"estado": "", "documento": " ", "desde": ""}, ["late", "asked", "proved"]),
        ({"otro": "x"}, ["late", "asked", "proved"]),
    ],
    ids=str,
)
def test_clients_are_filtered(desk, applicants, query, found):
    ids = desk.ids("clients", **query)
    assert sorted(ids) == sorted(applicants[name] for name in found)
    assert not found or ids[0] == applicants[found[0]] or found[0] == "asked"  # two share a moment


def test_days_are_whole_days_in_lima(desk):
    first = make_applicant("11111111", created_at=datetime(2026, 2, 12, 5, 0, tzinfo=UTC))
    last = make_applicant("22222222", created_at=datetime(2026, 2, 13, 4, 59, 59, 999_999, tzinfo=UTC))
    make_applicant("33333333", created_at=datetime(2026, 2, 13, 5, 0, tzinfo=UTC))
    make_applicant("44444444", created_at=datetime(2026, 2, 12, 4, 59, 59, tzinfo=UTC))
    assert desk.ids("clients", desde="2026-02-12", hasta="2026-02-12") == [str(last.pk), str(first.pk)]


def test_messages_are_filtered(desk, applicants, informa):
    to_proved = Message.objects.get(recipient="911111111")
    to_asked = Message.objects.get(recipient="922222222")
    mail = ask(make_applicant("55555555"), via="C", at=NOON + timedelta(days=1))[1]
    everything = sorted(str(each.pk) for each in (to_proved, to_asked, mail))
    assert sorted(desk.ids("messages")) == everything
    assert desk.ids("messages")[0] == str(mail.pk)
    for query, found in (
        ({"via": "C"}, mail),
        ({"destino": "911111111"}, to_proved),
        ({"destino": "Juan55555555@example.com"}, mail),
        ({"token": str(to_asked.reference)}, to_asked),
        ({"token": str(to_asked.reference).upper()}, to_asked),
        ({"empresa": "informa"}, to_proved),
        ({"desde": "2026-02-13"}, mail),
        ({"estado": "CANCELLED"}, to_proved),
    ):
        assert desk.ids("messages", **query) == [str(found.pk)], query
    assert desk.ids("messages", estado="DELIVERED") == []
    assert desk.ids("messages", token=str(uuid4())) == []


# --- pages ----------------------------------------------------------------------------------------------------------


def walk(desk, url, towards):
    """All rows of all pages, following links until they end."""
    pages = []
    while url:
        assert url.startswith(site.PUBLIC_URL + "/v1/api/admin/")
        answer = desk.http.get(url.removeprefix(site.PUBLIC_URL), headers=desk.headers)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        pages.append([row["id"] for row in body["data"]])
        last, url = url, body[towards]
    return pages, last


@pytest.mark.parametrize("step", [timedelta(minutes=1), timedelta(0)], ids=["apart", "all at one moment"])
def test_pages_hold_every_row_once_there_and_back(desk, step):
    made = [make_applicant(f"{number:08}", created_at=NOON + number * step) for number in range(7)]
    newest_first = [str(each.pk) for each in sorted(made, key=lambda each: (each.created_at, each.pk), reverse=True)]
    there, last = walk(desk, f"{site.PUBLIC_URL}{BASE}/clients?limit=3&estado=PENDIENTE", "next")
    assert [id for page in there for id in page] == newest_first
    assert [len(page) for page in there] == [3, 3, 1]
    back, first = walk(desk, last, "previous")
    assert [id for page in reversed(back) for id in page] == newest_first
    assert "estado=PENDIENTE" in first
    assert "limit=3" in first


def test_a_row_that_arrives_meanwhile_moves_no_page(desk):
    made = [str(make_applicant(f"{number:08}", created_at=NOON + timedelta(seconds=number)).pk) for number in range(4)]
    first = desk.listed("clients", limit=2)
    late = make_applicant("99999999", created_at=NOON + timedelta(days=1))
    second = desk.http.get(first["next"].removeprefix(site.PUBLIC_URL), headers=desk.headers).json()
    assert [row["id"] for row in first["data"] + second["data"]] == made[::-1]
    again = desk.http.get(second["previous"].removeprefix(site.PUBLIC_URL), headers=desk.headers).json()
    assert again["data"] == first["data"]
    newer = desk.http.get(again["previous"].removeprefix(site.PUBLIC_URL), headers=desk.headers).json()
    assert [row["id"] for row in newer["data"]] == [str(late.pk)]
    assert newer["previous"] is None


def test_a_page_has_fifty_rows_and_two_hundred_at_most(desk):
    for number in range(51):
        make_applicant(f"{number:08}", created_at=NOON + timedelta(seconds=number))
    first = desk.listed("clients")
    assert len(first["data"]) == 50
    assert first["previous"] is None
    assert len(desk.listed("clients", limit=200)["data"]) == 51
    assert desk.listed("clients", limit=200)["next"] is None
    assert len(desk.listed("clients", limit=1)["data"]) == 1


def test_links_begin_with_public_url_whatever_the_host_header(desk, settings):
    settings.PUBLIC_URL = "https://aval.example.com"
    settings.ALLOWED_HOSTS = ["*"]
    for number in range(2):
        make_applicant(f"{number:08}", created_at=NOON + timedelta(seconds=number))
    answer = desk.http.get(f"{BASE}/clients?limit=1", headers={**desk.headers, "Host": "evil.example"})
    assert answer.json()["next"].startswith("https://aval.example.com/v1/api/admin/clients?limit=1&cursor=n")
    assert "evil" not in answer.content.decode()


@pytest.mark.parametrize("what", ["clients", "messages"])
def test_a_page_costs_the_same_whatever_it_holds(desk, informa, what, django_assert_num_queries):
    for number in range(20):
        applicant = make_applicant(f"{number:08}", partner=informa.partner)
        ask(applicant, phone=f"9{number:08}", partner=informa.partner)
    expected = {"clients": 5, "messages": 6}[what]  # the agent, their rights, the page, its events, the audit
    ask(make_applicant(), partner=None, phone="900000099")
    for limit in (2, 20):
        with django_assert_num_queries(expected + 1):  # and the log of requests
            desk.listed(what, limit=limit)


def test_a_client_costs_the_same_however_many_codes_it_has(desk, django_assert_num_queries):
    applicant = make_applicant()
    for minutes in (0, 2, 6, 36):
        ask(applicant, at=NOON + timedelta(minutes=minutes))
    with django_assert_num_queries(9):
        desk.get(f"{BASE}/clients/{applicant.pk}")
