"""Partner events of authorised and external clients: one for a request, or one for a client, and no personal data."""

import json
from datetime import UTC, datetime

import pytest

from clients.authorized_clients import Authorization, authorize, deauthorize
from clients.credentials import issue
from clients.email_subscriptions import subscribe, unsubscribe, unsubscribe_mailbox
from clients.events.models import PartnerEvent
from clients.external_clients import Details, register
from tests.factories import AuthorizedClientFactory, PartnerFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
MAILBOX = "ana@dominio.com"
JUAN = Details("2380033370713", "Juan", "Pérez", "555-1234", "ABC123", "98765", "website", [])


def row(email):
    return Authorization(email, "Ana", "DNI", "40000001", "987654321", "A-1", "VIP")


def written():
    return [(each.partner, each.type, each.subject, each.data) for each in PartnerEvent.objects.order_by("id")]


def test_an_alta_is_one_event_with_the_number_of_clients():
    partner = PartnerFactory()
    authorize(partner, [row(MAILBOX), row("eva@dominio.com")], request_id=7, at=NOW)
    assert written() == [(partner, "authorization.created", "7", {"id_solicitud": 7, "clients": 2})]
    assert PartnerEvent.objects.get().at == NOW
    authorize(partner, [row(MAILBOX), row("luz@dominio.com")], request_id=8, at=NOW)
    assert written()[1:] == [(partner, "authorization.created", "8", {"id_solicitud": 8, "clients": 1})]


def test_an_alta_or_a_baja_that_changes_nobody_is_no_event():
    partner = PartnerFactory()
    AuthorizedClientFactory(partner=partner, email=MAILBOX)
    authorize(partner, [row(MAILBOX)], request_id=7, at=NOW)
    deauthorize(partner, ["nadie@dominio.com"], request_id=8, at=NOW)
    assert written() == []


def test_a_baja_is_one_event_and_that_of_an_agent_has_no_request():
    partner = PartnerFactory()
    emails = [AuthorizedClientFactory(partner=partner).email for _ in range(3)]
    assert deauthorize(partner, emails[:2], request_id=9, at=NOW) == set(emails[:2])
    assert deauthorize(partner, emails[2:], at=NOW) == set(emails[2:])
    assert written() == [
        (partner, "authorization.removed", "9", {"id_solicitud": 9, "clients": 2}),
        (partner, "authorization.removed", "", {"id_solicitud": None, "clients": 1}),
    ]


def test_a_subscription_and_its_end_are_told_to_the_company_they_concern():
    one, other = AuthorizedClientFactory(email=MAILBOX, request_id=5), AuthorizedClientFactory(email=MAILBOX)
    subscribe([one, other], at=NOW)
    about = {"id_solicitud": 5, "via": "C", "to": "a•••@dominio.com"}
    assert written()[0] == (one.partner, "authorization.subscribed", str(one.pk), about)
    assert {each[0] for each in written()} == {one.partner, other.partner}
    unsubscribe(one, everywhere=False, at=NOW)
    unsubscribe(one, everywhere=False, at=NOW)
    assert written()[2:] == [(one.partner, "authorization.unsubscribed", str(one.pk), about)]
    unsubscribe_mailbox(MAILBOX, None, at=NOW)
    assert [each[0] for each in written()[3:]] == [other.partner]


def test_a_registration_a_change_and_a_repetition():
    key = issue(PartnerFactory(), "jwt", at=NOW, by="test")[0]
    same = [register(key, "CL1", JUAN, request_id=1, address=None, at=NOW) for _ in range(2)]
    register(key, "CL1", JUAN._replace(origin="app"), request_id=2, address=None, at=NOW)
    assert written() == [
        (key.partner, "registry.client.created", str(same[0]), {}),
        (key.partner, "registry.client.updated", str(same[0]), {}),
    ]


def test_no_event_holds_a_mailbox_a_name_or_a_document():
    partner = PartnerFactory()
    authorize(partner, [row(MAILBOX)], request_id=7, at=NOW)
    subscribe(partner.authorized.all(), at=NOW)
    deauthorize(partner, [MAILBOX], request_id=8, at=NOW)
    text = json.dumps([each[1:] for each in written()])
    assert len(written()) == 3
    for secret in row(MAILBOX):
        assert f'"{secret}"' not in text
