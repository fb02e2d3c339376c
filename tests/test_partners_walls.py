"""Walls between partners in their API, tried for every operation of the document: what is one partner's is never
another's, by no id in a path, a query or a body. A new operation or parameter must be declared here."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from config.run.processes import wait_until
from external_api.tests.openapi_document import conforming, operations
from testkit.stack import Stack

ROOT = "/partners/v1"
OPERATIONS = {
    (method, path.removeprefix(ROOT)): described for path, method, described in operations() if path.startswith(ROOT)
}
EACH = pytest.mark.parametrize(("method", "path"), list(OPERATIONS), ids=[f"{m} {p}" for m, p in OPERATIONS])


@dataclass
class Owner:
    """A partner with one of each thing that it may own. `own`: by the name of the parameter that names it."""

    stack: Stack
    slug: str
    token: str
    own: dict[str, str]
    test_token: str = ""
    cursor: str = ""
    marks: frozenset[str] = frozenset()
    """Texts that only this partner may read."""

    def call(self, method: str, path: str, *, body: Any = None, **query: str) -> Any:
        is_of_twin = path.startswith("/test/") and path != "/test/keys"
        headers = {"Authorization": f"Bearer {self.test_token if is_of_twin else self.token}"}
        return self.stack.http.request(method, f"{ROOT}{path}", json=body, params=query, headers=headers)

    def contract2(self, path: str, body: Any, *, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        answer = self.stack.http.post(f"/v1/api{path}", json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()["data"]

    def seen(self) -> dict[str, Any]:
        """What the partner reads of its own things, without what time changes."""
        found = {path: self.call("get", path).json() for path in ("/webhooks", f"/webhooks/{self.own['webhook']}")}
        found["outbox"] = self.call("get", "/test/messages").json()
        text = {path: json.dumps(body, sort_keys=True) for path, body in found.items()}
        deliveries = self.call("get", f"/webhooks/{self.own['webhook']}/deliveries").json()["deliveries"]
        return {**text, "deliveries": sorted((each["id"], each["status"]) for each in deliveries)}


def made(stack: Stack, codes: int) -> Owner:
    """A new partner that has asked for this many codes."""
    keys = json.loads(stack.manage("create_partner", f"Muro {stack.number()}", "--json"))
    owner = Owner(stack, keys["partner"], keys["token"], {})
    marks = {owner.slug}
    for _ in range(codes):
        client = owner.contract2("/client", stack.person())["id"]
        asked = {"via": "S", "telefono": stack.phone(), "operador": "CLARO"}
        token = owner.contract2(f"/client/{client}/token", asked)["token_id"]
        marks |= {client, token}
    owner.own["verification"] = token
    owner.own["message"] = owner.call("get", f"/verifications/{token}").json()["messages"][0]["id"]
    hook = owner.call("post", "/webhooks", body={"url": "http://127.0.0.1:9/aval"})
    assert hook.status_code == 201, hook.text
    owner.own["webhook"] = hook.json()["id"]
    owner.own["delivery"] = owner.call("post", f"/webhooks/{owner.own['webhook']}/test", body={}).json()["id"]
    assert wait_until(lambda: _sent(owner) == codes, 30), "its codes are on their way"
    marks |= _twin_of(owner)
    page = owner.call("get", "/events", limit="1").json()
    owner.cursor = page["next"]
    marks |= {*owner.own.values(), *(each["id"] for each in page["events"])}
    owner.marks = frozenset(marks)
    return owner


def _twin_of(owner: Owner) -> set[str]:
    """Make test keys, and a code of the twin; return what only this partner may read of it."""
    owner.test_token = owner.call("post", "/test/keys", body={}).json()["token"]
    phone = f"9{owner.stack.number() % 100_000:05d}999"  # of no recipient with an outcome of its own
    client = owner.contract2("/client", owner.stack.person(), token=owner.test_token)["id"]
    asked = {"via": "S", "telefono": phone, "operador": "CLARO"}
    owner.contract2(f"/client/{client}/token", asked, token=owner.test_token)
    assert wait_until(lambda: bool(owner.call("get", "/test/messages").json()["messages"]), 30)
    (message,) = owner.call("get", "/test/messages").json()["messages"]
    owner.own["phone of the twin"] = phone
    return {owner.test_token, message["id"], phone}


def _sent(owner: Owner) -> int:
    events = owner.call("get", "/events", limit="1000").json()["events"]
    return sum(each["type"] == "verification.sent" for each in events)


@pytest.fixture(scope="module")
def owners(_running: Stack) -> tuple[Owner, Owner]:
    """Two partners: with three codes, and with one."""
    return made(_running, 3), made(_running, 1)


QUERIES: Mapping[str, Callable[[Owner], str] | None] = {
    "after": lambda other: other.cursor,
    "types": None,
    "limit": None,
    "from": None,
    "by": None,
    "status": None,
    "to": lambda other: other.own["phone of the twin"],
}
"""Parameters of a query by what of another partner they may name; None: nothing."""
BODIES: Mapping[str, Callable[[Owner], Any]] = {
    "nuevoWebhook": lambda other: {"url": "http://127.0.0.1:9/otro"},
    "cambiarWebhook": lambda other: {"status": "paused"},
    "probarWebhook": lambda other: {},
    "rotarSecreto": lambda other: {},
    "emitirCredencialesDePrueba": lambda other: {},
    "adelantarRelojDePrueba": lambda other: {"advance": "PT1M"},
    "vaciarDatosDePrueba": lambda other: {},
    "reenviarEntregas": lambda other: {"deliveries": [other.own["delivery"]]},
}
"""Bodies by operation, with the things of another partner where one may name them."""
WITHOUT_MARKS = {("get", "/usage")}
"""Operations that show a partner's things by no id; each has a test of its own below."""


def parameters(described: Mapping[str, Any], where: str) -> list[str]:
    return [each["name"] for each in described.get("parameters", []) if each["in"] == where]


def body_for(described: Mapping[str, Any], other: Owner) -> Any:
    return BODIES[described["operationId"]](other) if "requestBody" in described else None


def combinations(names: list[str], mine: Owner, other: Owner) -> Iterator[tuple[dict[str, str], bool]]:
    """Every way to fill the parameters of a path with things of both, and whether all are of the one who calls."""
    for whose in itertools.product((mine, other), repeat=len(names)):
        yield {name: who.own[name] for name, who in zip(names, whose, strict=True)}, all(who is mine for who in whose)


@EACH
def test_each_parameter_and_body_is_declared_here(method: str, path: str) -> None:
    described = OPERATIONS[method, path]
    assert set(parameters(described, "path")) <= {"message", "verification", "webhook", "delivery"}
    assert set(parameters(described, "query")) <= set(QUERIES)
    assert "requestBody" not in described or described["operationId"] in BODIES


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if "{" in each[1]], ids=str)
def test_no_path_opens_with_an_id_of_another_partner(owners: tuple[Owner, Owner], method: str, path: str) -> None:
    other, mine = owners
    described, before = OPERATIONS[method, path], other.seen()
    body = body_for(described, mine)
    tried = 0
    for values, are_mine in combinations(parameters(described, "path"), mine, other):
        if are_mine:
            continue
        answer = mine.call(method, path.format(**values), body=body)
        problem = conforming(answer, f"{ROOT}{path}", method)
        assert (answer.status_code, problem["code"]) == (404, "not_found"), values
        tried += 1
    assert tried
    assert other.seen() == before


@pytest.mark.parametrize(
    ("method", "path"), [each for each in OPERATIONS if "{" in each[1] and each[0] != "delete"], ids=str
)
def test_the_same_path_opens_with_one_s_own_ids(stack: Stack, method: str, path: str) -> None:
    """Else the test above would pass for a path that opens to nobody."""
    mine = made(stack, 1)
    described = OPERATIONS[method, path]
    answer = mine.call(method, path.format(**mine.own), body=body_for(described, mine))
    assert answer.status_code in (200, 202, 409), answer.text  # 409: its first test has not left yet


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if each[0] != "delete"], ids=" ".join)
def test_no_answer_shows_anything_of_another_partner(owners: tuple[Owner, Owner], method: str, path: str) -> None:
    """With one's own ids in the path, and in the query and the body whatever another's can be named by. The answer to a
    DELETE has no body."""
    other, mine = owners
    if path == "/test/reset":
        mine = made(other.stack, 1)  # the others keep what they have
    described, before = OPERATIONS[method, path], other.seen()
    foreign = {name: QUERIES[name] for name in parameters(described, "query")}
    named = {name: of(other) for name, of in foreign.items() if of is not None}
    for query in ({}, named) if named else ({},):
        answer = mine.call(method, path.format(**mine.own), body=body_for(described, other), **query)
        assert answer.status_code < 500
        assert not [each for each in other.marks if f'"{each}"' in answer.text]
    assert other.seen() == before
    if method == "get" and (method, path) not in WITHOUT_MARKS:
        answer = mine.call(method, path.format(**mine.own))
        assert [each for each in mine.marks if f'"{each}"' in answer.text], "then nothing is tried here"


def test_the_usage_counts_one_s_own_rows(owners: tuple[Owner, Owner]) -> None:
    for owner, codes in zip(owners, (3, 1), strict=True):
        rows = owner.call("get", "/usage").json()["rows"]
        assert sum(each["verifications"] for each in rows) == codes


def test_another_s_cursor_is_a_place_among_one_s_own_events(owners: tuple[Owner, Owner]) -> None:
    other, mine = owners
    found = mine.call("get", "/events", after=other.cursor, limit="1000").json()["events"]
    assert {each["id"] for each in found} <= {
        each["id"] for each in mine.call("get", "/events", limit="1000").json()["events"]
    }
    assert found, "it wrote its events after the other's"


def test_a_key_shows_its_own_partner(owners: tuple[Owner, Owner]) -> None:
    for owner, other in (owners, owners[::-1]):
        text = owner.call("get", "/me").text
        assert owner.slug in text
        assert other.slug not in text
