"""Unsubscribing: a button for people, one POST for mail programs, and both are idempotent."""

from datetime import timedelta

import pytest
from django.core import signing
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from clients.email_subscriptions import NotAnUnsubscribeToken, client_of, unsubscribe_token
from clients.models import AuthorizedClient
from messaging.campaigns.rendering import unsubscribe_url
from messaging.models import RecipientFeedback
from subscription.models import ConsentRecord
from subscription.tests.conftest import ANA, authorized
from tests.factories import CampaignFactory, MessageFactory

pytestmark = pytest.mark.django_db
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def subscribed(name="Banco Andino", **changes):
    client = authorized(name, at=timezone.now() - timedelta(days=1))
    AuthorizedClient.objects.filter(pk=client.pk).update(**{"subscribed_at": timezone.now(), **changes})
    client.refresh_from_db()
    return client


def unsubscribe_path(client):
    return unsubscribe_url(unsubscribe_token(client.pk)).removeprefix("http://localhost:8000")


@pytest.fixture
def program():
    """A mail provider's robot: no cookies, no CSRF token, no Origin of ours."""
    return Client(enforce_csrf_checks=True)


def test_the_link_in_a_bulletin_leads_here():
    client = subscribed()
    assert resolve(unsubscribe_path(client)).url_name == "subscription_unsubscribe"


@pytest.mark.parametrize("form", ["urlencoded", "multipart"])
def test_one_click_without_cookies(program, form):
    client = subscribed()
    if form == "urlencoded":
        answer = program.post(
            unsubscribe_path(client), "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
    else:
        answer = program.post(unsubscribe_path(client), ONE_CLICK)
    assert (answer.status_code, answer.content.decode()) == (200, "Suscripción cancelada.\n")
    assert answer["Content-Type"].startswith("text/plain")
    assert not answer.cookies
    client.refresh_from_db()
    assert not client.is_subscribed
    record = ConsentRecord.objects.get()
    assert (record.act, record.how, record.text, record.text_version) == ("withdrawn", "one_click", "", "")


def test_a_second_withdrawal_changes_nothing(program):
    client = subscribed()
    first = program.post(unsubscribe_path(client), ONE_CLICK)
    client.refresh_from_db()
    when = client.unsubscribed_at
    assert program.post(unsubscribe_path(client), ONE_CLICK).content == first.content
    assert program.post(unsubscribe_path(client), {"alcance": "empresa"}).status_code == 200
    client.refresh_from_db()
    assert client.unsubscribed_at == when
    assert ConsentRecord.objects.count() == 1


def test_opening_the_page_unsubscribes_nobody(program):
    client = subscribed()
    assert program.get(unsubscribe_path(client)).status_code == 200
    assert program.head(unsubscribe_path(client)).status_code == 200
    client.refresh_from_db()
    assert client.is_subscribed


def test_one_partner_is_unsubscribed_the_other_stays(program):
    bank, caja = subscribed(), subscribed("Caja Sur")
    program.post(unsubscribe_path(bank), {"alcance": "empresa"})
    caja.refresh_from_db()
    assert caja.is_subscribed
    record = ConsentRecord.objects.get()
    assert (record.authorized_client, record.how) == (bank, "page")
    assert record.text == "Ya no quiero recibir boletines ni alertas de Banco Andino en este correo."
    assert record.text in program.get(unsubscribe_path(bank)).content.decode()


def test_all_partners_at_once_but_no_other_mailbox(program):
    bank, caja = subscribed(), subscribed("Caja Sur")
    other = authorized("Caja Sur", "luis@example.com")
    AuthorizedClient.objects.filter(pk=other.pk).update(subscribed_at=timezone.now())
    page = program.get(unsubscribe_path(bank)).content.decode()
    assert "Caja Sur" not in page, "a forwarded mail does not say who else writes"
    answer = program.post(unsubscribe_path(bank), {"alcance": "todas"})
    assert "ninguna empresa" in answer.content.decode()
    for client, left in ((bank, False), (caja, False), (other, True)):
        client.refresh_from_db()
        assert client.is_subscribed == left
    assert {each.text for each in ConsentRecord.objects.all()} == {
        "Ya no quiero recibir boletines ni alertas de ninguna empresa en este correo."
    }
    assert ConsentRecord.objects.count() == 2


def test_the_link_of_an_authorisation_that_ended_means_the_partner(program):
    old = subscribed(deauthorized_at=timezone.now())
    new = subscribed()
    program.post(unsubscribe_path(old), ONE_CLICK)
    new.refresh_from_db()
    assert not new.is_subscribed


def test_a_withdrawal_before_any_consent_is_stored(program):
    client = authorized()
    program.post(unsubscribe_path(client), ONE_CLICK)
    client.refresh_from_db()
    assert client.unsubscribed_at is not None


def test_a_link_that_is_not_ours(program):
    client = subscribed()
    token = unsubscribe_token(client.pk)
    wrong = [
        token[:-1],
        f"{client.pk + 1}.{token.partition('.')[2]}",
        str(client.pk),
        signing.Signer(sep=".", salt="else").sign(str(client.pk)),
        unsubscribe_token(client.pk + 1000),
        unsubscribe_token(10**30),
    ]
    for each in wrong:
        path = f"/suscripcion/baja/{each}/"
        assert program.get(path).status_code == 404
        assert program.post(path, {"alcance": "empresa"}).status_code == 404
        answer = program.post(path, ONE_CLICK)
        assert (answer.status_code, answer.content.decode()) == (404, "Enlace de baja no válido.\n")
    client.refresh_from_db()
    assert client.is_subscribed


def test_a_token_names_its_client_and_no_other():
    assert client_of(unsubscribe_token(77)) == (77, False)
    assert client_of(unsubscribe_token(77, everywhere=True)) == (77, True)
    widened = unsubscribe_token(77).replace("77", "77-todas", 1)
    for wrong in ("", ".", "77", "77.x", unsubscribe_token(77).replace("77", "78", 1), widened):
        with pytest.raises(NotAnUnsubscribeToken):
            client_of(wrong)


def test_it_never_expires(program, monkeypatch):
    client = subscribed()
    path = unsubscribe_path(client)
    monkeypatch.setattr("time.time", lambda: timezone.now().timestamp() + 3e8)
    assert program.post(path, ONE_CLICK).status_code == 200
    assert AuthorizedClient.objects.get(email=ANA).unsubscribed_at is not None


def test_one_click_in_a_mail_of_several_partners_means_them_all(program):
    bank, shop = subscribed(), subscribed("Caja del Sur")
    program.post(f"/suscripcion/baja/{unsubscribe_token(bank.pk, everywhere=True)}/", ONE_CLICK)
    for each in (bank, shop):
        each.refresh_from_db()
        assert not each.is_subscribed


def test_on_the_page_the_reader_chooses_whatever_the_mail(program):
    bank, shop = subscribed(), subscribed("Caja del Sur")
    program.post(f"/suscripcion/baja/{unsubscribe_token(bank.pk, everywhere=True)}/", {"alcance": "empresa"})
    for each, left in ((bank, False), (shop, True)):
        each.refresh_from_db()
        assert each.is_subscribed == left


# --- what a mail program sends ---

PLAIN = b"List-Unsubscribe=One-Click"
BODIES = {
    "as a form": (PLAIN, "application/x-www-form-urlencoded"),
    "as multipart": (
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    "as text": (PLAIN, "text/plain"),
    "of no type": (PLAIN, ""),
    "as JSON": (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
    "in another charset": (PLAIN, "application/x-www-form-urlencoded; charset=latin-1"),
    "multipart without a boundary": (PLAIN, "multipart/form-data"),
    "empty": (b"", "application/x-www-form-urlencoded"),
    "in other letters": (b"list-unsubscribe=one-click", "application/x-www-form-urlencoded"),
    "of a type that is none": (PLAIN, "x; y=/"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_post_without_the_page_s_field_is_one_click_for_all_companies_of_the_mail(name):
    body, content_type = BODIES[name]
    first = authorized("Banco")
    clients = [first, authorized("Caja")]
    AuthorizedClient.objects.update(subscribed_at=timezone.now())
    token = unsubscribe_token(first.pk, everywhere=True)
    answer = Client().generic("POST", f"/suscripcion/baja/{token}/", body, content_type=content_type)
    assert (answer.status_code, answer.content.decode()) == (200, "Suscripción cancelada.\n")
    assert not AuthorizedClient.objects.filter(pk__in=[each.pk for each in clients], unsubscribed_at=None).exists()
    assert set(ConsentRecord.objects.values_list("how", "text")) == {("one_click", "")}
    assert ConsentRecord.objects.count() == 2


@pytest.mark.parametrize("query", ["", "?c=x", "?c=999999", "?c=-1", "?c=" + "9" * 30])
def test_a_link_that_names_no_campaign_works_all_the_same(query):
    client = authorized()
    Client().post(f"/suscripcion/baja/{unsubscribe_token(client.pk)}/{query}", {"alcance": "empresa"})
    client.refresh_from_db()
    assert client.unsubscribed_at is not None
    assert not RecipientFeedback.objects.exists()


def test_an_unsubscription_counts_once_in_the_campaign_whose_mail_the_link_was_in():
    client = authorized()
    one, other = CampaignFactory(), CampaignFactory()
    for each in (one, other):
        MessageFactory(
            sent=True, kind="boletin", via="C", campaign=each, authorized_client=client, recipient=client.email
        )
    for _ in range(2):
        Client().post(f"/suscripcion/baja/{unsubscribe_token(client.pk)}/?c={one.pk}", {"alcance": "empresa"})
    assert list(RecipientFeedback.objects.values_list("campaign", "kind", "mailbox")) == [
        (one.pk, "UNSUBSCRIBED", client.email)
    ]
