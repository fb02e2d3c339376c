"""Support desk in a real browser: an agent finds a client by telephone, reads why the code failed and sends a new one.

All of Aval's processes run; the agent has the role Soporte and no other right.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from config.run.processes import wait_until
from testkit.stack import Asked, Stack
from tests.staff_sessions import log_in


def test_a_late_code_is_explained_the_wait_forgiven_and_a_new_code_arrives(stack: Stack, browser: Any) -> None:
    client = _who_typed_it_late(stack, seconds_late=12)
    page = browser.open()
    agent = log_in(stack, page, "Soporte")
    page.goto(f"{stack.url}/soporte/")
    page.get_by_role("searchbox").fill(client.phone)
    page.keyboard.press("Enter")
    browser.expect(page.locator(".sentence")).to_contain_text(
        re.compile(r"Ingresó el código correcto 1[2-9] segundos tarde")
    )
    browser.expect(page.locator(".next")).to_contain_text("o antes si le perdona la espera")
    assert client.phone not in page.content(), "masked until it is asked for"

    _act(page, "Reenviar por SMS", "se le venció")
    browser.expect(page.get_by_role("status")).to_contain_text("Debe esperar")
    _act(page, "Perdonar espera", "se le venció, llama del 987")
    browser.expect(page.get_by_role("status")).to_contain_text("puede pedir otro código por SMS ahora")
    before = stack.code(client.phone)
    _act(page, "Reenviar por SMS", "lo espera en línea")
    browser.expect(page.get_by_role("status")).to_contain_text("Código nuevo en camino por SMS")
    assert wait_until(lambda: stack.code(client.phone) != before, 10), "the new code is with the client"
    page.reload()
    browser.expect(page.locator(".sentence")).to_contain_text("y aún vale")
    assert not browser.scrolls_sideways(page)
    assert stack.verify(client.client, str(stack.code(client.phone))).status_code == 200
    page.reload()
    browser.expect(page.locator(".sentence")).to_contain_text("Ya está verificado")

    _the_log_shows_what_comes(stack, browser, page)
    assert {urlsplit(url).netloc for url in browser.requested} == {urlsplit(stack.url).netloc}, "nobody else is asked"
    actions = stack.sql(
        "SELECT action, actor, reason FROM clients_auditentry WHERE actor = %s ORDER BY id", agent.username
    )
    assert [action for action, _, _ in actions] == ["ladder.forgiven", "code.resent"]


def _who_typed_it_late(stack: Stack, *, seconds_late: int) -> Asked:
    """A client with a running wait whose second code was typed too late. Rows are dated back to save time."""
    client = stack.asked()
    first = stack.code_soon(client.phone)
    _back(stack, client, 125)
    assert stack.ask(client.client, client.phone).status_code == 200
    assert wait_until(lambda: stack.code(client.phone) != first, 10)
    _back(stack, client, 150 + seconds_late)
    answer = stack.verify(client.client, str(stack.code(client.phone)))
    assert (answer.status_code, answer.json()["code"]) == (400, "ERR_TOKEN_EXPIRED")
    return client


def _back(stack: Stack, client: Asked, seconds: int) -> None:
    stack.sql(
        "UPDATE tokens_verificationtoken SET created_at = created_at - %s * interval '1 second',"
        " expires_at = expires_at - %s * interval '1 second' WHERE applicant_id = %s",
        seconds,
        seconds,
        client.client,
    )


def _act(page: Any, button: str, reason: str) -> None:
    page.get_by_text("Acciones", exact=True).click()
    page.get_by_label("Motivo").fill(reason)
    page.get_by_role("button", name=button).click()


def _the_log_shows_what_comes(stack: Stack, browser: Any, page: Any) -> None:
    """The log shows new rows without a reload."""
    page.get_by_role("link", name="Mensajes").click()
    shown = page.locator("tbody tr").count()
    assert shown > 0
    newcomer = stack.asked()
    mask = f"9•• ••• {newcomer.phone[-3:]}"
    browser.expect(page.locator("tbody tr").first).to_contain_text(mask, timeout=15_000)
    assert newcomer.phone not in page.content()
