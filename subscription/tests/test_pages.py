"""Public pages: private headers, plain text, no script; and the answers to mistakes and to floods."""

import re

import pytest
from django.test import Client

from clients.email_subscriptions import unsubscribe_token
from clients.rate_limits.redis_client import breaker
from messaging.models import Message, SandboxMessage
from subscription import asking
from subscription.tests.conftest import ANA, authorized, newest_link

pytestmark = pytest.mark.django_db


def paths(visitor, client):
    return [
        "/suscripcion/",
        visitor.link(),
        f"/suscripcion/baja/{unsubscribe_token(client.pk)}/",
        "/suscripcion/baja/x/",
    ]


def test_headers(visitor, client_of_banco):
    for path in paths(visitor, client_of_banco):
        answer = visitor.http.get(path)
        assert answer["Cache-Control"] == "no-store, private"
        assert answer["X-Robots-Tag"] == "noindex, nofollow"
        assert answer["X-Frame-Options"] == "DENY"
        assert {"default-src 'none'", "style-src 'self'"} <= set(answer["Content-Security-Policy"].split("; "))
        assert answer["Referrer-Policy"] == ("same-origin" if path == "/suscripcion/" else "no-referrer")


def test_every_page_is_spanish_and_asks_nothing_of_another_site_nor_of_a_script(visitor, client_of_banco):
    for path in paths(visitor, client_of_banco):
        html = visitor.http.get(path).content.decode()
        assert '<html lang="es-PE">' in html
        assert html.count("<h1>") == 1
        assert "<script" not in html
        assert " style=" not in html
        assert not re.search(r'(?:src|href|action)="(?!/)', html)


def test_a_name_with_markup_is_shown_as_text(visitor):
    client = authorized('<b>Ñandú</b> & "Cía" <script>alert(1)</script>')
    link = visitor.link()
    out = f"/suscripcion/baja/{unsubscribe_token(client.pk)}/"
    shown = "&lt;b&gt;Ñandú&lt;/b&gt; &amp; &quot;Cía&quot; &lt;script&gt;"
    message = Message.objects.get()
    assert shown in message.html
    assert client.partner.name in message.text
    pages = [
        visitor.http.get(link),
        visitor.press(link),
        visitor.http.get(out),
        visitor.http.post(out, {"alcance": "empresa"}),
    ]
    for html in [page.content.decode() for page in pages]:
        assert shown in html
        assert "<script" not in html
        assert "<b>" not in html


def test_what_was_typed_comes_back_as_text(visitor):
    answer = visitor.ask('"><script>alert(1)</script>')
    assert answer.status_code == 400
    assert "<script" not in answer.content.decode()


@pytest.mark.parametrize(
    "typed", ["", "ana", "ana@", "@example.com", "a b@c", "ana@example", "a\x00@example.com", "x" * 400]
)
def test_an_invalid_address_is_answered_with_400(visitor, typed):
    answer = visitor.ask(typed)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "no está bien escrito" in page
    assert 'aria-describedby="falta"' in page
    assert not Message.objects.exists()


def test_an_address_with_an_enye_is_welcome(visitor):
    authorized(email="ñandú@peñón.pe")
    visitor.ask("Ñandú@Peñón.pe")
    assert newest_link("ñandú@peñón.pe")


def test_another_site_cannot_ask_through_its_readers(client_of_banco):
    assert Client(enforce_csrf_checks=True).post("/suscripcion/", {"correo": ANA}).status_code == 403
    assert not Message.objects.exists()


def test_too_many_from_one_address(visitor, client_of_banco, monkeypatch):
    monkeypatch.setattr(asking, "REQUESTS_PER_ADDRESS", 2)
    assert [visitor.ask(email).status_code for email in ("x@example.com", "nonsense")] == [200, 400]
    refused = visitor.ask()
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 3600
    assert "Espera un poco" in refused.content.decode()
    assert not Message.objects.exists()
    visitor.http.defaults["REMOTE_ADDR"] = "192.0.2.9"
    assert visitor.ask().status_code == 200, "somebody else may"


def test_the_limits_hold_while_redis_is_unavailable(visitor, client_of_banco, monkeypatch):
    breaker.trip(OSError("away"))
    monkeypatch.setattr(asking, "REQUESTS_PER_ADDRESS", 5)
    assert [visitor.ask().status_code for _ in range(6)] == [200] * 5 + [429]
    assert Message.objects.count() == asking.MAILS_PER_MAILBOX


def test_without_a_mail_gateway_nothing_is_promised(visitor, client_of_banco, settings):
    link = visitor.link()
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": ()}
    for answer in (visitor.http.get("/suscripcion/"), visitor.http.get("/suscripcion")):
        assert answer.status_code == 503
        assert "no están disponibles" in answer.content.decode()
    assert Message.objects.count() == 1
    assert "/suscripcion/" not in visitor.http.get("/suscripcion/confirmar/x/").content.decode()
    assert visitor.press(link).status_code == 200, "a link that is out is honoured"


def test_a_body_that_no_form_sends_is_refused_unread(visitor, client_of_banco):
    huge = {"correo": ANA, "file": "x" * 20_000}
    for path in paths(visitor, client_of_banco):
        assert Client(enforce_csrf_checks=True).post(path, huge).status_code == 413
    assert SandboxMessage.objects.count() == 1


def test_a_stylesheet_goes_with_it():
    from django.contrib.staticfiles import finders

    assert finders.find("subscription/pages.css")
