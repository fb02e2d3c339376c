"""Admin pages in a real browser: a new credential can be copied, and no page contacts another host."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from testkit.stack import Stack

PASSWORD = "una-clave-larga-de-prueba"
PAGES = (
    "/admin/",
    "/admin/clients/partner/",
    "/admin/clients/applicant/",
    "/admin/messaging/message/",
    "/admin/messaging/campaign/add/",
    "/admin/clients/auditentry/",
    "/admin/auth/user/",
    "/admin/auth/group/",
    "/admin/clients/authorizedclient/importar/",
    "/admin/password_change/",
)


def _log_in_as_admin(stack: Stack, browser: Any, page: Any) -> None:
    name = f"ana{stack.number()}"
    stack.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    stack.manage("createsuperuser", "--noinput", "--username", name, "--email", "ana@example.com")
    page.goto(f"{stack.url}/admin/")
    page.get_by_label("Nombre de usuario").fill(name)
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Ingresar").click()
    browser.expect(page.locator("#content")).to_be_visible()


def _new_key(stack: Stack, page: Any) -> Any:
    stack.new_partner(f"Banco {stack.number()}")
    (key,) = stack.sql("SELECT max(id) FROM clients_partner")[0]
    page.goto(f"{stack.url}/admin/clients/partner/{key}/credencial/")
    page.get_by_role("button", name="Emitir credencial").click()
    return page.locator("#secret")


def test_a_key_is_copied_by_its_button(stack: Stack, browser: Any) -> None:
    page = browser.open()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _log_in_as_admin(stack, browser, page)
    secret = _new_key(stack, page).input_value()
    assert len(secret) == 32
    page.get_by_role("button", name="Copiar").click()
    browser.expect(page.get_by_role("status")).to_have_text("Copiado.")
    assert page.evaluate("navigator.clipboard.readText()") == secret


def test_without_scripts_it_is_there_to_be_selected(stack: Stack, browser: Any) -> None:
    page = browser.open(javascript=False)
    _log_in_as_admin(stack, browser, page)
    secret = _new_key(stack, page)
    browser.expect(secret).to_be_visible()
    assert len(secret.input_value()) == 32
    browser.expect(page.get_by_role("button", name="Copiar")).to_be_hidden()
    browser.expect(page.get_by_text("Selecciónelo con el ratón")).to_be_visible()


def test_its_own_policy_keeps_no_page_from_working(stack: Stack, browser: Any, page: Any) -> None:
    """Features with scripts work: menu, search, a filter applied on choice, date fields."""
    _log_in_as_admin(stack, browser, page)
    _new_key(stack, page)
    for path in PAGES:
        page.goto(f"{stack.url}{path}")
        browser.expect(page.locator("#content")).to_be_visible()
    page.goto(f"{stack.url}/admin/clients/auditentry/")
    choice = page.locator("select.aval-input").first
    choice.evaluate("each => { each.selectedIndex = 1; each.dispatchEvent(new Event('change', {bubbles: true})) }")
    page.wait_for_url("**/admin/clients/auditentry/?*")
    page.goto(f"{stack.url}/admin/")
    assert page.evaluate("typeof Alpine") == "object"
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--color-primary-600')") != ""


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (1280, True)])
def test_no_page_asks_another_host_or_is_wider_than_its_window(
    stack: Stack, browser: Any, width: int, dark: bool
) -> None:
    page = browser.open(width=width, dark=dark)
    _log_in_as_admin(stack, browser, page)
    for path in PAGES:
        page.goto(f"{stack.url}{path}")
        browser.expect(page.locator("#content")).to_be_visible()
        assert not browser.scrolls_sideways(page), path
    assert {urlsplit(url).netloc for url in browser.requested} == {urlsplit(stack.url).netloc}
