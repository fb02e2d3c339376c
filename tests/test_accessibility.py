"""Accessibility of every page by axe-core (WCAG 2), in light and dark: no serious and no critical violation.

Administrators' pages are found by the map of URLs, with a row behind each: all that answer with a page are looked at.
The other roles see the same pages with less on them, so of theirs only what differs is looked at: the first page, a
case with fewer acts, and forms that they can read and not change. A page is loaded once; its dark form is tried on it
as it stands, for colours alone.

axe-core is a package of tests/peers. It is given to the page by the browser's debugger: no page would load it.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from staff.middleware import MUST_CHANGE
from staff.tests.authenticator import code
from testkit.skipping import skip_or_fail
from testkit.stack import Stack
from tests.pages import Pages, make
from tests.staff_sessions import log_in

pytestmark = pytest.mark.timeout(400)  # twenty pages in one test, on a busy machine
AXE = Path(__file__).parent / "peers" / "node_modules" / "axe-core" / "axe.min.js"
SWITCH = """(scheme) => {
  const theme = document.documentElement;  // the admin's theme asks for the scheme only while it loads
  if (theme.hasAttribute("x-bind")) for (const each of ["light", "dark"]) theme.classList.toggle(each, each === scheme);
}"""
RUN = """async ([scheme, rules]) => {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const isDark = () => {  // by the letters, in whatever notation their colour is
    pixel.fillStyle = getComputedStyle(document.body).color;
    pixel.fillRect(0, 0, 1, 1);
    return pixel.getImageData(0, 0, 1, 1).data.slice(0, 3).every((each) => each > 128);
  };
  const until = Date.now() + 10000;  // a page hears of another scheme by an event
  do {
    await new Promise(requestAnimationFrame);
    for (const each of document.getAnimations()) {
      try { each.finish(); } catch { each.cancel(); }  // one without an end
    }
  } while (isDark() !== (scheme === "dark") && Date.now() < until);
  const found = await axe.run(document, { resultTypes: ["violations"], preload: false, ...rules });
  const grave = found.violations.filter((each) => ["serious", "critical"].includes(each.impact));
  const nodes = (each) => each.nodes.map((node) => [each.id, node.html.slice(0, 200), node.failureSummary]);
  return {
    looked: found.passes.length + found.violations.length + found.incomplete.length,
    dark: isDark(),
    faults: grave.flatMap(nodes),
  };
}"""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
"""Rules whose outcome depends on the colours."""
PARTS = {
    "lists": r"/admin/(\w+/\w+/|uso/)?$",
    "rows": r"/admin/\w+/\w+/[^/]+/(change/)?$",
    "acts": r"/admin/\w+/\w+/.+/\w+/$",
    "desk and account": r"",
}
"""Administrators' pages by what they are: a path belongs to the first part whose pattern it has."""
ALIKE = re.compile(r"/admin/(?!clients/partner|messaging/campaign|messaging/providerstate)\w+/\w+/[^/]+/history/")
"""Histories of one template, of which some are looked at."""
LESS = {
    "Operaciones": ("/admin/", "/admin/messaging/campaign/", "/admin/clients/partner/", "/soporte/caso/cliente/"),
    "Auditores": ("/admin/", "/admin/clients/auditentry/", "/admin/messaging/campaign/", "/soporte/caso/autorizado/"),
    "Soporte": ("/soporte/", "/soporte/mensajes/", "/soporte/caso/cliente/", "/soporte/caso/externo/"),
}
"""Pages of a role that differ from those of administrators; of a list its rows, too."""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        skip_or_fail("axe-core is missing: npm ci --prefix tests/peers --ignore-scripts")
    return AXE.read_text()


@pytest.fixture(scope="module")
def pages(_running: Stack) -> Pages:
    return make(_running)


def faults(page: Any, axe: str) -> Iterator[str]:
    """Serious and critical violations of the page as it stands, and of its colours in the dark, and whether it is wider
    than its window."""
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        yield f"{page.url}: wider than its window"
    page.evaluate(axe)
    for scheme, rules in (("light", {}), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SWITCH, scheme)
        found = page.evaluate(RUN, [scheme, rules])
        assert found["looked"], f"axe looked at nothing of {page.url} ({scheme})"
        assert found["dark"] == (scheme == "dark"), f"the letters of {page.url} are not those of {scheme}"
        for rule, html, summary in found["faults"]:
            yield f"{page.url} {scheme}: {rule}: {html} ({summary[:200]})"
    page.emulate_media(color_scheme="light")
    page.evaluate(SWITCH, "light")


def faults_of(stack: Stack, page: Any, axe: str, paths: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for path in paths:
        page.goto(f"{stack.url}{path}")
        found.update(dict.fromkeys(faults(page, axe)))
    return list(found)


def opened(stack: Stack, page: Any, paths: Iterable[str]) -> list[str]:
    """Those of the paths that answer with a page to who is logged in."""
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
    found = []
    for path in paths:
        answer = stack.http.get(path, headers={"Cookie": cookies})
        if answer.status_code == 200 and "<html" in answer.text:
            found.append(path)
    return found


def test_axe_finds_what_is_wrong(browser: Any, axe: str) -> None:
    page = browser.open()
    page.set_content(
        "<html><style>@media (prefers-color-scheme: dark) { body { color: #eee } }</style>"
        "<body><img src='x.png'><button></button><p>Texto</p></body></html>"
    )
    found = {tuple(each.split(": ")[:2]) for each in faults(page, axe)}
    assert found >= {
        *(("about:blank light", rule) for rule in ("image-alt", "button-name", "html-has-lang")),
        ("about:blank dark", "color-contrast"),
    }


def test_public_pages_are_accessible(stack: Stack, browser: Any, axe: str, pages: Pages) -> None:
    stack.asked()
    assert faults_of(stack, browser.open(), axe, pages["public"]) == []


@pytest.mark.parametrize("part", PARTS)
def test_administrators_pages_are_accessible(stack: Stack, browser: Any, axe: str, pages: Pages, part: str) -> None:
    page = browser.open()
    log_in(stack, page, "Administradores")
    of_part = (path for path in pages["staff"] if _part_of(path) == part and not ALIKE.match(path))
    paths = opened(stack, page, of_part)
    assert paths, "some page is in each part"
    assert faults_of(stack, page, axe, paths) == []


def _part_of(path: str) -> str:
    return next(part for part, pattern in PARTS.items() if re.match(pattern, path.partition("?")[0]))


@pytest.mark.parametrize("role", LESS)
def test_other_roles_pages_are_accessible(stack: Stack, browser: Any, axe: str, pages: Pages, role: str) -> None:
    page = browser.open()
    log_in(stack, page, role)
    paths = {path: None for start in LESS[role] for path in _first_of(start, pages)}
    assert opened(stack, page, paths) == list(paths)
    assert faults_of(stack, page, axe, [*paths, "/admin/auth/user/"]) == [], "the last one is refused to them"


def _first_of(start: str, pages: Pages) -> Iterator[str]:
    """A list and its rows' pages; of cases, which have no list, each case."""
    is_case = "/caso/" in start
    row = re.compile(rf"{start}[\w-]*\d[\w-]*/{'' if is_case else 'change/'}$")
    if not is_case:
        yield start
    yield from (path for path in pages["staff"] if row.match(path))


def test_pages_behind_a_form_are_accessible(stack: Stack, browser: Any, axe: str, pages: Pages) -> None:
    """A new credential, which is shown once, and a form with faults."""
    page = browser.open()
    log_in(stack, page, "Administradores")
    page.goto(f"{stack.url}/admin/clients/partner/1/credencial/")
    page.get_by_role("button", name="Emitir credencial").click()
    browser.expect(page.locator("#secret")).to_be_visible()
    found = list(faults(page, axe))
    page.goto(f"{stack.url}/admin/clients/partner/add/")
    page.locator("[name=_save]").click()
    browser.expect(page.get_by_text("Este campo es requerido.").first).to_be_visible()
    assert [*found, *faults(page, axe)] == []


def test_the_steps_of_an_import_are_accessible(stack: Stack, browser: Any, axe: str, pages: Pages) -> None:
    page = browser.open()
    log_in(stack, page, "Administradores")
    page.goto(f"{stack.url}/admin/clients/authorizedclient/importar/")
    page.get_by_label("Empresa").select_option(index=1)
    number = stack.number()
    rows = f"correo,codigo_externo,perfil,nombre\na{number}@dominio.com,X-{number},VIP,Ana Quispe\nnadie,,,\n"
    page.locator("#id_file").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    page.get_by_role("button", name="Revisar").click()
    confirm = page.get_by_role("button", name="Importar 1 cliente")
    browser.expect(confirm).to_be_visible()
    found = list(faults(page, axe))
    with stack.database(autocommit=False) as holder:
        holder.execute("LOCK TABLE clients_authorizedclient IN EXCLUSIVE MODE")
        confirm.click()
        browser.expect(page.get_by_text("La revisión sigue aquí")).to_be_visible()
    found += faults(page, axe)
    page.get_by_role("button", name="Importar 1 cliente").click()
    browser.expect(page.get_by_role("heading", name="Importación terminada").first).to_be_visible()
    assert [*found, *faults(page, axe)] == []


def test_the_reference_is_accessible_while_it_is_used(stack: Stack, browser: Any, axe: str) -> None:
    page = browser.open()
    page.set_default_timeout(40_000)  # Swagger UI takes seconds for an operation, and many on a busy machine
    page.goto(f"{stack.url}/referencia/")
    browser.expect(page.get_by_role("button", name="Autorizar")).to_be_visible(timeout=40_000)
    found = list(faults(page, axe))
    for name in ("InformaPeru-solicitarToken", "InformaPeru-estado"):
        page.locator(f"#operations-{name} .opblock-summary-control").click()
        page.locator(f"#operations-{name}").get_by_role("button", name="Probar").click()
    page.get_by_role("button", name="Ejecutar").last.click()
    browser.expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text(
        "200", timeout=40_000
    )
    assert page.url.endswith("#/InformaPeru/estado"), "an operation still has a link of its own"
    page.get_by_role("button", name="Autorizar").first.click()
    browser.expect(page.get_by_role("button", name="Cerrar").first).to_be_visible()
    assert [*found, *faults(page, axe)] == []


def test_the_pages_of_a_second_factor_and_of_a_first_password_are_accessible(
    stack: Stack, browser: Any, axe: str
) -> None:
    key = "12" * 20
    page = browser.open()
    user = log_in(stack, page, "Administradores", staff_enrolling=key)
    page.goto(f"{stack.url}/cuenta/segundo-factor/")
    page.get_by_label("Código de 6 dígitos").fill(code(key, -1))
    page.get_by_role("button", name="Activar").click()
    browser.expect(page.locator(".codes")).to_be_visible()
    found = list(faults(page, axe))
    found += faults_of(stack, page, axe, [f"/cuenta/segundo-factor/{what}/" for what in ("codigos", "quitar")])
    page.context.clear_cookies()
    log_in(stack, page, user=user)
    found += faults_of(stack, page, axe, ["/cuenta/codigo/", "/cuenta/codigo/respaldo/"])
    page.context.clear_cookies()
    log_in(stack, page, "Soporte", **{MUST_CHANGE: True})
    found += faults_of(stack, page, axe, ["/soporte/"])
    browser.expect(page).to_have_url(re.compile("/admin/password_change/"))
    assert found == []


def test_a_case_with_its_acts_open_is_accessible_on_a_phone(stack: Stack, browser: Any, axe: str) -> None:
    page = browser.open(width=390)
    client = stack.asked()
    log_in(stack, page, "Administradores")
    page.goto(f"{stack.url}/soporte/caso/cliente/{client.client}/")
    for each in ("Acciones", "Datos personales"):
        page.get_by_text(each, exact=True).click()
    assert list(faults(page, axe)) == []
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
