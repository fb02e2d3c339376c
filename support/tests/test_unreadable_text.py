"""Text that no database stores, and numbers and dates out of range, in a URL or form: never a server error.

The text is a NUL, a lone surrogate or broken UTF-8; the answer is a 400 or an ordinary page. Generated from the URL map
and the admin's register.
"""

import pytest
from django.test import Client

from support.tests.cast import everything, list_of, page_of, registered
from support.tests.url_map import API, NOT_OF_THE_STAFF, addresses, body_of, filled, names_of, routes
from tests.factories import superuser_browser

pytestmark = pytest.mark.django_db

NO_TEXT = ("%00", "a%00b", "%ED%A0%80", "%FF", "%C3")
BEYOND = (
    "99999999999999999999",
    "-1",
    "9" * 500,
    "1e400",
    "NaN",
    "10000-01-01",
    "0000-00-00",
    "9999-12-31",
    "9999-12-31 25:00",
    "0001-01-01",
    "2026-02-30",
    "'",
    "%27%22%3B--",
    "(",
    "%5C",
    "%F0%9F%98%80",
    "٩",
    "true",
    "None",
    "null",
    "_00",
    "00000000-0000-0000-0000-00000000000g",
    ",",
    "%2C" * 50,
    "x" * 5000,
    "",
)


@pytest.fixture
def boss():
    return superuser_browser("aaa", raise_request_exception=False)


@pytest.fixture
def rows(db):
    everything("dato", [1])


CONTRACTS = (
    *("/api/v1", "/v1/api/status", "/v1/api/client", "/v1/api/admin/clients", "/external/client/registry"),
    *("/partners/v1/events", "/partners/v1/usage", "/partners/v1/messages/x", "/partners/v1/verifications/x"),
)


@pytest.mark.parametrize("path", CONTRACTS)
@pytest.mark.parametrize("bad", NO_TEXT)
def test_a_contract_refuses_unreadable_text_in_its_envelope(path, bad):
    for address in (f"{path}?x={bad}", f"{path}?{bad}=x", f"{path}/{bad}", f"{path}?a=1&b={bad}&c=2"):
        answer = Client(raise_request_exception=False).get(address)
        of_partners = path.startswith("/partners/")
        expected = "application/problem+json" if of_partners else "application/json"
        assert (answer.status_code, answer["Content-Type"]) == (400, expected), address
        body = answer.json()
        assert ({"code", "request_id"} if of_partners else {"resultados", "error", "header"}) & set(body), body


@pytest.mark.parametrize("bad", NO_TEXT)
def test_other_urls_refuse_unreadable_text_with_a_page_in_spanish(boss, bad):
    for path in ("/soporte/", "/admin/", "/suscripcion", "/admin/login/", "/sandbox/messages", "/nada", "/referencia"):
        for http in (boss, Client(raise_request_exception=False)):
            for address in (f"{path}?q={bad}", f"{path}?{bad}=1", f"{path}{bad}"):
                answer = http.get(address)
                assert answer.status_code == 400, address
                assert '<html lang="es' in answer.content.decode()


@pytest.mark.parametrize("bad", NO_TEXT)
def test_unreadable_text_in_a_url_is_no_server_error(rows, boss, bad):
    for route in dict.fromkeys(routes()):
        if not names_of(route):
            continue
        path = filled(route, dict.fromkeys(names_of(route), bad)).replace(".*", bad)
        for method in ("get", "post"):
            answer = getattr(boss, method)(path)
            assert answer.status_code == 400 or "/verify/" in path or "/(?:" in route, (path, answer.status_code)
            assert answer.status_code < 500, path


OWN = ("q", "p", "o", "e", "all", "_changelist_filters", "_to_field", "_popup", "pk", "id__exact", "created_at__gte")
"""Parameters that Django gives each list, or that a caller may guess."""
SHARES = 10
"""Parts of BEYOND of which a parameter of a list gets one."""


def filters_of(http, model):
    """Parameters of a list of the admin: Django's own, and those of its filters."""
    cl = http.get(list_of(model)).context["cl"]
    names = set()
    for spec in cl.filter_specs:
        names |= set(spec.expected_parameters() or [])
        for choice in spec.choices(cl):
            names |= {choice["name"]} if "name" in choice else set()
    return [*OWN, *sorted(names - set(OWN))]


def test_each_value_is_tried_on_each_list_and_in_each_parameter_of_all_lists():
    assert len(OWN) >= SHARES
    assert len(registered()) >= SHARES


@pytest.mark.parametrize(
    ("number", "model"), list(enumerate(registered())), ids=lambda each: getattr(each, "__name__", None)
)
def test_unreadable_text_in_a_filter_of_the_admin_is_no_server_error(rows, boss, number, model):
    """Some of the values in each filter: all of them on each list, and in each parameter that all lists have."""
    for nth, name in enumerate(filters_of(boss, model)):
        for value in BEYOND[(number + nth) % SHARES :: SHARES]:
            answer = boss.get(f"{list_of(model)}?{name}={value}")
            assert answer.status_code in (200, 302, 400, 404), (name, value[:40], answer.status_code)
        bad = NO_TEXT[nth % len(NO_TEXT)]
        assert boss.get(f"{list_of(model)}?{name}={bad}").status_code == 400, (name, bad)


@pytest.mark.parametrize("model", registered(), ids=lambda model: model._meta.label)
def test_an_unreadable_row_id_in_the_admin_is_no_server_error(rows, boss, model):
    there = page_of(model._default_manager.first())
    for nth, value in enumerate(each for each in BEYOND if each):
        for page in (("change", "history", "delete")[nth % 3],):
            answer = boss.get(there.rsplit("/", 3)[0] + f"/{value}/{page}/")
            assert answer.status_code in (200, 302, 403, 404), (value[:40], page, answer.status_code)


DESK = {
    "/soporte/": ("q",),
    "/soporte/mensajes/": ("grupo", "via", "tipo", "empresa", "desde", "hasta", "antes", "desde_fila"),
    "/soporte/mensajes.csv": ("grupo", "via", "tipo", "empresa", "desde", "hasta"),
    "/admin/": ("dia", "desde", "hasta", "periodo", "q"),
    "/admin/search/": ("s", "term"),
    "/admin/autocomplete/": ("term", "app_label", "model_name", "field_name", "page"),
    "/admin/login/": ("next", "motivo"),
    "/cuenta/codigo/": ("next",),
    "/cuenta/segundo-factor/": ("next",),
    "/sandbox/messages": ("to", "format"),
    "/suscripcion": ("correo",),
}


@pytest.mark.parametrize("path", DESK)
def test_an_unreadable_query_is_no_server_error(rows, boss, path):
    for name in DESK[path]:
        for value in BEYOND:
            answer = boss.get(f"{path}?{name}={value}")
            body_of(answer)
            assert answer.status_code < 500, (name, value[:40], answer.status_code)


@pytest.mark.parametrize("text", ["\x00", "a\x00b"])
def test_unreadable_text_in_a_form_of_the_staff_is_no_server_error(rows, boss, text):
    """Each field of every form, and each parameter that a view reads without a form."""
    for route, path in addresses():
        if route.startswith(API) or route in ("/admin/logout/",):
            continue
        page = boss.get(path)
        body_of(page)
        context = page.context or {}
        form = context.get("form") or getattr(context.get("adminform"), "form", None)
        form = form if hasattr(form, "fields") else None
        names = {
            "action",
            "_selected_action",
            "index",
            "next",
            "motivo",
            "q",
            "via",
            "autorizado",
            "codigo",
            "username",
        }
        body = dict.fromkeys([*names, *(form.fields if form else ())], text)
        for sent in (body, {text: "x"}):
            answer = boss.post(path, sent)
            body_of(answer)
            assert answer.status_code < 500, (path, answer.status_code)


@pytest.mark.parametrize("path", ["/suscripcion", "/suscripcion/baja/x", "/suscripcion/confirmar/x"])
def test_unreadable_text_in_a_public_form_is_no_server_error(path):
    http = Client(raise_request_exception=False)
    for name in ("correo", "texto", "alcance", "List-Unsubscribe", "\x00", "csrfmiddlewaretoken"):
        assert http.post(path, {name: "a\x00@b.pe"}).status_code < 500, name


def test_every_address_of_the_staff_is_tried(rows):
    assert len(list(addresses())) > 100
    assert NOT_OF_THE_STAFF
