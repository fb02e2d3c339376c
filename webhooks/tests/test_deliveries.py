"""Deliveries: what is claimed, what becomes of a try, and when an endpoint is paused."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from standardwebhooks.webhooks import Webhook

from clients import twins
from clients.events.models import PartnerEvent
from conftest import NOW
from tests.factories import ENDPOINT_SECRET, DeliveryFactory, EndpointFactory, PartnerFactory
from webhooks import deliveries, signing
from webhooks.client import Outcome
from webhooks.deliveries import LEASE, Result, Slots
from webhooks.models import Delivery, Endpoint
from webhooks.schedule import TRIES

pytestmark = pytest.mark.django_db

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
OK, ERROR, GONE = Outcome(204, "", 0.1), Outcome(500, "HTTP 500", 0.1), Outcome(410, "HTTP 410", 0.1)
MANY = Slots(prompt=100, delayed=100, slow=frozenset())


@pytest.fixture
def endpoint():
    return EndpointFactory()


def claim(slots=MANY, at=NOW):
    return deliveries.claim(slots, at=at)


def due(endpoint, count=1, **fields):
    return [DeliveryFactory(endpoint=endpoint, at=NOW, **fields) for _ in range(count)]


def tried(claims, outcome, at=NOW):
    deliveries.record([Result(each, outcome, at) for each in claims])


def states():
    return list(Delivery.objects.order_by("id").values_list("status", flat=True))


# --- claims -----------------------------------------------------------------------------------------------------------


def test_what_is_due_is_claimed_for_the_time_of_its_lease_and_not_twice(endpoint):
    due(endpoint, 2)
    DeliveryFactory(endpoint=endpoint, at=NOW, next_try_at=NOW + SECOND)
    assert len(claim()) == 2
    assert claim() == []
    assert len(claim(at=NOW + SECOND)) == 1
    assert len(claim(at=NOW + LEASE)) == 2, "a dispatcher that was killed"


def test_a_body_is_the_feeds_event_with_a_timestamp(endpoint):
    due(endpoint)
    (found,) = claim()
    event = PartnerEvent.objects.get()
    assert found.webhook_id == f"evt_{event.pk}"
    assert json.loads(found.body) == {
        "id": f"evt_{event.pk}",
        "type": "key.expiring",
        "subject": "aB3x",
        "at": "2026-02-12T15:30:00.000000Z",
        "timestamp": "2026-02-12T15:30:00.000000Z",
        "data": {"days": 7},
        "test": False,
    }
    assert len(found.body.encode()) < 20_000


def test_a_body_of_a_test_twin_says_so():
    twin = twins.twin_of(PartnerFactory(), at=NOW, by="eva")
    due(EndpointFactory(partner=twin))
    (found,) = claim()
    assert json.loads(found.body)["test"] is True


def test_an_endpoint_has_four_at_once(endpoint):
    due(endpoint, 10)
    assert len(claim()) == Endpoint.MOST_CONCURRENT == 4
    assert claim() == []
    first, *_ = claims = list(Delivery.objects.filter(claimed_until__gt=NOW))
    assert len(claims) == 4
    Delivery.objects.filter(pk=first.pk).update(status="DELIVERED", claimed_until=None)
    assert len(claim()) == 1


def test_a_failing_endpoint_has_one_at_once(endpoint):
    due(endpoint, 10)
    Endpoint.objects.update(failing_since=NOW)
    (found,) = claim()
    assert found.is_failing
    assert claim() == []


def test_failing_and_slow_endpoints_take_no_slot_of_those_that_answer(endpoint):
    failing = [EndpointFactory(failing_since=NOW) for _ in range(5)]
    slow = EndpointFactory()
    for each in (*failing, slow, endpoint):
        due(each, 4)
    found = claim(Slots(prompt=3, delayed=2, slow={slow.pk}))
    assert sum(each.endpoint_id == endpoint.pk for each in found) == 3
    assert len(found) == 5


def test_slots_are_shared_out_in_turn():
    endpoints = [EndpointFactory() for _ in range(3)]
    for each in endpoints:
        due(each, 10)
    found = claim(Slots(prompt=6, delayed=0, slow=frozenset()))
    assert sorted(each.endpoint_id for each in found) == sorted([each.pk for each in endpoints] * 2)


@pytest.mark.parametrize("status", ["PAUSED", "ENDED"])
def test_deliveries_of_an_endpoint_that_has_stopped_stand_still_but_for_a_test(endpoint, status):
    due(endpoint, 2)
    Endpoint.objects.update(status=status, stopped_at=NOW)
    assert claim() == []
    Delivery.objects.create(endpoint=endpoint, type="webhook.test", next_try_at=NOW, created_at=NOW)
    (found,) = claim()
    assert found.is_test
    Delivery.objects.filter(event_id=None).update(claimed_until=None, status="FAILED")
    Endpoint.objects.update(status="ACTIVE", stopped_at=None)
    assert len(claim()) == 2


def test_a_partner_that_is_switched_off_gets_nothing(endpoint):
    due(endpoint)
    type(endpoint.partner).objects.update(is_active=False)
    assert claim() == []


def test_a_delivery_whose_event_was_removed_fails(endpoint):
    due(endpoint, 2)
    PartnerEvent.objects.first().delete()
    assert len(claim()) == 1
    failed = Delivery.objects.get(status="FAILED")
    assert (failed.last_error, failed.claimed_until) == (deliveries.REMOVED, None)


def test_a_claim_that_was_given_up_is_free_again(endpoint):
    due(endpoint, 2)
    first, _ = claim()
    deliveries.release([first])
    (again,) = claim()
    assert again.id == first.id


# --- what becomes of a try --------------------------------------------------------------------------------------------


def test_a_success_ends_the_delivery(endpoint):
    due(endpoint)
    tried(claim(), OK, at=NOW + SECOND)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.tries, delivery.last_status, delivery.last_error) == ("DELIVERED", 1, 204, "")
    assert (delivery.finished_at, delivery.last_try_at) == (NOW + SECOND, NOW + SECOND)
    endpoint.refresh_from_db()
    assert (endpoint.last_success_at, endpoint.failing_since) == (NOW + SECOND, None)
    assert claim(at=NOW + DAY) == []


def test_a_failure_waits_for_its_next_try_and_the_tenth_is_the_last(endpoint):
    due(endpoint)
    at, waits = NOW, []
    for number in range(1, TRIES + 1):
        (found,) = claim(at=at)
        tried([found], ERROR, at=at)
        delivery = Delivery.objects.get()
        assert (delivery.tries, delivery.last_status, delivery.last_error) == (number, 500, "HTTP 500")
        if number < TRIES:
            assert claim(at=delivery.next_try_at - timedelta(microseconds=1)) == []
            waits.append(delivery.next_try_at - at)
            at = delivery.next_try_at
            Endpoint.objects.update(failing_since=at)  # it is the schedule that is tried, not the pause
    assert delivery.status == "FAILED"
    assert delivery.finished_at == at
    hours = [2, 5, 10, 14, 20, 24]
    expected = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, *(timedelta(hours=each) for each in hours)]
    assert all(one <= other <= one * 1.1 for one, other in zip(expected, waits, strict=True))
    assert len(set(waits)) == len(waits)


def test_retry_after_of_the_receiver_counts(endpoint):
    due(endpoint)
    tried(claim(), Outcome(429, "HTTP 429", 0.1, timedelta(hours=1)))
    assert Delivery.objects.get().next_try_at == NOW + timedelta(hours=1)


def test_410_ends_the_endpoint_and_loses_nothing(endpoint):
    due(endpoint, 3)
    tried(claim(), GONE)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.stopped_at) == ("ENDED", NOW)
    assert states() == ["PENDING"] * 3
    assert claim(at=NOW + DAY) == []
    Endpoint.objects.update(status="ACTIVE", stopped_at=None, failing_since=None)
    assert len(claim(at=NOW + DAY)) == 3


def test_one_event_that_the_receiver_cannot_digest_delays_no_other(endpoint):
    due(endpoint, 6)
    poison, *others = claim()
    tried([poison], ERROR)
    tried(others, OK)
    assert len(claim()) == 2


def test_a_result_of_a_claim_that_has_ended_changes_nothing_of_the_delivery(endpoint):
    due(endpoint)
    late = claim()
    again = claim(at=NOW + LEASE)
    tried(again, OK, at=NOW + LEASE)
    tried(late, ERROR, at=NOW + LEASE + SECOND)
    assert states() == ["DELIVERED"]
    assert Delivery.objects.get().tries == 1


def test_a_test_is_tried_once_and_says_nothing_of_the_endpoint(endpoint):
    for outcome, status in ((OK, "DELIVERED"), (ERROR, "FAILED"), (GONE, "FAILED")):
        made = Delivery.objects.create(endpoint=endpoint, type="webhook.test", next_try_at=NOW, created_at=NOW)
        (found,) = claim()
        assert found.webhook_id == f"test_{made.pk.hex}"
        assert json.loads(found.body)["type"] == "webhook.test"
        tried([found], outcome)
        made.refresh_from_db()
        assert made.status == status
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.failing_since, endpoint.last_success_at) == ("ACTIVE", None, None)


# --- pauses -----------------------------------------------------------------------------------------------------------


def test_five_days_of_failures_without_a_success_pause_it_with_an_event(endpoint):
    due(endpoint, 3)
    Endpoint.objects.update(email="ops@empresa.pe")
    first, second, third = claim()
    tried([first], ERROR, at=NOW)
    tried([second], ERROR, at=NOW + 5 * DAY - SECOND)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.failing_since) == ("ACTIVE", NOW)
    tried([third], ERROR, at=NOW + 5 * DAY)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.stopped_at, endpoint.mail_due) == ("PAUSED", NOW + 5 * DAY, True)
    event = PartnerEvent.objects.get(type="endpoint.paused")
    assert (event.partner, event.subject) == (endpoint.partner, str(endpoint.pk))
    assert event.data == {
        "endpoint_id": str(endpoint.pk),
        "reason": "failing",
        "failing_since": "2026-02-12T15:30:00.000000Z",
    }
    assert states() == ["PENDING"] * 3


def test_a_success_in_between_begins_the_five_days_anew(endpoint):
    due(endpoint, 3)
    first, second, third = claim()
    tried([first], ERROR, at=NOW)
    tried([second], OK, at=NOW + 4 * DAY)
    tried([third], ERROR, at=NOW + 6 * DAY)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.failing_since) == ("ACTIVE", NOW + 6 * DAY)


def test_an_endpoint_with_failures_and_a_success_together_is_not_failing(endpoint):
    due(endpoint, 2)
    first, second = claim()
    deliveries.record([Result(first, ERROR, NOW), Result(second, OK, NOW)])
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_endpoints_without_an_address_get_no_mail(endpoint):
    due(endpoint)
    Endpoint.objects.update(failing_since=NOW - 6 * DAY)
    tried(claim(), ERROR)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.mail_due) == ("PAUSED", False)


def test_endpoints_do_not_share_their_failures(endpoint):
    other = EndpointFactory(partner=endpoint.partner)
    due(endpoint)
    due(other)
    Endpoint.objects.update(failing_since=NOW - 6 * DAY)
    one, two = claim()
    deliveries.record([Result(one, ERROR, NOW), Result(two, OK, NOW)])
    assert sorted(Endpoint.objects.values_list("status", flat=True)) == ["ACTIVE", "PAUSED"]


# --- signatures -------------------------------------------------------------------------------------------------------


def test_the_signature_is_the_librarys_and_holds_for_this_body_alone():
    at = datetime.now(UTC)
    headers = signing.headers("evt_7", '{"a":"ñ"}', [ENDPOINT_SECRET], at=at)
    assert Webhook(ENDPOINT_SECRET).verify('{"a":"ñ"}', headers) == {"a": "ñ"}
    for body, changed in (('{"a":"n"}', headers), ('{"a":"ñ"}', {**headers, "webhook-id": "evt_8"})):
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(ENDPOINT_SECRET).verify(body, changed)


def test_a_former_secret_signs_along_until_its_end(endpoint):
    due(endpoint, 2)
    former = signing.new_secret()
    Endpoint.objects.update(
        former_secret=signing.sealed(former, owner=endpoint.pk), former_secret_until=NOW + timedelta(hours=24)
    )
    assert all(each.former_secret for each in claim())
    assert not any(each.former_secret for each in claim(at=NOW + timedelta(hours=24)))


def test_secrets_are_sealed_and_of_their_own_endpoint(endpoint):
    secret = signing.new_secret()
    assert secret.startswith("whsec_")
    assert secret != signing.new_secret()
    kept = signing.sealed(secret, owner=endpoint.pk)
    assert "whsec" not in kept
    assert signing.unsealed(kept, owner=endpoint.pk) == secret
    with pytest.raises(signing.sealing.CannotUnseal):
        signing.unsealed(kept, owner=PartnerFactory().pk)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_claim_reads_no_more_than_what_is_open(endpoint):
    """10,000 finished deliveries cost a claim nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO webhooks_delivery (id, endpoint_id, event_id, type, status, tries, next_try_at, last_error,"
            " created_at) SELECT gen_random_uuid(), %s, n, 'x', 'DELIVERED', 1, %s, '', %s"
            " FROM generate_series(1, 10000) n",
            [endpoint.pk, NOW, NOW],
        )
        cursor.execute("ANALYZE webhooks_delivery")
        for text in (deliveries.sql.LOCK_DUE, deliveries.sql.CLAIM):
            params = {"at": NOW, "limit": 10, "endpoints": [endpoint.pk], "slots": [4], "until": NOW + LEASE}
            cursor.execute(f"EXPLAIN {text}", params)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on webhooks_delivery" not in plan, plan
            assert "open_deliveries_of_an_endpoint" in plan
