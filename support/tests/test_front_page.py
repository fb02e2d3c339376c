"""Start page, addresses without their last slash, and the mark of a sandbox on every page of staff."""

import pytest
from django.test import Client

from tests.factories import staff_browser, superuser_browser

pytestmark = pytest.mark.django_db


def test_the_start_page_leads_companies_clients_and_staff():
    page = Client().get("/")
    text = page.content.decode()
    assert page.status_code == 200
    for href in ("/referencia/", "/suscripcion/", "/admin/", "/soporte/"):
        assert f'href="{href}"' in text, href
    assert "default-src 'none'" in page["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/admin", "/soporte", "/cuenta"])
def test_a_page_is_found_without_its_last_slash(path):
    for query in ("", "?q=%3Cx%3E"):
        answer = Client().get(path + query)
        assert (answer.status_code, answer["Location"]) == (302, f"{path}/{query}")
    assert Client().post(path).status_code == 405


@pytest.mark.parametrize("path", ["/admin//otro.example", "/sopor"])
def test_no_other_address_is_redirected(path):
    assert Client().get(path).status_code in (302, 404)
    assert "otro.example" not in Client().get(path).headers.get("Location", "").split("?")[0]


def test_browsers_and_crawlers_get_what_they_ask_for():
    assert Client().get("/favicon.ico")["Location"].endswith(".svg")
    robots = Client().get("/robots.txt")
    assert robots["Content-Type"] == "text/plain; charset=utf-8"
    assert "Disallow: /soporte/\n" in robots.content.decode()


PAGES = ["/admin/", "/admin/clients/partner/", "/soporte/", "/soporte/mensajes/", "/cuenta/", "/soporte/?q=nadie"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_of_staff_bears_the_mark_of_a_sandbox(path, settings):
    boss = superuser_browser()
    settings.SANDBOX_MARK = "Pruebas: nada sale de verdad"
    assert "Pruebas: nada sale de verdad" in boss.get(path).content.decode()
    settings.SANDBOX_MARK = ""
    assert "Pruebas" not in boss.get(path).content.decode()


def test_the_login_and_a_refusal_bear_it_too(settings):
    settings.SANDBOX_MARK = "Pruebas: nada sale de verdad"
    for http, path in ((Client(), "/admin/login/"), (staff_browser(), "/soporte/")):
        assert settings.SANDBOX_MARK in http.get(path).content.decode()


def test_the_admin_names_the_language_of_the_other_pages():
    assert '<html lang="es-PE"' in superuser_browser().get("/admin/").content.decode()


def test_what_was_saved_is_said_without_a_gender():
    form = {"name": "Caja Cusco", "slug": "caja-cusco", "is_active": "on", "contracts": "nopasanada"}
    answer = superuser_browser().post("/admin/clients/partner/add/", form, follow=True)
    assert "Se agregó: empresa «" in answer.content.decode()
    assert "El empresa" not in answer.content.decode()


def test_an_auditor_is_shown_no_link_that_would_be_refused():
    boss = superuser_browser()
    form = {"name": "Caja Cusco", "slug": "caja-cusco", "is_active": "on", "contracts": "nopasanada"}
    boss.post("/admin/clients/partner/add/", form)
    boss.post("/admin/auth/group/add/", {"name": "Nuevo"})
    boss.get("/soporte/mensajes.csv?via=S")
    page = staff_browser(roles=("Auditores",), name="aud").get("/admin/clients/auditentry/").content.decode()
    assert "/admin/clients/partner/" in page
    assert "Rol " in page
    assert 'href="/admin/auth/group/' not in page
    assert "formato: csv" in page, "what an export held is in the list"
