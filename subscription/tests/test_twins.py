"""The public pages do not know the clients of a test twin."""

import pytest
from django.utils import timezone

from clients import twins
from clients.email_subscriptions import subscribable, unsubscribe_mailbox
from messaging.models import Message
from subscription import asking
from tests.factories import AuthorizedClientFactory, PartnerFactory

pytestmark = pytest.mark.django_db


def test_a_person_whom_only_a_twin_authorised_gets_no_mail():
    live = PartnerFactory(name="Andina")
    twin = twins.twin_of(live, at=timezone.now(), by="eva")
    tested = AuthorizedClientFactory(partner=twin, email="ana@dominio.com")
    asking.ask("ana@dominio.com", address="192.0.2.1", at=timezone.now())
    assert not Message.objects.exists()
    real = AuthorizedClientFactory(partner=live, email="ana@dominio.com")
    asking.ask("ana@dominio.com", address="192.0.2.1", at=timezone.now())
    assert "pruebas" not in Message.objects.get().text
    assert list(subscribable("ana@dominio.com", asked_at=timezone.now())) == [real]
    assert [each.pk for each in unsubscribe_mailbox("ana@dominio.com", None, at=timezone.now())] == [real.pk]
    tested.refresh_from_db()
    assert tested.unsubscribed_at is None
