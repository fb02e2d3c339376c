"""Visitor of the public pages: a browser with cookies, and a mailbox."""

import re
from datetime import datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from clients.models import AuthorizedClient
from messaging.delivery import send
from messaging.models import SandboxMessage
from tests.factories import AuthorizedClientFactory, PartnerFactory

ANA = "ana@example.com"


def authorized(name: str = "Banco Andino", email: str = ANA, *, at: datetime | None = None) -> AuthorizedClient:
    return AuthorizedClientFactory.create(
        partner=PartnerFactory(name=name), email=email, created_at=at or timezone.now()
    )


class Visitor:
    """One person with a browser that keeps cookies and submits forms with their fields, for all companies offered."""

    def __init__(self) -> None:
        self.http = Client(enforce_csrf_checks=True, raise_request_exception=True)

    def ask(self, email: str = ANA, **headers: str) -> Any:
        return self.http.post("/suscripcion/", {**self.fields("/suscripcion/"), "correo": email}, headers=headers)

    def link(self, email: str = ANA) -> str:
        """Asks, lets the worker's own function run, and reads the path of the link out of the mail."""
        self.ask(email)
        return newest_link(email)

    def press(self, path: str) -> Any:
        """Opens a page and presses its first button."""
        return self.http.post(path, self.fields(path))

    def fields(self, path: str) -> dict[str, str]:
        html = self.http.get(path).content.decode()
        found = re.findall(r'name="(\w+)" value="([^"]*)"', html)
        all_of_several = [pair for pair in found if pair == ("todas", "1")]
        return {name: unescape(value) for name, value in [*found[:1], *all_of_several]}


def newest_link(email: str = ANA) -> str:
    while send.deliver_due("codes"):
        pass
    text = SandboxMessage.objects.filter(to=email).latest("id").text
    return re.search(r"http://localhost:8000(/suscripcion/confirmar/\S+/)\n", text)[1]


def token_of(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


@pytest.fixture
def visitor(db: None) -> Visitor:
    return Visitor()


@pytest.fixture
def client_of_banco(db: None) -> AuthorizedClient:
    return authorized()
