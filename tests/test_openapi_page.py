"""API reference in a real browser: it loads from this server alone, and its endpoints can be tried out."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from testkit.stack import Stack


@pytest.mark.parametrize("width", [1280, 390])
def test_the_reference_asks_nobody_else_and_fits_the_window(stack: Stack, browser: Any, width: int) -> None:
    page = browser.open(width=width, height=800)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(f"{stack.url}/referencia/")
    browser.expect(page.get_by_role("heading", name="API de Aval")).to_be_visible()
    browser.expect(page.locator(".opblock")).to_have_count(32)
    page.locator("#operations-InformaPeru-solicitarToken .opblock-summary-control").click()
    browser.expect(page.get_by_role("button", name="Probar")).to_be_visible()
    assert not browser.scrolls_sideways(page)
    hosts = {urlsplit(url).netloc for url in browser.requested if not url.startswith("data:")}
    assert hosts == {urlsplit(stack.url).netloc}
    assert faults == []


def test_an_endpoint_can_be_tried_out_on_it(stack: Stack, browser: Any) -> None:
    page = browser.open()
    page.goto(f"{stack.url}/referencia/")
    page.locator("#operations-InformaPeru-estado .opblock-summary-control").click()
    page.get_by_role("button", name="Probar").click()
    page.get_by_role("button", name="Ejecutar").click()
    browser.expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    assert browser.requested[-1].endswith("/v1/api/status")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_guide_fits_the_window_and_its_links_land(stack: Stack, browser: Any, width: int, scheme: str) -> None:
    page = browser.open(width=width, height=800)
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{stack.url}/referencia/guia/")
    for title in ("2. NoPasaNadaPE", "3. InformaPerú", "4. Registro de clientes externos", "5. Límites, idempotencia"):
        page.goto(f"{stack.url}/referencia/guia/")
        page.locator("main").get_by_role("link", name=title.partition(" ")[2]).first.click()
        browser.expect(page.get_by_role("heading", level=1)).to_contain_text(title)
        assert not browser.scrolls_sideways(page), title
    page.get_by_role("link", name="la espera entre códigos").click()
    browser.expect(page.get_by_role("heading", name="La espera entre códigos")).to_be_in_viewport()
    assert stack.url in page.goto(f"{stack.url}/referencia/guia/1-introduccion").text()
    hosts = {urlsplit(url).netloc for url in browser.requested}
    assert hosts == {urlsplit(stack.url).netloc}


def test_the_reference_leads_to_the_guide(stack: Stack, browser: Any) -> None:
    page = browser.open()
    page.goto(f"{stack.url}/referencia/")
    link = page.locator("#reference").get_by_role("link", name="guía para empresas", exact=True)
    assert link.evaluate("each => each.href") == f"{stack.url}/referencia/guia/"
