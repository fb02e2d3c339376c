"""Events of keys that are about to expire: in the last 30, 7 and 1 days, once each, and only of those that live."""

from datetime import UTC, datetime, timedelta

import pytest

from clients.credentials import issue, revoke
from clients.events.expiring_keys import announce
from clients.events.models import PartnerEvent
from clients.models import Partner
from tests.factories import CredentialFactory, PartnerFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def days_announced():
    return [each.data["days"] for each in PartnerEvent.objects.order_by("id")]


def test_a_key_is_announced_three_times_on_its_way():
    key = CredentialFactory(expires_at=NOW)
    for hours in range(-40 * 24, 24, 5):
        announce(at=NOW + timedelta(hours=hours))
    assert days_announced() == [30, 7, 1]
    event = PartnerEvent.objects.earliest("id")
    assert (event.partner, event.type, event.subject) == (key.partner, "key.expiring", key.prefix)
    assert event.data == {
        "prefix": key.prefix,
        "kind": "opaque",
        "days": 30,
        "expires_at": "2026-02-12T15:30:00.000000Z",
    }
    assert NOW - 30 * DAY <= event.at < NOW - 30 * DAY + timedelta(hours=5)


@pytest.mark.parametrize(("left", "expected"), [(31 * DAY, []), (30 * DAY, [30]), (7 * DAY, [7]), (DAY, [1])])
def test_a_process_that_was_away_announces_where_the_key_is_now(left, expected):
    CredentialFactory(expires_at=NOW + left)
    assert announce(at=NOW) == len(expected)
    assert days_announced() == expected


def test_a_key_that_is_over_revoked_without_an_end_or_of_a_partner_that_is_off_is_not_announced():
    for expires_at in (NOW, NOW - DAY, None):
        CredentialFactory(expires_at=expires_at)
    revoked = CredentialFactory(expires_at=NOW + DAY)
    revoke(revoked, at=NOW, by="test")
    off = CredentialFactory(expires_at=NOW + DAY, partner=PartnerFactory(name="Off"))
    Partner.objects.filter(pk=off.partner_id).update(is_active=False)
    assert announce(at=NOW) == 0


def test_a_new_key_has_its_own_announcements():
    partner = PartnerFactory()
    first, _ = issue(partner, "jwt", at=NOW - 364 * DAY, by="test")
    announce(at=NOW)
    second, _ = issue(partner, "jwt", at=NOW - 340 * DAY, by="test")
    announce(at=NOW)
    assert {each.subject for each in PartnerEvent.objects.all()} == {first.prefix, second.prefix}
