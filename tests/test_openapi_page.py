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
    browser.expect(page.locator(".opblock")).to_have_count(13)
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
