"""Second factor in a real browser: enrolment, login with a code, and the redirect of a page whose session has ended.

All of Aval's processes run; the login pages have no scripts.
"""

import re
from base64 import b32decode
from typing import Any

from staff.tests.authenticator import code
from testkit.stack import Stack

PASSWORD = "una-clave-larga-de-prueba"


def test_enrolled_in_the_browser_and_asked_for_ever_after(stack: Stack, browser: Any) -> None:
    name = f"ada{stack.number()}"
    stack.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    stack.manage("createsuperuser", "--noinput", "--username", name, "--email", "ada@example.com")
    page = browser.open(javascript=False, width=390)
    page.goto(f"{stack.url}/cuenta/segundo-factor/")
    _give_password(page, name)
    page.get_by_text("No puedo leerlo: escribir la clave").click()
    key = b32decode(page.locator(".secret").inner_text().replace(" ", "")).hex()
    assert page.locator("svg.qr").bounding_box()["width"] > 150
    assert not browser.scrolls_sideways(page)
    _give_code(page, code(key, -1), "Activar")
    assert len(re.findall(r"\w{5}-\w{5}", page.locator(".codes").inner_text())) == 10
    page.get_by_role("link", name="Ya los guardé").click()
    page.goto(f"{stack.url}/cuenta/")
    browser.expect(page.locator(".state")).to_have_text("Activo")
    page.get_by_role("button", name="Salir").click()
    browser.expect(page.get_by_role("status")).to_have_text("Salió de su sesión.")

    page = browser.open()
    page.goto(f"{stack.url}/soporte/mensajes/")
    _give_password(page, name)
    browser.expect(page.get_by_role("heading", name="Código de su aplicación")).to_be_visible()
    _give_code(page, code(key), "Continuar")
    browser.expect(page.get_by_role("heading", name="Mensajes")).to_be_visible()


def test_a_forgotten_log_finds_its_way_to_the_login(stack: Stack, browser: Any) -> None:
    """The page polls every five seconds; an ended session must not look like an empty answer."""
    name = f"eva{stack.number()}"
    stack.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    stack.manage("createsuperuser", "--noinput", "--username", name, "--email", "eva@example.com")
    stack.asked()
    page = browser.open()
    page.goto(f"{stack.url}/soporte/mensajes/")
    _give_password(page, name)
    browser.expect(page.locator("tbody tr").first).to_be_visible()
    stack.sql("DELETE FROM django_session")
    browser.expect(page.get_by_role("heading", name="Ingresar")).to_be_visible(timeout=15_000)
    _give_password(page, name)
    browser.expect(page.locator("tbody tr").first).to_be_visible()


def _give_password(page: Any, name: str) -> None:
    page.get_by_label("Nombre de usuario").fill(name)
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Ingresar").click()


def _give_code(page: Any, typed: str, button: str) -> None:
    page.get_by_label("Código de 6 dígitos").fill(typed)
    page.get_by_role("button", name=button).click()
