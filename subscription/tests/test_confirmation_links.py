"""Confirmation links: valid once, for 24 hours, if signed by us; opening one changes nothing."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core import signing
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from clients.email_subscriptions import unsubscribe_token
from clients.models import AuthorizedClient
from messaging.models import Message, SandboxMessage, Suppression
from subscription.confirming import confirm, offer
from subscription.errors import UnusableLink
from subscription.links import confirmation_token
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.tests.conftest import ANA, Visitor, authorized, token_of
from tests.factories import SuppressionFactory

pytestmark = pytest.mark.django_db


def state():
    rows = [*AuthorizedClient.objects.values(), *SubscriptionRequest.objects.values(), *Message.objects.values()]
    return rows, ConsentRecord.objects.count()


def test_get_and_head_confirm_nothing(visitor, client_of_banco):
    link = visitor.link()
    before = state()
    for _ in range(3):
        assert visitor.http.get(link).status_code == 200
        assert visitor.http.head(link).status_code == 200
    assert visitor.http.get(link, headers={"Purpose": "prefetch"}).status_code == 200
    assert state() == before
    assert visitor.http.put(link).status_code == 405


def test_a_post_without_the_text_that_was_read_confirms_nothing(visitor, client_of_banco):
    link = visitor.link()
    visitor.http.get(link)
    for body in ({}, {"texto": ""}, {"texto": "0" * 64}, {"texto": "ñ\x00"}):
        assert visitor.http.post(link, body).status_code == 409
    client_of_banco.refresh_from_db()
    assert not client_of_banco.is_subscribed
    assert not ConsentRecord.objects.exists()


def test_a_scanner_that_submits_the_form_without_the_page_s_cookie_confirms_nothing(visitor, client_of_banco):
    link = visitor.link()
    read = visitor.fields(link)
    others = Client()
    others.get("/suscripcion/")
    for http in (Client(enforce_csrf_checks=True), others):
        answer = http.post(link, read, headers={"Origin": "null"})
        assert answer.status_code == 403
        page = answer.content.decode()
        assert "No se registró nada." in page
        assert f'href="{link}"' in page
    client_of_banco.refresh_from_db()
    assert not client_of_banco.is_subscribed
    assert visitor.http.post(link, read, headers={"Origin": "null"}).status_code == 200


def test_the_cookie_of_one_link_does_not_serve_for_another(visitor, client_of_banco):
    first, second = visitor.link(), visitor.link()
    read = visitor.fields(first)
    assert visitor.http.post(second, read).status_code == 403
    assert visitor.http.post(first, read).status_code == 200


def test_the_cookie_is_for_the_page_alone_and_no_script_reads_it(visitor, client_of_banco, settings):
    settings.SESSION_COOKIE_SECURE = True
    link = visitor.link()
    (cookie,) = visitor.http.get(link).cookies.values()
    assert (cookie["path"], cookie["httponly"], cookie["secure"], cookie["samesite"]) == (
        link.rstrip("/"),
        True,
        True,
        "Lax",
    )
    assert token_of(link) not in cookie.key + cookie.value


# --- the choice among companies ---


def of_two():
    clients = authorized("Banco Andino"), authorized("Caja Sur")
    visitor = Visitor()
    link = visitor.link()
    return visitor, link, clients, visitor.fields(link)["texto"]


def subscribed_to(clients):
    return [each.partner.name for each in clients if AuthorizedClient.objects.get(pk=each.pk).is_subscribed]


def test_a_client_chooses_among_companies():
    visitor, link, clients, text = of_two()
    html = visitor.http.get(link).content.decode()
    assert html.count('type="checkbox" name="empresa"') == 2
    assert "checked" not in html, "consent is not given by a box that is ticked already"
    answer = visitor.http.post(link, {"texto": text, "empresa": [clients[1].partner_id]})
    assert answer.status_code == 200
    assert "Banco Andino" not in answer.content.decode()
    assert subscribed_to(clients) == ["Caja Sur"]
    record = ConsentRecord.objects.get()
    assert record.authorized_client == clients[1]
    assert "las empresas que elija entre estas: Banco Andino; Caja Sur," in record.text
    assert record.text.endswith("Elegí: Caja Sur.")


def test_all_are_chosen_with_one_button():
    visitor, link, clients, text = of_two()
    assert visitor.http.post(link, {"texto": text, "todas": "1"}).status_code == 200
    assert subscribed_to(clients) == ["Banco Andino", "Caja Sur"]


@pytest.mark.parametrize("chosen", [[], ["0"], ["x"], ["-1"], ["9" * 20], ["٣"]])
def test_who_chooses_nothing_is_asked_again_and_the_link_still_serves(chosen):
    visitor, link, clients, text = of_two()
    answer = visitor.http.post(link, {"texto": text, "empresa": chosen})
    assert answer.status_code == 400
    assert "Marca por lo menos una empresa." in answer.content.decode()
    assert subscribed_to(clients) == []
    assert visitor.http.post(link, {"texto": text, "empresa": [clients[0].partner_id]}).status_code == 200


def test_a_company_that_was_not_offered_is_not_subscribed():
    visitor, link, clients, text = of_two()
    other = authorized("Otra", at=timezone.now() + timedelta(days=1))
    answer = visitor.http.post(link, {"texto": text, "empresa": [clients[0].partner_id, other.partner_id]})
    assert answer.status_code == 200
    assert subscribed_to([*clients, other]) == ["Banco Andino"]


def test_a_confirmation_lifts_complaints_of_the_chosen_companies_and_bounces():
    for reason in ("HARD_BOUNCE", "MANUAL"):
        SuppressionFactory(mailbox=ANA, reason=reason)
    visitor, link, clients, text = of_two()
    for client in clients:
        SuppressionFactory(mailbox=ANA, reason="COMPLAINT", partner=client.partner)
    visitor.http.post(link, {"texto": text, "empresa": [clients[0].partner_id]})
    left = Suppression.objects.filter(lifted_at=None).order_by("reason")
    assert [(each.reason, each.partner) for each in left] == [("COMPLAINT", clients[1].partner), ("MANUAL", None)]


# --- one use, one day ---


def test_a_link_without_its_last_slash_serves_too(visitor, client_of_banco):
    assert visitor.press(visitor.link().rstrip("/")).status_code == 200


def test_a_used_link_no_longer_serves_and_says_how_to_get_another(visitor, client_of_banco):
    link = visitor.link()
    read = visitor.fields(link)
    assert visitor.http.post(link, read).status_code == 200
    for answer in (visitor.http.get(link), visitor.http.post(link, read)):
        assert answer.status_code == 410
        page = answer.content.decode()
        assert "Este enlace ya no sirve" in page
        assert 'href="/suscripcion/"' in page
    assert ConsentRecord.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_20_parallel_confirmations_one_counts():
    client, visitor = authorized(), Visitor()
    link = visitor.link()
    read = visitor.fields(link)

    def press(_):
        try:
            http = Client()
            http.cookies.update(visitor.http.cookies)
            return http.post(link, read).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(press, range(20)))
    assert statuses == [200] + [410] * 19
    assert ConsentRecord.objects.count() == 1
    client.refresh_from_db()
    assert client.is_subscribed


def test_24_hours_are_still_in_time_and_a_microsecond_more_is_not(visitor, client_of_banco):
    token = token_of(visitor.link())
    request = SubscriptionRequest.objects.get()
    edge = request.requested_at + timedelta(hours=24)
    digest = offer(token, at=edge).consent.digest
    for late in (edge + timedelta(microseconds=1), edge + timedelta(days=400)):
        with pytest.raises(UnusableLink):
            offer(token, at=late)
        with pytest.raises(UnusableLink):
            confirm(token, digest=digest, chosen=None, address="192.0.2.1", at=late)
    confirm(token, digest=digest, chosen=None, address="192.0.2.1", at=edge)
    client_of_banco.refresh_from_db()
    assert client_of_banco.subscribed_at == edge


def forged(request):
    ours = confirmation_token(request.pk)
    body, signature = ours.split(".")
    return {
        "another request": confirmation_token(uuid.uuid4()),
        "a signature of another": f"{uuid.uuid4().hex}.{signature}",
        "no signature": body,
        "an empty signature": f"{body}.",
        "a cut one": ours[:-1],
        "another salt": signing.Signer(sep=".", salt="else").sign(request.pk.hex),
        "the unsubscribe salt": signing.Signer(sep=".", salt="clients.email_subscriptions").sign(request.pk.hex),
        "an unsubscribe link's": unsubscribe_token(1),
        "another key": signing.Signer(sep=".", salt="subscription.confirm", key="k" * 40).sign(request.pk.hex),
        "no request at all": signing.Signer(sep=".", salt="subscription.confirm").sign("x"),
        "other letters": "ñandú\u202e.%01",
    }


def test_a_forged_link_is_answered_like_a_used_one(visitor, client_of_banco):
    visitor.link()
    request = SubscriptionRequest.objects.get()
    unusable = None
    for what, token in forged(request).items():
        for answer in (
            visitor.http.get(f"/suscripcion/confirmar/{token}/"),
            visitor.http.post(f"/suscripcion/confirmar/{token}/", {"texto": "x"}),
        ):
            assert answer.status_code == 410, what
            unusable = unusable or answer.content
            assert answer.content == unusable, what
    client_of_banco.refresh_from_db()
    assert not client_of_banco.is_subscribed


def test_the_token_is_in_clear_nowhere_in_our_database(visitor, client_of_banco):
    link = visitor.link()
    token = token_of(link)
    SandboxMessage.objects.all().delete()  # the developer's outbox is the mailbox here
    visitor.press(link)
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        assert len(tables) > 20
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text LIKE %s', [f"%{token[33:]}%"])
            assert cursor.fetchone() == (0,), table
    message = Message.objects.get()
    assert "confirmar/••••/" in message.text
    assert "confirmar/••••/" in message.html
    assert message.sealed is None, "blanked once a provider took it"
    assert message.recipient == ANA


def test_before_it_leaves_the_token_is_sealed(visitor, client_of_banco):
    visitor.ask()
    message = Message.objects.get()
    token = confirmation_token(SubscriptionRequest.objects.get().pk)
    assert token.encode() not in bytes(message.sealed)
    assert token not in message.text + message.html
