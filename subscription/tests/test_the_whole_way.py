"""From the form to the bulletin list and out again, as a person walks it."""

import pytest

from clients.authorized_clients import Authorization, authorize, deauthorize
from clients.models import AuthorizedClient
from conftest import NOW
from messaging.campaigns.rendering import unsubscribe_url
from messaging.models import Message
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.tests.conftest import ANA, authorized, newest_link

pytestmark = pytest.mark.django_db


def path_of(url):
    return url.removeprefix("http://localhost:8000")


def test_ask_confirm_and_unsubscribe(door, client_of_banco):
    assert "te enviamos un enlace" in door.ask().content.decode()
    client_of_banco.refresh_from_db()
    assert not client_of_banco.is_subscribed

    link = door.link()
    page = door.http.get(link).content.decode()
    assert "Banco Andino" in page
    assert ANA in page
    answer = door.press(link)
    assert answer.status_code == 200
    assert "Tu suscripción está confirmada" in answer.content.decode()
    client_of_banco.refresh_from_db()
    assert client_of_banco.is_subscribed

    out = path_of(unsubscribe_url(client_of_banco.pk))
    page = door.http.get(out).content.decode()
    assert "Banco Andino" in page
    assert ANA not in page, "a forwarded bulletin shows nobody's address"
    assert "a•••@example.com" in page
    assert door.press(out).status_code == 200
    client_of_banco.refresh_from_db()
    assert not client_of_banco.is_subscribed
    assert [(each.act, each.how) for each in ConsentRecord.objects.order_by("id")] == [
        ("given", "link"),
        ("withdrawn", "page"),
    ]


def test_the_mail_waits_among_the_codes_and_is_nobodys_campaign(door, client_of_banco):
    door.ask()
    message = Message.objects.get()
    request = SubscriptionRequest.objects.get()
    assert (message.kind, message.via, message.recipient) == ("suscripcion", "C", ANA)
    assert (message.partner, message.authorized_client, message.reference) == (None, None, request.pk)
    assert message.send_before < request.expires_at


def test_one_link_for_all_companies_and_what_was_typed_is_mended(door):
    both = [authorized("Caja Sur"), authorized("Banco Andino")]
    door.ask(" ANA@Example.com\u00a0")
    link = newest_link()
    page = door.http.get(link).content.decode()
    assert page.index("Banco Andino") < page.index("Caja Sur")
    door.press(link)
    for client in both:
        client.refresh_from_db()
        assert client.is_subscribed
    assert ConsentRecord.objects.filter(act="given").count() == 2


def test_a_new_alta_after_baja_starts_unsubscribed_and_an_old_link_does_not_cover_it(door):
    client = authorized()
    link = door.link()
    assert deauthorize(client.partner, [ANA], at=NOW) == {ANA}
    assert door.http.get(link).status_code == 410
    row = Authorization(ANA, "", "", "", "", "2", "B")
    later = SubscriptionRequest.objects.get().requested_at.replace(year=2050)
    authorize(client.partner, [row], request_id=2, at=later)
    assert door.http.get(link).status_code == 410
    assert door.http.post(link, {"texto": "x"}).status_code == 410
    assert not any(each.is_subscribed for each in AuthorizedClient.objects.all())


def test_a_company_that_left_in_between_is_not_subscribed_and_the_page_is_shown_again(door):
    stays, leaves = authorized("Caja Sur"), authorized("Banco Andino")
    link = door.link()
    read = door.fields(link)
    deauthorize(leaves.partner, [ANA], at=NOW)
    again = door.http.post(link, read)
    assert again.status_code == 409
    assert "El texto cambió" in again.content.decode()
    stays.refresh_from_db()
    assert not stays.is_subscribed
    assert not ConsentRecord.objects.exists()
    assert door.press(link).status_code == 200, "the link still serves"
    stays.refresh_from_db()
    leaves.refresh_from_db()
    assert (stays.is_subscribed, leaves.is_subscribed) == (True, False)


def test_an_old_link_does_not_undo_a_later_no(door, client_of_banco):
    first, second = door.link(), door.link()
    assert door.press(first).status_code == 200
    door.press(path_of(unsubscribe_url(client_of_banco.pk)))
    assert door.http.get(second).status_code == 410
    assert door.press(door.link()).status_code == 200, "a link asked for after the no does"
    client_of_banco.refresh_from_db()
    assert client_of_banco.is_subscribed
