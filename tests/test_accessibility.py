"""Accessibility of every page, for each role, by axe-core (WCAG 2): no serious and no critical violation.

axe-core is a package of tests/peers. It is given to the page by the browser's debugger: no page would load it.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from testkit.stack import Stack

AXE = Path(__file__).parent / "peers" / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "una-clave-larga-de-prueba"
PUBLIC = (
    "/",
    "/admin/login/",
    "/ingreso/olvido/",
    "/ingreso/clave/x/y/",
    "/suscripcion/",
    "/suscripcion/baja/x/",
    "/sandbox/messages",
    "/no-hay",
)
ADMIN = (
    "/admin/",
    "/admin/?dias=7",
    "/admin/uso/",
    *(
        f"/admin/{model}/"
        for model in (
            "clients/applicant",
            "clients/auditentry",
            "clients/authorizedclient",
            "clients/externalclient",
            "clients/partner",
            "external_api/apirequest",
            "messaging/campaign",
            "messaging/message",
            "messaging/providerstate",
            "subscription/consentrecord",
            "subscription/subscriptionrequest",
            "tokens/ladderforgiveness",
            "tokens/verificationtoken",
            "auth/group",
            "auth/user",
        )
    ),
)
FORMS = (
    "/admin/auth/user/add/",
    "/admin/clients/authorizedclient/importar/",
    "/admin/clients/partner/add/",
    "/admin/messaging/campaign/add/",
    "/admin/password_change/",
)
DESK = ("/soporte/", "/soporte/?q=perez", "/soporte/mensajes/")
OWN = ("/cuenta/", "/cuenta/segundo-factor/")
PAGES = {
    "Soporte": (*DESK, *OWN),
    "Auditores": (*ADMIN, *DESK),
    "Operaciones": (*ADMIN, *DESK),
    "Administradores": (*ADMIN, *FORMS, *DESK, *OWN),
}


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        missing = "axe-core is missing: npm ci --prefix tests/peers --ignore-scripts"
        (pytest.fail if os.environ.get("AVAL_TEST_EVERYTHING") else pytest.skip)(missing)
    return AXE.read_text()


def faults(page: Any, axe: str) -> list[str]:
    """Serious and critical violations of the page as it stands."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["passes"], "axe looked at something"
    return [
        f"{page.url}: {each['id']}: {node['html'][:200]} ({node['failureSummary'][:200]})"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def log_in(stack: Stack, page: Any, role: str) -> None:
    name = f"eva{stack.number()}"
    stack.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    stack.command("manage", "createsuperuser", "--noinput", "--username", name, "--email", "eva@example.com")
    stack.sql("UPDATE auth_user SET is_superuser = false WHERE username = %s", name)
    stack.sql(
        "INSERT INTO auth_user_groups (user_id, group_id)"
        " SELECT u.id, g.id FROM auth_user u, auth_group g WHERE u.username = %s AND g.name = %s",
        name,
        role,
    )
    page.goto(f"{stack.url}/admin/login/")
    page.get_by_label("Nombre de usuario").fill(name)
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Ingresar").click()
    page.wait_for_load_state()


def test_axe_finds_what_is_wrong(browser: Any, axe: str) -> None:
    page = browser.open()
    page.set_content("<html><body><img src='x.png'><button></button></body></html>")
    assert {each.split(": ")[1] for each in faults(page, axe)} >= {"image-alt", "button-name", "html-has-lang"}


IN_DARK = ("Administradores", "Soporte")
"""Roles whose pages are tried in dark colours too: those of the others are among theirs, and a minute each."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_public_pages_are_accessible(stack: Stack, browser: Any, axe: str, dark: bool) -> None:
    page = browser.open(dark=dark)
    stack.asked()
    found = []
    for path in PUBLIC:
        page.goto(f"{stack.url}{path}")
        found += faults(page, axe)
    assert found == []


@pytest.mark.parametrize(
    ("role", "dark"),
    [(role, dark) for role in PAGES for dark in (False, True) if role in IN_DARK or not dark],
    ids=lambda each: each if isinstance(each, str) else ("dark" if each else "light"),
)
def test_each_roles_pages_are_accessible(stack: Stack, browser: Any, axe: str, role: str, dark: bool) -> None:
    page = browser.open(dark=dark)
    client = stack.asked()
    stack.new_partner(f"Banco {stack.number()}")
    log_in(stack, page, role)
    found = []
    for path in (*PAGES[role], f"/soporte/caso/cliente/{client.client}/"):
        page.goto(f"{stack.url}{path}")
        found += faults(page, axe)
    assert list(dict.fromkeys(found)) == []


def test_a_case_with_its_acts_open_is_accessible_on_a_phone(stack: Stack, browser: Any, axe: str) -> None:
    page = browser.open(width=390)
    client = stack.asked()
    log_in(stack, page, "Administradores")
    page.goto(f"{stack.url}/soporte/caso/cliente/{client.client}/")
    for each in ("Acciones", "Datos personales"):
        page.get_by_text(each, exact=True).click()
    assert faults(page, axe) == []
    assert not browser.scrolls_sideways(page)


def test_enter_in_the_reason_does_no_act_and_shows_nothing(stack: Stack, browser: Any) -> None:
    """A browser presses the first submit button of a form; it unmasked the person, or forgave the wait."""
    page = browser.open()
    client = stack.asked()
    log_in(stack, page, "Administradores")
    page.goto(f"{stack.url}/soporte/caso/cliente/{client.client}/")
    page.get_by_text("Acciones", exact=True).click()
    page.get_by_label("Motivo (queda en la auditoría)").first.fill("lo pidió por teléfono")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert page.url.endswith(f"/{client.client}/")
    assert client.phone not in page.content()
    acts = stack.sql("SELECT action FROM clients_auditentry WHERE object_id = %s", client.client)
    assert acts == []


def test_the_dashboard_renews_itself_and_says_when_it_cannot(stack: Stack, browser: Any) -> None:
    page = browser.open()
    log_in(stack, page, "Operaciones")
    page.clock.install()
    page.goto(f"{stack.url}/admin/")
    page.clock.run_for(31_000)
    page.wait_for_timeout(1_000)
    assert browser.requested.count(f"{stack.url}/admin/tablero/") == 1
    browser.expect(page.locator("#refresh-failed")).to_be_hidden()
    page.context.route("**/admin/tablero/", lambda route: route.abort())
    page.clock.run_for(31_000)
    browser.expect(page.locator("#refresh-failed")).to_be_visible()
