"""The whole subscription as one person does it: ask, confirm, unsubscribe."""

import pytest

from clients.authorized_clients import Authorization, authorize, deauthorize
from clients.email_subscriptions import unsubscribe_token
from clients.models import AuthorizedClient
from conftest import NOW
from messaging.campaigns.rendering import unsubscribe_url
from messaging.models import Message
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.tests.conftest import ANA, authorized, newest_link

pytestmark = pytest.mark.django_db


def path_of(url):
    return url.removeprefix("http://localhost:8000")


def test_ask_confirm_and_unsubscribe(visitor, client_of_banco):
    assert "te enviamos un enlace" in visitor.ask().content.decode()
    client_of_banco.refresh_from_db()
    assert not client_of_banco.is_subscribed

    link = visitor.link()
    page = visitor.http.get(link).content.decode()
    assert "Banco Andino" in page
    assert ANA in page
    answer = visitor.press(link)
    assert answer.status_code == 200
    assert "Tu suscripción está confirmada" in answer.content.decode()
    client_of_banco.refresh_from_db()
    assert client_of_banco.is_subscribed

    out = path_of(unsubscribe_url(unsubscribe_token(client_of_banco.pk)))
    page = visitor.http.get(out).content.decode()
    assert "Banco Andino" in page
    assert ANA not in page, "a forwarded bulletin shows nobody's address"
    assert "a•••@example.com" in page
    assert visitor.press(out).status_code == 200
    client_of_banco.refresh_from_db()
    assert not client_of_banco.is_subscribed
    assert [(each.act, each.how) for each in ConsentRecord.objects.order_by("id")] == [
        ("given", "link"),
        ("withdrawn", "page"),
    ]


def test_the_mail_is_queued_among_the_codes_and_belongs_to_no_campaign(visitor, client_of_banco):
    visitor.ask()
    message = Message.objects.get()
    request = SubscriptionRequest.objects.get()
    assert (message.kind, message.via, message.recipient) == ("suscripcion", "C", ANA)
    assert (message.partner, message.authorized_client, message.reference) == (None, None, request.pk)
    assert message.send_before < request.expires_at


def test_one_link_for_all_partners_and_blanks_in_the_typed_address_are_removed(visitor):
    both = [authorized("Caja Sur"), authorized("Banco Andino")]
    visitor.ask(" ANA@Example.com\u00a0")
    link = newest_link()
    page = visitor.http.get(link).content.decode()
    assert page.index("Banco Andino") < page.index("Caja Sur")
    visitor.press(link)
    for client in both:
        client.refresh_from_db()
        assert client.is_subscribed
    assert ConsentRecord.objects.filter(act="given").count() == 2


def test_a_new_alta_after_baja_starts_unsubscribed_and_an_old_link_does_not_cover_it(visitor):
    client = authorized()
    link = visitor.link()
    assert deauthorize(client.partner, [ANA], at=NOW) == {ANA}
    assert visitor.http.get(link).status_code == 410
    row = Authorization(ANA, "", "", "", "", "2", "B")
    later = SubscriptionRequest.objects.get().requested_at.replace(year=2050)
    authorize(client.partner, [row], request_id=2, at=later)
    assert visitor.http.get(link).status_code == 410
    assert visitor.http.post(link, {"texto": "x"}).status_code == 410
    assert not any(each.is_subscribed for each in AuthorizedClient.objects.all())


def test_a_partner_that_left_in_between_is_not_subscribed_and_the_page_is_shown_again(visitor):
    stays, leaves = authorized("Caja Sur"), authorized("Banco Andino")
    link = visitor.link()
    read = visitor.fields(link)
    deauthorize(leaves.partner, [ANA], at=NOW)
    again = visitor.http.post(link, read)
    assert again.status_code == 409
    assert "El texto cambió" in again.content.decode()
    stays.refresh_from_db()
    assert not stays.is_subscribed
    assert not ConsentRecord.objects.exists()
    assert visitor.press(link).status_code == 200, "the link still serves"
    stays.refresh_from_db()
    leaves.refresh_from_db()
    assert (stays.is_subscribed, leaves.is_subscribed) == (True, False)


def test_an_old_link_does_not_undo_a_later_withdrawal(visitor, client_of_banco):
    first, second = visitor.link(), visitor.link()
    assert visitor.press(first).status_code == 200
    visitor.press(path_of(unsubscribe_url(unsubscribe_token(client_of_banco.pk))))
    assert visitor.http.get(second).status_code == 410
    assert visitor.press(visitor.link()).status_code == 200, "a link asked for after the no does"
    client_of_banco.refresh_from_db()
    assert client_of_banco.is_subscribed
