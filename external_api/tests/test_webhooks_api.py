"""Webhooks in the API for partners: what is answered, shown once, audited, and whose it is."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from clients.events.models import PartnerEvent
from clients.models import AuditEntry
from external_api.tests.openapi_document import conforming
from tests.factories import DeliveryFactory, EndpointFactory
from webhooks import signing
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db

ROOT = "/partners/v1/webhooks"
URL = "https://hooks.empresa.example.com/aval"


class Caller:
    def __init__(self, client, member):
        self.client, self.partner, self.token = client, member.partner, member.token

    def call(self, method, path="", body=None, **headers):
        data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        return getattr(self.client, method)(
            f"{ROOT}{path}", headers={"Authorization": f"Bearer {self.token}", **headers}, **data
        )

    def make(self, **fields):
        answer = self.call("post", "", {"url": URL, **fields})
        assert answer.status_code == 201, answer.content
        return answer.json()


@pytest.fixture
def caller(client, informa):
    return Caller(client, informa)


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()


def test_a_secret_is_shown_once_and_kept_sealed(caller):
    made = conforming(caller.call("post", "", {"url": URL}), ROOT)
    endpoint = Endpoint.objects.get(pk=made["id"])
    assert signing.unsealed(endpoint.secret, owner=endpoint.pk) == made["secret"]
    for path in ("", f"/{made['id']}"):
        assert 'secret":' not in caller.call("get", path).content.decode().replace("previous_secret", "")
    assert made["secret"] not in json.dumps(list(AuditEntry.objects.values_list("data", flat=True)))


def test_a_retry_gets_the_same_secret_and_its_kept_answer_is_sealed(caller):
    from external_api.models import IdempotentAnswer

    first = caller.call("post", "", {"url": URL}, **{"Idempotency-Key": "k1"})
    again = caller.call("post", "", {"url": URL}, **{"Idempotency-Key": "k1"})
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert Endpoint.objects.count() == 1
    assert b"whsec" not in bytes(IdempotentAnswer.objects.get().body)
    other = caller.call("post", "", {"url": URL + "/2"}, **{"Idempotency-Key": "k1"})
    problem(other, 422, "idempotency_key_reused")


def test_a_kept_error_is_given_again_as_a_problem(caller):
    for _ in range(2):
        answer = caller.call("post", "", {"url": "http://x.example.com"}, **{"Idempotency-Key": "k2"})
        problem(answer, 400, "invalid_parameter")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": 7}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": URL, "types": "verification.sent"}, "types"),
        ({"url": URL, "types": []}, "types"),
        ({"url": URL, "types": ["verification.sent", "x"]}, "types"),
        ({"url": URL, "types": [["verification.sent"]]}, "types"),
        ({"url": URL, "email": "nobody"}, "email"),
        ({"url": URL, "description": "x" * 201}, "description"),
        ({"url": URL, "events": ["verification.sent"]}, "events"),
        ({"url": URL, "secret": "whsec_mine"}, "secret"),
    ],
)
def test_a_body_with_a_fault_names_its_field(caller, body, field):
    assert field in problem(caller.call("post", "", body), 400, "invalid_parameter")["errors"]
    assert Endpoint.objects.count() == 0


def test_a_partner_has_ten(caller):
    for number in range(Endpoint.MOST):
        caller.make(url=f"{URL}/{number}")
    problem(caller.call("post", "", {"url": URL}), 409, "too_many_webhooks")
    EndpointFactory()
    assert len(caller.call("get").json()["webhooks"]) == Endpoint.MOST


def test_a_change_leaves_what_is_not_named(caller):
    made = caller.make(types=["verification.sent"], description="uno", email="a@empresa.pe")
    path = f"/{made['id']}"
    changed = conforming(caller.call("patch", path, {"description": "dos"}), f"{ROOT}/{{webhook}}", "patch")
    assert {**made, "description": "dos"} == {**changed, "secret": made["secret"]}
    assert caller.call("patch", path, {"types": None, "email": ""}).json()["types"] is None
    assert caller.call("patch", path, {}).json()["url"] == URL
    for body, field in (
        ({"status": "disabled"}, "status"),
        ({"url": ""}, "url"),
        ({"url": None}, "url"),
        ({"state": "active"}, "state"),
    ):
        assert field in problem(caller.call("patch", path, body), 400, "invalid_parameter")["errors"]


def test_what_was_changed_is_in_the_audit_with_who_did_it(caller, informa):
    made = caller.make()
    path = f"/{made['id']}"
    caller.call("patch", path, {"description": "dos", "status": "paused"})
    caller.call("patch", path, {"status": "active"})
    caller.call("post", f"{path}/rotate", {})
    caller.call("delete", path)
    entries = AuditEntry.objects.filter(object_id=made["id"]).order_by("pk")
    assert [each.action.partition(".")[2] for each in entries] == [
        *("created", "changed", "paused", "woken", "rotated", "deleted")
    ]
    assert {each.actor for each in entries} == {f"{informa.partner.slug}/{informa.token[:4]}"}
    assert entries[1].data["changes"] == [{"field": "description", "before": "", "after": "dos"}]


def test_a_deleted_one_is_gone_with_its_deliveries(caller):
    made = caller.make()
    DeliveryFactory(endpoint_id=made["id"], endpoint=Endpoint.objects.get(pk=made["id"]))
    answer = caller.call("delete", f"/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    problem(caller.call("get", f"/{made['id']}"), 404, "not_found")
    assert Delivery.objects.count() == 0


def test_another_partners_endpoint_is_not_found_by_any_call(caller):
    others = EndpointFactory()
    delivery = DeliveryFactory(endpoint=others, status="FAILED")
    for method, path, body in (
        ("get", "", None),
        ("patch", "", {"status": "paused"}),
        ("delete", "", None),
        ("post", "/test", {}),
        ("post", "/rotate", {}),
        ("post", "/replay", {"deliveries": [str(delivery.pk)]}),
        ("get", "/deliveries", None),
        ("get", f"/deliveries/{delivery.pk}", None),
    ):
        problem(caller.call(method, f"/{others.pk}{path}", body), 404, "not_found")
    mine = caller.make()
    problem(caller.call("get", f"/{mine['id']}/deliveries/{delivery.pk}"), 404, "not_found")
    assert caller.call("post", f"/{mine['id']}/replay", {"deliveries": [str(delivery.pk)]}).json() == {"replayed": 0}
    delivery.refresh_from_db()
    assert delivery.status == "FAILED"
    assert caller.call("get").json()["webhooks"][0]["id"] == mine["id"]


@pytest.mark.parametrize("key", ["x", "00000000-0000-4000-8000-000000000000", "%00", "1" * 300])
def test_an_id_of_nothing_is_not_found(caller, key):
    assert caller.call("get", f"/{key}").status_code in (400, 404)
    assert caller.call("delete", f"/{key}").status_code in (400, 404)


def test_methods_that_there_are_not(caller):
    made = caller.make()
    for method, path, allowed in (
        ("put", "", "GET, HEAD, POST"),
        ("post", f"/{made['id']}", "GET, HEAD, PATCH, DELETE"),
        ("get", f"/{made['id']}/rotate", "POST"),
        ("delete", f"/{made['id']}/deliveries", "GET, HEAD"),
    ):
        answer = caller.call(method, path)
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == allowed


def test_pauses_and_what_they_leave(caller):
    made = caller.make()
    path = f"/{made['id']}"
    for _ in range(2):
        assert caller.call("patch", path, {"status": "paused"}).json()["status"] == "paused"
    assert PartnerEvent.objects.filter(type="endpoint.paused").count() == 1
    Endpoint.objects.update(status="ENDED", failing_since=timezone.now(), mail_due=True)
    assert caller.call("get", path).json()["status"] == "disabled"
    woken = caller.call("patch", path, {"status": "active"}).json()
    assert (woken["status"], woken["failing_since"], woken["paused_at"]) == ("active", None, None)
    assert not Endpoint.objects.get().mail_due


def test_a_second_test_waits_for_the_first(caller):
    path = f"/{caller.make()['id']}/test"
    assert caller.call("post", path, {}).status_code == 202
    problem(caller.call("post", path, {}), 409, "test_pending")
    Delivery.objects.update(status="FAILED")
    assert caller.call("post", path, {}).status_code == 202


def test_deliveries_come_in_pages_the_newest_first(caller):
    endpoint = Endpoint.objects.get(pk=caller.make()["id"])
    made = [DeliveryFactory(endpoint=endpoint, status=["FAILED", "PENDING"][number % 2]) for number in range(7)]
    path, seen = f"/{endpoint.pk}/deliveries", []
    query = "?limit=3"
    while True:
        page = conforming(caller.call("get", f"{path}{query}"), f"{ROOT}/{{webhook}}/deliveries", "get")
        seen += [each["id"] for each in page["deliveries"]]
        if page["next"] is None:
            break
        query = f"?limit=3&after={page['next']}"
    assert seen == sorted((str(each.pk) for each in made), reverse=True)
    failed = caller.call("get", f"{path}?status=failed").json()["deliveries"]
    assert {each["status"] for each in failed} == {"failed"}
    assert len(failed) == 4
    for query in ("?limit=0", "?limit=251", "?status=x", "?after=x", "?limit=1&limit=2"):
        problem(caller.call("get", f"{path}{query}"), 400, "invalid_parameter")


def test_replays_are_of_finished_deliveries_with_events_that_are_kept(caller):
    endpoint = Endpoint.objects.get(pk=caller.make()["id"])
    failed, delivered, waiting, eventless = (
        DeliveryFactory(endpoint=endpoint, status=each, tries=10)
        for each in ("FAILED", "DELIVERED", "PENDING", "FAILED")
    )
    PartnerEvent.objects.filter(pk=eventless.event_id).delete()
    Delivery.objects.create(
        endpoint=endpoint, type="webhook.test", status="FAILED", next_try_at=timezone.now(), created_at=timezone.now()
    )
    path = f"/{endpoint.pk}/replay"
    hour = timedelta(hours=1)
    now = timezone.now()
    assert caller.call("post", path, {"since": (now + hour).isoformat()}).json() == {"replayed": 0}
    assert caller.call("post", path, {"since": (now - hour).isoformat()}).json() == {"replayed": 1}
    ids = [str(each.pk) for each in (delivered, waiting, eventless)]
    assert caller.call("post", path, {"deliveries": ids}).json() == {"replayed": 1}
    for each in (failed, delivered):
        each.refresh_from_db()
        assert (each.status, each.tries, each.finished_at) == ("PENDING", 0, None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"deliveries": []},
        {"deliveries": ["x"]},
        {"deliveries": [None]},
        {"deliveries": "x"},
        {"since": "yesterday"},
        {"since": "2026-11-29T10:00:00"},
        {"since": 7},
        {"since": "2026-11-29T10:00:00Z", "until": "2026-11-29T10:00:00Z"},
        {"until": "2026-11-29T10:00:00Z"},
        {"since": "2026-11-29T10:00:00Z", "deliveries": ["01a226c4-6901-7d3b-8b1f-5a7c2e9d4f60"]},
        {"all": True},
    ],
)
def test_a_replay_that_says_nothing_clear_is_refused(caller, body):
    problem(caller.call("post", f"/{caller.make()['id']}/replay", body), 400, "invalid_parameter")
