"""The page of a person's subscriptions: asked for like a confirmation, seen and left by a link that expires."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from clients.models import AuthorizedClient
from messaging.delivery import send
from messaging.models import Message, SandboxMessage
from subscription.asking import MAILS_PER_MAILBOX
from subscription.links import confirmation_token, managing_token
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.tests.conftest import ANA, Visitor, authorized

pytestmark = pytest.mark.django_db
ASK = "/suscripcion/mis-suscripciones/"
STRANGER = "nadie@example.com"


def subscribed(name, email=ANA):
    client = authorized(name, email, at=timezone.now() - timedelta(days=2))
    AuthorizedClient.objects.filter(pk=client.pk).update(subscribed_at=timezone.now() - timedelta(days=1))
    return client


def ask(visitor, email=ANA):
    return visitor.http.post(ASK, {**visitor.fields(ASK), "correo": email})


def link_for(visitor, email=ANA):
    ask(visitor, email)
    while send.deliver_due("codes"):
        pass
    text = SandboxMessage.objects.filter(to=email).latest("id").text
    return re.search(r"http://localhost:8000(/suscripcion/mis-suscripciones/\S+/)\n", text)[1]


def names(html):
    return re.findall(r'<strong id="empresa-\d+">([^<]*)', html)


def page(http, path, status=200):
    answer = http.get(path)
    assert answer.status_code == status
    return answer.content.decode()


def test_the_page_lists_subscriptions_and_no_others(visitor):
    subscribed("Caja Sur")
    subscribed("Banco Andino")
    authorized("Sin Confirmar")
    subscribed("De Otro", "otro@example.com")
    html = page(visitor.http, link_for(visitor))
    assert names(html) == ["Banco Andino", "Caja Sur"]


def test_one_company_is_left_with_the_evidence(visitor):
    banco, caja = subscribed("Banco Andino"), subscribed("Caja Sur")
    link = link_for(visitor)
    page(visitor.http, link)
    html = visitor.http.post(link, {"empresa": banco.partner_id}).content.decode()
    assert "ya no recibirás boletines ni alertas de <strong>Banco Andino</strong>" in html
    assert names(html) == ["Caja Sur"]
    record = ConsentRecord.objects.get()
    assert (record.act, record.how, record.authorized_client_id) == ("withdrawn", "page", banco.pk)
    assert record.text == "Ya no quiero recibir boletines ni alertas de Banco Andino en este correo."
    assert record.request == SubscriptionRequest.objects.get()
    caja.refresh_from_db()
    assert caja.is_subscribed


def test_all_are_left_at_once_and_a_second_time_changes_nothing(visitor):
    for name in ("Banco Andino", "Caja Sur"):
        subscribed(name)
    link = link_for(visitor)
    page(visitor.http, link)
    for _ in range(2):
        html = visitor.http.post(link, {"todas": "1"}).content.decode()
    assert "no recibes boletines ni alertas de ninguna empresa" in html
    assert ConsentRecord.objects.count() == 2
    assert set(ConsentRecord.objects.values_list("text", flat=True)) == {
        "Ya no quiero recibir boletines ni alertas de ninguna empresa en este correo."
    }


def test_a_scanner_without_the_page_s_cookie_leaves_nothing(visitor):
    client = subscribed("Banco Andino")
    link = link_for(visitor)
    page(visitor.http, link)
    assert Client().post(link, {"todas": "1"}).status_code == 403
    client.refresh_from_db()
    assert client.is_subscribed


@pytest.mark.parametrize("body", [{}, {"empresa": "x"}, {"empresa": "0"}, {"empresa": "999999"}, {"empresa": "9" * 30}])
def test_a_company_that_is_not_listed_changes_nothing(visitor, body):
    client = subscribed("Banco Andino")
    link = link_for(visitor)
    page(visitor.http, link)
    assert visitor.http.post(link, body).status_code == 200
    client.refresh_from_db()
    assert client.is_subscribed


def test_another_mailbox_s_subscription_is_not_left(visitor):
    subscribed("Banco Andino")
    other = subscribed("Caja Sur", "otro@example.com")
    link = link_for(visitor)
    page(visitor.http, link)
    visitor.http.post(link, {"empresa": other.partner_id})
    other.refresh_from_db()
    assert other.is_subscribed


def test_the_link_serves_for_a_day_and_as_often_as_wanted(visitor):
    subscribed("Banco Andino")
    link = link_for(visitor)
    for _ in range(2):
        page(visitor.http, link)
    SubscriptionRequest.objects.update(
        requested_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert "Este enlace ya no sirve" in page(visitor.http, link, 410)


def test_links_of_one_kind_do_not_open_the_other_page(visitor):
    subscribed("Banco Andino")
    link_for(visitor)
    request = SubscriptionRequest.objects.get()
    for path in (
        f"/suscripcion/confirmar/{managing_token(request.pk)}/",
        f"/suscripcion/confirmar/{confirmation_token(request.pk)}/",
        f"{ASK}{confirmation_token(request.pk)}/",
        f"{ASK}x/",
    ):
        assert visitor.http.get(path).status_code == 410
    visitor.ask()
    confirming = SubscriptionRequest.objects.get(purpose="confirm")
    assert visitor.http.get(f"{ASK}{managing_token(confirming.pk)}/").status_code == 410


def test_the_answer_is_the_same_for_known_and_unknown():
    subscribed("Banco Andino")
    known, unknown = (ask(Visitor(), email) for email in (ANA, STRANGER))
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert Message.objects.count() == 1


def test_a_mailbox_gets_three_mails_an_hour_of_both_kinds(visitor):
    subscribed("Banco Andino")
    for _ in range(MAILS_PER_MAILBOX):
        ask(visitor)
        visitor.ask()
    assert Message.objects.count() == MAILS_PER_MAILBOX


def test_who_is_authorised_and_not_subscribed_sees_that(visitor):
    authorized("Banco Andino", at=timezone.now() - timedelta(days=1))
    assert "no recibes boletines ni alertas de ninguna empresa" in page(visitor.http, link_for(visitor))


@pytest.mark.parametrize("typed", ["", "ana", "ana@", "x" * 400])
def test_a_faulty_address_is_told(visitor, typed):
    assert ask(visitor, typed).status_code == 400


def test_the_page_is_private_and_has_no_script(visitor):
    subscribed("<b>Ñandú</b>")
    link = link_for(visitor)
    answer = visitor.http.get(link)
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-store, private"
    html = answer.content.decode()
    assert "&lt;b&gt;Ñandú&lt;/b&gt;" in html
    assert "<script" not in html
    assert visitor.http.get(link.rstrip("/")).status_code == 200
