"""External clients in the admin: search, data points and history. Their text is escaped, and nothing can be edited."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clients.credentials import issue
from clients.external_clients import Details, register
from clients.models import AuditEntry, ExternalClient
from tests.factories import PartnerFactory, staff_browser, superuser_browser

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>{{ 7|add:7 }}'
JUAN = Details("2380033370713", "Juan", "Pérez", "555-1234", "ABC123", "98765", "website", [])
LIST = "/admin/clients/externalclient/"


@pytest.fixture
def key(db):
    return issue(PartnerFactory(name="Financiera"), "jwt", at=NOW, by="test")[0]


@pytest.fixture
def agent(db):
    return staff_browser("view_externalclient")


def put(key, client_id="CL1", at=NOW, request_id=7, **changes):
    return register(key, client_id, JUAN._replace(**changes), request_id=request_id, address="192.0.2.7", at=at)


def page_of(client, name="change"):
    return reverse(f"admin:clients_externalclient_{name}", args=[client])


def html_of(http, url, **query):
    answer = http.get(url, query)
    assert answer.status_code == 200
    return answer.content.decode()


def table(html, name):
    """Cells of a table, row by row, as a reader sees them."""
    body = re.search(rf'<table class="aval-table {name}">(.*?)</table>', html, re.S)[1]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.S)
    return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows]


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("2380033370514", {"CL2"}),
        ("CL1", {"CL1"}),
        ("5551234", {"CL1"}),
        ("(502) 5123-4567", {"CL2"}),
        ("perez", {"CL1"}),
        ("ixcot ma", {"CL2"}),
        ("nadie", set()),
        ("", {"CL1", "CL2"}),
    ],
)
def test_a_client_is_found_by_each_value_that_an_agent_has(agent, key, term, found):
    put(key)
    put(key, "CL2", cui="2380033370514", phone="502 51234567", first_name="María", last_name="Ixcot")
    rows = agent.get(LIST, {"q": term}).context["cl"].result_list
    assert {row.client_id for row in rows} == found


def test_a_search_can_be_filtered_by_partner(agent, key):
    put(key)
    other = issue(PartnerFactory(name="Otra"), "jwt", at=NOW, by="test")[0]
    put(other)
    rows = agent.get(LIST, {"q": "juan", "partner__id__exact": other.partner.pk}).context["cl"].result_list
    assert [row.partner for row in rows] == [other.partner]


def test_the_list_shows_what_tells_clients_apart(agent, key):
    put(key)
    html = html_of(agent, LIST)
    for shown in ("Financiera", "CL1", "2380033370713", "Juan Pérez", "555-1234", "ABC123"):
        assert shown in html


def test_data_points_are_a_table_of_typed_values(agent, key):
    points = [
        ("ciudad", "Antigua"),
        ("vip", True),
        ("moroso", False),
        ("hijos", 2),
        ("saldo", 1500.5),
        ("nota", None),
        ("código", "007"),
        ("vacío", ""),
    ]
    client = put(key, data_points=[{"key": name, "value": value} for name, value in points])
    assert table(html_of(agent, page_of(client)), "points") == [
        ["Clave", "Tipo", "Valor"],
        ["ciudad", "texto", "Antigua"],
        ["vip", "sí o no", "sí"],
        ["moroso", "sí o no", "no"],
        ["hijos", "número", "2"],
        ["saldo", "número", "1500.5"],
        ["nota", "nulo", "nulo"],
        ["código", "texto", "007"],
        ["vacío", "texto", ""],
    ]


def test_a_client_without_data_points_has_a_page(agent, key):
    html = html_of(agent, page_of(put(key)))
    assert "Ninguno." in html
    assert '<table class="aval-table points">' not in html


@pytest.mark.parametrize("where", ["change", "history"])
def test_the_history_says_who_when_and_what(agent, key, where):
    put(key, data_points=[{"key": "vip", "value": False}, {"key": "old", "value": 1}])
    client = put(
        key,
        phone="555-9999",
        data_points=[{"key": "vip", "value": True}, {"key": "new", "value": None}],
        at=NOW + timedelta(days=1),
        request_id=1234567,
    )
    who = f"financiera/{key.prefix}"
    assert table(html_of(agent, page_of(client, where)), "changes") == [
        ["Cuándo", "Quién", "Desde", "Solicitud", "Qué", "Antes", "Después"],
        ["13/02/2026 10:30:00", who, "192.0.2.7", "1234567", "Modificado", "", ""],
        ["", "teléfono", "555-1234", "555-9999"],
        ["", "dato «vip»", "no", "sí"],
        ["", "dato «old»", "1", "—"],
        ["", "dato «new»", "—", "nulo"],
        ["12/02/2026 10:30:00", who, "192.0.2.7", "7", "Registrado", "", ""],
    ]


def test_the_history_shows_a_changed_order_of_data_points(agent, key):
    points = [{"key": "a", "value": 1}, {"key": "b", "value": 2}]
    put(key, data_points=points)
    client = put(key, data_points=points[::-1])
    assert ["", "orden de los datos", "a, b", "b, a"] in table(html_of(agent, page_of(client)), "changes")


def test_a_long_history_is_cut_and_another_client_s_is_not_in_it(agent, key):
    put(key, "CL2", first_name="Otro")
    put(key, "CL2", first_name="Ajeno")
    for number in range(60):
        client = put(key, first_name=f"Juan{number}")
    html = html_of(agent, page_of(client))
    acts = [row for row in table(html, "changes") if len(row) == 7]
    assert len(acts) == 1 + 50
    assert "Juan59" in html
    assert "Ajeno" not in html


def test_markup_of_a_partner_is_text(agent, key):
    points = [{"key": HOSTILE, "value": HOSTILE}]
    put(key, first_name=HOSTILE, last_name=HOSTILE, origin=HOSTILE, product_key=HOSTILE, data_points=points)
    client = put(key, "CL1", first_name="Ana", data_points=[{"key": HOSTILE, "value": HOSTILE + "2"}])
    put(key, HOSTILE)
    for html in (html_of(agent, LIST), html_of(agent, page_of(client)), html_of(agent, page_of(client, "history"))):
        assert "&lt;script&gt;alert(" in html
        assert "<script>alert(" not in html
        assert "}}14" not in html


def test_nobody_edits_adds_or_deletes(key):
    http = superuser_browser()
    client = put(key)
    before = ExternalClient.objects.values().get()
    assert http.post(page_of(client), {"first_name": "Ana"}).status_code == 403
    assert http.get(f"{LIST}add/").status_code == 403
    assert http.post(page_of(client, "delete"), {"post": "yes"}).status_code == 403
    http.post(LIST, {"action": "delete_selected", "_selected_action": str(client), "post": "yes"})
    assert ExternalClient.objects.values().get() == before
    assert 'name="_save"' not in html_of(http, page_of(client))


@pytest.mark.parametrize("where", ["change", "history"])
def test_nobody_looks_without_the_permission(key, where):
    client = put(key)
    http = staff_browser("view_partner")
    assert http.get(LIST).status_code == 403
    answer = http.get(page_of(client, where))
    assert answer.status_code == 403
    assert Client().get(page_of(client, where)).status_code == 302, "to the login"


def test_the_audit_is_offered_to_who_may_read_it(agent, key):
    client = put(key)
    link = f"/admin/clients/auditentry/?q={client}"
    assert link not in html_of(agent, page_of(client))
    agent.logout()
    boss = superuser_browser()
    assert link in html_of(boss, page_of(client))
    rows = boss.get(link).context["cl"].result_list
    assert list(rows) == list(AuditEntry.objects.filter(object_id=client))


@pytest.mark.parametrize(
    "query",
    [
        {"q": "\x01"},
        {"q": "'"},
        {"q": "%"},
        {"q": "\\"},
        {"q": "9" * 5000},
        {"q": "<script>alert(1)</script>"},
        {"q": "a" * 3000},
        {"p": "99999"},
        {"o": "99.-1.x"},
        {"created_at__gte": "x"},
        {"partner__id__exact": "x"},
    ],
    ids=str,
)
def test_a_strange_query_is_no_fault(agent, key, query):
    put(key)
    answer = agent.get(LIST, query, follow=True)
    assert answer.status_code == 200
    assert "<script>alert(" not in answer.content.decode()


@pytest.mark.parametrize("strange", ["x", "00000000-0000-4000-8000-000000000000", "%01", "1"])
@pytest.mark.parametrize("where", ["change", "history"])
def test_an_unknown_client_is_no_fault(agent, strange, where):
    answer = agent.get(f"{LIST}{strange}/{where}/", follow=True)
    assert answer.status_code in (200, 404)


def test_the_list_costs_the_same_whatever_it_holds_and_leaves_the_data_points_alone(agent, key):
    def statements():
        with CaptureQueriesContext(connection) as queries:
            html_of(agent, LIST)
            html_of(agent, LIST, q="juan")
        return [query["sql"] for query in queries]

    put(key)
    few = statements()
    for number in range(20):
        put(key, f"X{number}")
    many = statements()
    assert len(many) == len(few) <= 22
    assert not [sql for sql in many if "data_points" in sql]
    assert not [sql for sql in many if "COUNT(" in sql and "LIMIT" not in sql]
