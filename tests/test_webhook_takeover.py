"""Take-over of events by endpoints: from which on, how many, after a pause, after retention, after a restore.

The feed waits for the oldest transaction of the whole server, so these tests are not among those of the apps.
"""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from clients.events import restore
from clients.events.models import EventEpoch, EventType, PartnerEvent
from clients.events.writing import write_event
from clients.retention import RULES
from conftest import wait_until
from tests.factories import PartnerFactory
from webhooks import endpoints, takeover
from webhooks.endpoints import Actor
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

BY = Actor("ana", None)
SECOND = timedelta(seconds=1)


@pytest.fixture
def partner():
    return PartnerFactory()


def endpoint_of(partner, **fields):
    made, _ = endpoints.create(partner, url="https://hooks.example.com/", by=BY, at=timezone.now(), **fields)
    return made


def write(partner, *subjects, kind=EventType.KEY_EXPIRING, at=None):
    for each in subjects:
        write_event(partner.pk, kind, each, {}, at=at or timezone.now())


def takes(endpoint, expected):
    """Whether these subjects, and no others, are its deliveries, once whatever holds the feed up has ended."""

    def step():
        takeover.take_over(endpoint.pk, at=timezone.now())
        return subjects(endpoint) == expected

    return wait_until(step, 20)


def subjects(endpoint):
    ids = list(Delivery.objects.filter(endpoint=endpoint).order_by("event_id").values_list("event_id", flat=True))
    known = PartnerEvent.objects.in_bulk(ids)
    return [known[each].subject if each in known else None for each in ids]


def test_it_begins_with_what_happens_after_its_creation(partner):
    write(partner, "before")
    endpoint = endpoint_of(partner)
    write(PartnerFactory(), "of another")
    write(partner, "a", "b")
    assert takes(endpoint, ["a", "b"])
    assert takeover.take_over(endpoint.pk, at=timezone.now()) == 0
    write(partner, "c")
    assert takes(endpoint, ["a", "b", "c"])


def test_only_its_types_and_its_cursor_moves_all_the_same(partner):
    endpoint = endpoint_of(partner, types=["verification.sent"])
    write(partner, *"abc")
    write(partner, "d", kind=EventType.VERIFICATION_SENT)
    write(partner, *"ef")
    assert takes(endpoint, ["d"])
    assert wait_until(
        lambda: takeover.take_over(endpoint.pk, at=timezone.now()) or not takeover.endpoints_with_news(), 10
    )


def test_two_dispatchers_take_over_each_event_once(partner):
    from concurrent.futures import ThreadPoolExecutor

    endpoint = endpoint_of(partner)
    write(partner, *(str(number) for number in range(600)))

    def take(_):
        try:
            return takeover.take_over(endpoint.pk, at=timezone.now())
        finally:
            connection.close()

    def is_done():
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(take, range(8)))
        return Delivery.objects.filter(endpoint=endpoint).count() >= 600

    assert wait_until(is_done, 20)
    assert Delivery.objects.filter(endpoint=endpoint).values("event_id").distinct().count() == 600
    assert Delivery.objects.filter(endpoint=endpoint).count() == 600


def test_a_thousand_open_deliveries_are_enough(partner):
    endpoint = endpoint_of(partner)
    write(partner, *(str(number) for number in range(1100)))
    open_ones = Delivery.objects.filter(endpoint=endpoint, status="PENDING")
    assert wait_until(
        lambda: takeover.take_over(endpoint.pk, at=timezone.now()) == 0 and open_ones.count() >= Endpoint.MOST_OPEN, 20
    )
    assert open_ones.count() == Endpoint.MOST_OPEN
    Delivery.objects.filter(pk__in=Delivery.objects.values("pk")[:40]).update(status="DELIVERED")
    assert takeover.take_over(endpoint.pk, at=timezone.now()) == 40


@pytest.mark.parametrize("status", ["PAUSED", "ENDED"])
def test_the_cursor_of_one_that_has_stopped_stands(partner, status):
    endpoint = endpoint_of(partner)
    write(partner, "a")
    assert takes(endpoint, ["a"])
    Endpoint.objects.filter(pk=endpoint.pk).update(status=status, stopped_at=timezone.now())
    write(partner, "b")
    assert endpoint.pk not in takeover.endpoints_with_news()
    assert takeover.take_over(endpoint.pk, at=timezone.now()) == 0
    endpoints.wake(endpoint.pk, by=BY, at=timezone.now())
    assert takes(endpoint, ["a", "b"])


def test_a_partner_that_is_switched_off_has_no_news(partner):
    endpoint = endpoint_of(partner)
    write(partner, "a")
    assert wait_until(lambda: takeover.endpoints_with_news() == [endpoint.pk], 10)
    type(partner).objects.update(is_active=False)
    assert takeover.endpoints_with_news() == []


def test_one_that_wakes_after_its_events_were_removed_says_from_when_it_goes_on(partner):
    endpoint = endpoint_of(partner)
    write(partner, "a")
    assert takes(endpoint, ["a"])
    endpoints.pause(endpoint.pk, by=BY, at=timezone.now())
    long_ago = timezone.now() - timedelta(days=90)
    write(partner, "lost", at=long_ago)
    write(partner, "kept")
    (rule,) = [each for each in RULES if each.name == "events"]
    assert wait_until(lambda: rule.batch(at=timezone.now()) == 1, 10)
    endpoints.wake(endpoint.pk, by=BY, at=timezone.now())
    assert wait_until(lambda: takeover.take_over(endpoint.pk, at=timezone.now()) or "kept" in subjects(endpoint), 20)
    endpoint.refresh_from_db()
    oldest = PartnerEvent.objects.filter(partner=partner).order_by("xid", "id").first()
    assert endpoint.resumed_from == oldest.at
    assert len(subjects(endpoint)) == len(set(subjects(endpoint)))


def restored():
    """Put the events and cursors where a dump of a server that had counted much further has them."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE clients_partnerevent SET xid = (xid::text::bigint + 1000000000)::text::xid8")
        cursor.execute("UPDATE webhooks_endpoint SET cursor_xid = (cursor_xid::text::bigint + 1000000000)::text::xid8")


def test_after_a_restore_each_goes_on_with_what_it_had_not_taken_over(partner):
    endpoint, behind = endpoint_of(partner), endpoint_of(partner)
    write(partner, *"ab")
    assert takes(endpoint, [*"ab"])
    takeover.take_over(behind.pk, at=timezone.now())
    Endpoint.objects.filter(pk=behind.pk).update(status="PAUSED", stopped_at=timezone.now())
    write(partner, *"cd")
    restored()
    write(partner, "after")
    assert restore.is_ahead()
    call_command("renumber_events")
    Endpoint.objects.filter(pk=behind.pk).update(status="ACTIVE", stopped_at=None)
    for each in (endpoint, behind):
        assert takes(each, [*"abcd", "after"])
        each.refresh_from_db()
        assert each.epoch == EventEpoch.objects.get().epoch
        assert each.resumed_from is None, "nothing was missed"


def test_deliveries_that_are_gone_are_not_made_again_for_events_of_before_the_place(partner):
    """One that had taken over all stands behind all after new places, whatever deliveries are kept."""
    endpoint = endpoint_of(partner)
    write(partner, *"ab")
    assert takes(endpoint, [*"ab"])
    Delivery.objects.all().delete()
    restored()
    call_command("renumber_events")
    assert takes(endpoint, [])
    write(partner, "c")
    assert takes(endpoint, ["c"])


def test_a_new_epoch_sends_nothing_of_before_the_endpoint(partner):
    write(partner, "before", at=timezone.now() - SECOND)
    endpoint = endpoint_of(partner)
    write(partner, "a")
    assert takes(endpoint, ["a"])
    EventEpoch.objects.update(origin="another server")
    restore.ensure_epoch()
    write(partner, "b")
    assert takes(endpoint, ["a", "b"])
