"""API for partners over HTTP: what a partner is, its messages, codes and events; and never those of another one."""

import json
from typing import Any

import pytest

from external_api.tests.openapi_document import conforming
from testkit.stack import Stack
from tests.partner_calls import ROOT, Partner

PROBLEM = "application/problem+json"
NOBODYS = "00000000-0000-4000-8000-000000000000"
"""Id of nothing."""


@pytest.fixture
def partner(stack: Stack) -> Partner:
    return Partner(stack)


def test_a_partner_sees_itself_with_either_kind_of_credential(partner: Partner) -> None:
    for token, kind in ((partner.token, "opaque"), (partner.jwt, "jwt")):
        me = conforming(partner.get("/me", token=token), f"{ROOT}/me", "get")
        assert me["slug"] == partner.slug
        assert [key["kind"] for key in me["keys"] if key["is_this_one"]] == [kind]
    assert len(me["keys"]) == 2
    assert {key["prefix"] for key in me["keys"] if key["kind"] == "opaque"} == {partner.token[:4]}
    assert partner.token not in json.dumps(me)


def test_what_is_left_of_the_day_is_told(partner: Partner) -> None:
    before = partner.get("/me").json()["limits"]["messages_per_day_S"]
    partner.ask(partner.register(), partner.stack.phone())
    after = partner.get("/me").json()["limits"]["messages_per_day_S"]
    assert (after["limit"], after["remaining"]) == (before["limit"], before["remaining"] - 1)


def test_a_code_from_its_request_to_its_verification(partner: Partner) -> None:
    stack, phone = partner.stack, partner.stack.phone()
    client = partner.register()
    token = partner.ask(client, phone)
    code = stack.code_soon(phone)
    verified = stack.http.get(
        f"/v1/api/client/{client}/verify/{code}", headers={"Authorization": f"Bearer {partner.token}"}
    )
    assert verified.status_code == 200
    found = partner.events_until("verification.verified")
    assert [each["type"] for each in found if each["subject"] == token] == [
        "verification.requested",
        "verification.sent",
        "verification.verified",
    ]
    assert {each["data"]["to"] for each in found} == {f"9•• ••• {phone[-3:]}"}
    one = conforming(partner.get(f"/verifications/{token}"), f"{ROOT}/verifications/{{verification}}", "get")
    assert (one["outcome"], one["client_id"], one["wrong_attempts"]) == ("verified", client, 0)
    (message,) = one["messages"]
    shown = conforming(partner.get(f"/messages/{message['id']}"), f"{ROOT}/messages/{{message}}", "get")
    assert (shown, shown["state"], shown["verification_id"]) == (message, "sent", token)
    assert phone not in json.dumps([one, shown])


def test_a_reader_follows_the_feed_by_its_cursor(partner: Partner) -> None:
    client = partner.register()
    partner.ask(client, partner.stack.phone())
    partner.events_until("verification.sent")
    answer = partner.get("/events", limit=1)
    assert "Retry-After" not in answer.headers
    first = answer.json()
    assert ([each["type"] for each in first["events"]], first["up_to_date"]) == (["verification.requested"], False)
    rest = partner.get("/events", after=first["next"])
    assert ([each["type"] for each in rest.json()["events"]], rest.json()["up_to_date"]) == (
        ["verification.sent"],
        True,
    )
    assert rest.headers["Retry-After"] == "5"
    assert partner.events(after=rest.json()["next"])["events"] == []
    only = partner.events(types="verification.sent, message.sent")
    assert [each["type"] for each in only["events"]] == ["verification.sent"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"after": "x"}, "after"),
        ({"after": "\x00"}, "after"),
        ({"after": "A" * 3000}, "after"),
        ({"types": "verification"}, "types"),
        ({"types": "verification.sent,<b>"}, "types"),
    ],
)
def test_a_wrong_parameter_is_named(partner: Partner, params: dict[str, Any], field: str) -> None:
    answer = partner.get("/events", **params)
    problem = conforming(answer, f"{ROOT}/events", "get")
    assert (answer.status_code, problem["code"], list(problem["errors"])) == (400, "invalid_parameter", [field])


def test_a_cursor_of_another_epoch_is_gone_and_says_where_to_go_on(partner: Partner) -> None:
    partner.register()
    partner.ask(partner.register(), partner.stack.phone())
    partner.events_until("verification.sent")
    strange = "MDAwMDAwMDAwMDAwMDAwMC4xLjE="  # 0000000000000000.1.1
    answer = partner.get("/events", after=strange)
    problem = conforming(answer, f"{ROOT}/events", "get")
    assert (answer.status_code, problem["code"]) == (410, "cursor_gone")
    assert partner.events(after=problem["oldest"])["events"] == partner.events()["events"] != []


def test_what_is_another_partner_s_is_not_there(partner: Partner) -> None:
    other = Partner(partner.stack)
    token = other.ask(other.register(), partner.stack.phone())
    message = other.get(f"/verifications/{token}").json()["messages"][0]["id"]
    other.events_until("verification.sent")
    for path, template in (
        (f"/verifications/{token}", "/verifications/{verification}"),
        (f"/messages/{message}", "/messages/{message}"),
        (f"/messages/{NOBODYS}", "/messages/{message}"),
        ("/messages/nada", "/messages/{message}"),
        ("/verifications/1", "/verifications/{verification}"),
    ):
        answer = partner.get(path)
        problem = conforming(answer, f"{ROOT}{template}", "get")
        assert (answer.status_code, problem["code"]) == (404, "not_found"), path
    assert partner.events()["events"] == []
    assert other.slug not in partner.get("/me").text


def test_the_usage_of_a_partner_is_its_rows(partner: Partner) -> None:
    stack, other = partner.stack, Partner(partner.stack)
    other.ask(other.register(), stack.phone())
    phone = stack.phone()
    verified, pending = partner.register(), partner.register()
    partner.ask(verified, phone)
    partner.ask(pending, stack.phone())
    code = stack.code_soon(phone)
    headers = {"Authorization": f"Bearer {partner.token}"}
    assert stack.http.get(f"/v1/api/client/{verified}/verify/{code}", headers=headers).status_code == 200
    found = {}
    for by in ("day", "via", "outcome"):
        found[by] = conforming(partner.get("/usage", by=by), f"{ROOT}/usage", "get")
        assert (found[by]["by"], found[by]["missing"]) == (by, [])
        for name, number in (("messages", 2), ("verifications", 2), ("verifications_verified", 1)):
            assert sum(row[name] for row in found[by]["rows"]) == number, (by, name)
    (day,) = found["day"]["rows"]
    assert day["day"] == found["day"]["to"]
    assert [row["via"] for row in found["via"]["rows"]] == ["S"]
    assert {row["outcome"]: row["verifications"] for row in found["outcome"]["rows"] if row["verifications"]} == {
        "verified": 1,
        "pending": 1,
    }
    nothing = partner.get("/usage", **{"from": "2020-01-01", "to": "2020-01-31"}).json()
    assert (nothing["from"], nothing["to"], nothing["rows"]) == ("2020-01-01", "2020-01-31", [])


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "x"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "20260201"}, "to"),
        ({"to": "1999-12-31"}, "to"),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "from"),
        ({"from": "2025-01-01", "to": "2026-06-01"}, "from"),
        ({"from": "2999-01-01"}, "from"),
        ({"by": "partner"}, "by"),
    ],
)
def test_a_wrong_day_or_group_is_named(partner: Partner, params: dict[str, str], field: str) -> None:
    answer = partner.get("/usage", **params)
    problem = conforming(answer, f"{ROOT}/usage", "get")
    assert (answer.status_code, problem["code"], list(problem["errors"])) == (400, "invalid_parameter", [field])


@pytest.mark.parametrize("path", ["/me", "/usage", "/events", f"/messages/{NOBODYS}", f"/verifications/{NOBODYS}"])
def test_each_endpoint_wants_a_credential_and_answers_with_a_problem(partner: Partner, path: str) -> None:
    http = partner.stack.http
    for headers in ({}, {"Authorization": "Bearer nada"}, {"Authorization": "Basic eDp5"}):
        answer = http.get(f"{ROOT}{path}", headers=headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (401, PROBLEM)
        assert (answer.json()["code"], answer.headers["WWW-Authenticate"]) == ("unauthorized", "Bearer")
    refused = partner.stack.http.request(
        "DELETE", f"{ROOT}{path}", headers={"Authorization": f"Bearer {partner.token}"}
    )
    assert (refused.status_code, refused.json()["code"], refused.headers["Allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )
    head = partner.stack.http.head(f"{ROOT}{path}", headers={"Authorization": f"Bearer {partner.token}"})
    assert (head.status_code in (200, 404), head.content) == (True, b"")


def test_a_path_that_is_none_and_a_slash_at_the_end(partner: Partner) -> None:
    answer = partner.get("/nada")
    assert (answer.status_code, answer.headers["Content-Type"], answer.json()["code"]) == (404, PROBLEM, "no_such_path")
    assert partner.get("/me/").json()["slug"] == partner.slug


def test_answers_are_not_kept_and_a_read_feed_is_not_in_the_log(partner: Partner) -> None:
    assert partner.get("/events").headers["Cache-Control"] == "no-store"
    partner.get("/me")
    partner.get("/events", limit=0)
    rows = partner.stack.sql(
        "SELECT action, status FROM external_api_apirequest WHERE partner_id ="
        " (SELECT id FROM clients_partner WHERE slug = %s) ORDER BY id",
        partner.slug,
    )
    assert rows == [("me", 200), ("events", 400)]
