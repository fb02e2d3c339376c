"""Subscription in a real browser: from the form to the end of the subscription, with the mails in between.

The browser has no JavaScript, as on an old phone; the SMTP server is real, and all of Aval's processes run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import httpx

from config.run.processes import wait_until
from messaging.tests.smtp_servers import Mailbox, real_server
from testkit.stack import PartnerKeys, Stack


def test_a_client_subscribes_leaves_comes_back_and_leaves_again(stack: Stack, browser: Any) -> None:
    partner, email = stack.new_partner("Boletines del Sur"), f"ana{stack.number()}@dominio.com"
    row = {"correo": email, "codigo_externo": "CLI-001", "perfil": "VIP"}
    assert stack.call_nopasanada(partner, "alta", clientes=[row])["cuenta_exitos"] == 1
    client = Client(stack, browser)
    with _mail_by_smtp(stack) as mailbox:
        client.opens_the_door()
        client.is_told_what_a_stranger_is_told(email)
        link = _link_in(_next_mail(mailbox, email))
        assert not mailbox.mails, "the stranger gets none"
        assert not _is_subscribed(stack, partner, email)
        client.confirms(link)
        assert _is_subscribed(stack, partner, email)
        client.finds_it_used(link)

        stack.bulletin(partner)
        way_out = _unsubscribe_url(_next_mail(mailbox, email))
        client.looks_at_the_way_out(way_out)
        assert _is_subscribed(stack, partner, email), "opening the page changes nothing: mail scanners do"
        client.leaves()
        assert not _is_subscribed(stack, partner, email)

        client.comes_back(email)
        client.confirms(_link_in(_next_mail(mailbox, email)))
        assert _is_subscribed(stack, partner, email)
        _one_click(way_out)
        assert not _is_subscribed(stack, partner, email)
    assert {urlsplit(url).netloc for url in browser.requested} == {urlsplit(stack.url).netloc}, "nobody else is asked"


class Client:
    """A client with an old phone: 360 pixels, no JavaScript. Every page is checked."""

    def __init__(self, stack: Stack, browser: Any) -> None:
        self.stack = stack
        self.browser = browser
        self.page = browser.open(javascript=False, width=360, height=640)

    def opens_the_door(self) -> None:
        self.page.goto(f"{self.stack.url}/suscripcion/")
        self.sees("Recibe boletines y alertas")

    def is_told_what_a_stranger_is_told(self, email: str) -> None:
        self.types(f"nadie{self.stack.number()}@dominio.com")
        said_to_a_stranger = self.page.content()
        self.page.get_by_role("link", name="escríbelo otra vez").click()
        self.types(f" {email.upper()} ")  # as a phone's keyboard leaves it
        assert self.page.content() == said_to_a_stranger

    def types(self, email: str) -> None:
        self.page.get_by_label("Correo electrónico").fill(email)
        self.page.get_by_role("button", name="Enviarme el enlace").click()
        self.sees("Revisa tu correo")

    def confirms(self, link: str) -> None:
        self.page.goto(link)
        self.sees("Confirma tu suscripción")
        text = self.page.locator("#acepto").inner_text()
        assert "Acepto, de manera libre, previa, expresa e informada" in text
        assert "Boletines del Sur" in text
        self.page.get_by_role("button", name="Acepto y confirmo").click()
        self.sees("Tu suscripción está confirmada")

    def finds_it_used(self, link: str) -> None:
        assert self.page.goto(link).status == 410
        self.sees("Este enlace ya no sirve")

    def looks_at_the_way_out(self, url: str) -> None:
        self.page.goto(url)
        self.sees("¿Dejar de recibir estos mensajes?")

    def leaves(self) -> None:
        self.page.get_by_role("button", name="Darme de baja", exact=True).click()
        self.sees("Listo, te diste de baja")

    def comes_back(self, email: str) -> None:
        self.page.get_by_role("link", name="suscríbete otra vez").click()
        self.types(email)

    def sees(self, heading: str) -> None:
        """Check that the page has this title, is in Spanish and fits the phone."""
        assert self.page.get_by_role("heading", level=1).inner_text() == heading
        assert self.page.locator("html").get_attribute("lang").split("-")[0] == "es"
        assert not self.browser.scrolls_sideways(self.page)


def _one_click(url: str) -> None:
    """One-click unsubscribe (RFC 8058): one POST without cookies or a page before it."""
    answer = httpx.post(url, data={"List-Unsubscribe": "One-Click"}, trust_env=False)
    assert (answer.status_code, answer.text) == (200, "Suscripción cancelada.\n")


def _is_subscribed(stack: Stack, partner: PartnerKeys, email: str) -> bool:
    listed = stack.call_nopasanada(partner, "clientes_autorizados")
    assert [each["correo"] for each in listed["data"]] == [email]
    return bool(listed["data"][0]["suscrito"])


# --- mail --------------------------------------------------------------------------------------------------


@contextmanager
def _mail_by_smtp(stack: Stack) -> Iterator[Mailbox]:
    """Send codes, links and bulletins by a real SMTP server."""
    with real_server() as mailbox:
        stack.worker.kill()
        workers = [
            stack.program(name, f"{name}-by-smtp", EMAIL_URL=f"smtp://127.0.0.1:{mailbox.port}")
            for name in ("worker", "bulk")
        ]
        try:
            for worker in workers:
                worker.start()
            yield mailbox
        finally:
            for worker in workers:
                worker.kill()


def _next_mail(mailbox: Mailbox, email: str) -> EmailMessage:
    """Wait for the next mail and remove it from the mailbox."""
    assert wait_until(lambda: bool(mailbox.mails), 20), "no mail came"
    envelope = mailbox.mails.pop(0)
    assert envelope.rcpt_tos == [email]
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def _link_in(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    (link,) = [line for line in body.get_content().splitlines() if "/suscripcion/confirmar/" in line]
    return str(link)


def _unsubscribe_url(bulletin: EmailMessage) -> str:
    """The link in the header, which must equal the one in the text."""
    assert bulletin["Subject"].startswith("PUBLICIDAD: ")
    assert bulletin["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = str(bulletin["List-Unsubscribe"]).strip().strip("<>")
    body = bulletin.get_body(("plain",))
    assert body is not None
    assert url in body.get_content().split()
    return url
