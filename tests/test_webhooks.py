"""Webhooks with the dispatcher as a process: taken over from the feed, delivered whatever is killed, verified by the
npm package `standardwebhooks`, rotated, paused and woken. Take-over is tried here, not among the tests of the apps: the
feed waits for the oldest transaction of the whole server.
"""

import json
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.run.processes import wait_until
from external_api.tests.openapi_document import conforming
from testkit.skipping import skip_or_fail
from testkit.stack import Stack
from tests.partner_calls import ROOT, Partner
from webhooks.tests.receiver import Received, Receiver, receiving

PEERS = Path(__file__).parent / "peers"
VERIFY = """
import { Webhook } from "standardwebhooks";
import { readFileSync } from "node:fs";
for (const { secret, body, headers } of JSON.parse(readFileSync(0, "utf8")))
    console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
"""


@pytest.fixture(scope="module", autouse=True)
def dispatcher(_running: Stack) -> Iterator[Any]:
    program = _running.program("webhooks")
    program.start()
    yield program
    program.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def partner(stack: Stack) -> Partner:
    return Partner(stack)


class Hook:
    """An endpoint of a partner, by the API."""

    def __init__(self, partner: Partner, url: str, **fields: Any) -> None:
        self.partner = partner
        made = self.call("POST", "", "/webhooks", {"url": url, **fields}, status=201)
        self.id, self.secret = made["id"], made["secret"]

    def call(self, method: str, path: str, documented: str, body: Any = None, *, status: int = 200) -> Any:
        """The answer of a path below /webhooks, which is as the document says for the path `documented`."""
        url, headers = f"{ROOT}/webhooks{path}", {"Authorization": f"Bearer {self.partner.token}"}
        answer = self.partner.stack.http.request(method, url, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return conforming(answer, f"{ROOT}{documented}", method.lower())

    def of_this(self, method: str, below: str = "", body: Any = None, *, status: int = 200) -> Any:
        """The answer of a path below the endpoint's own."""
        what = below.partition("?")[0]
        documented = "/deliveries/{delivery}" if what.startswith("/deliveries/") else what
        return self.call(method, f"/{self.id}{below}", f"/webhooks/{{webhook}}{documented}", body, status=status)

    def act(self, what: str, body: Any = None, *, status: int = 202) -> Any:
        return self.of_this("POST", f"/{what}", body or {}, status=status)

    def change(self, **fields: Any) -> Any:
        return self.of_this("PATCH", body=fields)

    @property
    def now(self) -> Any:
        return self.of_this("GET")

    def deliveries(self, query: str = "") -> Any:
        return self.of_this("GET", f"/deliveries{query}")

    def verified(self, received: list[Received], secret: str = "") -> list[Any]:
        """Bodies, once the npm package has verified them. Raises subprocess.CalledProcessError."""
        if shutil.which("node") is None or not (PEERS / "node_modules" / "standardwebhooks").is_dir():
            skip_or_fail("Node.js with `npm ci --prefix tests/peers --ignore-scripts` is missing")
        asked = [
            {"secret": secret or self.secret, "body": each.body.decode(), "headers": each.headers} for each in received
        ]
        done = subprocess.run(
            ["node", "--input-type=module", "-e", VERIFY],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
            cwd=PEERS,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def write(partner: Partner, count: int) -> list[str]:
    """Events of the partner, written in one transaction; their ids as partners know them."""
    rows = partner.stack.sql(
        "INSERT INTO clients_partnerevent (partner_id, type, subject, at, data)"
        " SELECT partner.id, 'key.expiring', n::text, now(), jsonb_build_object('days', 7)"
        " FROM clients_partner AS partner, generate_series(1, %s) AS n WHERE slug = %s RETURNING id",
        count,
        partner.slug,
    )
    return [f"evt_{row[0]}" for row in rows]


def arrived(receiver: Receiver, ids: list[str], seconds: float = 30) -> bool:
    return wait_until(lambda: set(ids) <= set(receiver.ids), seconds)


def test_what_happens_to_a_code_arrives_signed_within_seconds(partner: Partner, receiver: Receiver) -> None:
    hook = Hook(partner, receiver.url)
    client, phone = partner.register(), partner.stack.phone()
    token = partner.ask(client, phone)
    assert wait_until(lambda: len(receiver.received) >= 2, 10)
    bodies = hook.verified(receiver.received)
    assert {each["type"] for each in bodies} >= {"verification.requested", "verification.sent"}
    assert {each["subject"] for each in bodies} == {token}
    feed = {each["id"]: each for each in partner.events(limit=1000)["events"]}
    for each in bodies:
        assert each.pop("timestamp") == each["at"]
        assert each == feed[each["id"]]
    assert sorted(receiver.ids) == sorted(each["id"] for each in bodies)
    text = json.dumps(bodies)
    assert phone not in text
    assert str(partner.stack.code(phone)) not in text
    assert wait_until(lambda: hook.now["last_success_at"] is not None, 5)


def test_events_of_before_its_endpoint_and_of_others_do_not_come(partner: Partner, receiver: Receiver) -> None:
    write(partner, 3)
    time.sleep(0.1)
    hook = Hook(partner, receiver.url)
    write(Partner(partner.stack), 3)
    mine = write(partner, 2)
    assert arrived(receiver, mine)
    time.sleep(1)
    assert sorted(receiver.ids) == sorted(mine)
    assert len(hook.deliveries()["deliveries"]) == 2


def test_only_the_types_that_it_asks_for_come(partner: Partner, receiver: Receiver) -> None:
    Hook(partner, receiver.url, types=["verification.verified"])
    write(partner, 5)
    client, phone = partner.register(), partner.stack.phone()
    partner.ask(client, phone)
    code = partner.stack.code_soon(phone)
    verified = partner.stack.http.get(
        f"/v1/api/client/{client}/verify/{code}", headers={"Authorization": f"Bearer {partner.token}"}
    )
    assert verified.status_code == 200
    assert wait_until(lambda: bool(receiver.received), 10)
    time.sleep(1)
    assert [json.loads(each.body)["type"] for each in receiver.received] == ["verification.verified"]


def test_every_event_arrives_under_one_id_whatever_is_killed(
    partner: Partner, receiver: Receiver, dispatcher: Any
) -> None:
    """The receiver is slow now and then and answers 500 at times, so that kills meet every step."""
    chance = random.Random(7)

    def answer(got: Received) -> int:
        time.sleep(chance.choice((0, 0, 0.05, 0.3)))
        return chance.choice((204, 204, 204, 500))

    receiver.answer = answer
    hook = Hook(partner, receiver.url)
    ids: list[str] = []
    for number in range(12):
        ids += write(partner, 20)
        time.sleep(chance.uniform(0, 0.8))
        if number % 2:
            dispatcher.signal(signal.SIGKILL)
            dispatcher.process.wait()
            dispatcher.start()
        if number % 5 == 4:
            partner.stack.worker.kill()
            partner.stack.worker.start()
    receiver.answer = 204
    # what a killed dispatcher had claimed comes after its lease; a failed one after 5 s, then after 5 min
    partner.stack.sql("UPDATE webhooks_delivery SET next_try_at = now() WHERE status = 'PENDING'")

    def is_done() -> bool:
        partner.stack.sql(
            "UPDATE webhooks_delivery SET next_try_at = now() WHERE status = 'PENDING' AND next_try_at > now()"
        )
        return not hook.deliveries("?status=pending&limit=1")["deliveries"] and set(ids) <= set(receiver.ids)

    assert wait_until(is_done, 90)
    assert set(receiver.ids) == set(ids)
    bodies = {}
    for got in receiver.received:
        assert bodies.setdefault(got.webhook_id, got.body) == got.body, "one id, one body"
    delivered = [each["event_id"] for each in _all(hook)]
    assert Counter(delivered) == Counter(ids)
    assert {each["status"] for each in _all(hook)} == {"delivered"}
    assert len(hook.verified(receiver.received[-100:])) == 100


def _all(hook: Hook) -> list[Any]:
    """All deliveries, page by page."""
    found, query = [], "?limit=100"
    while True:
        page = hook.deliveries(query)
        found += page["deliveries"]
        if page["next"] is None:
            return found
        query = f"?limit=100&after={page['next']}"


def test_a_stopped_dispatcher_records_what_it_was_trying(partner: Partner, receiver: Receiver, dispatcher: Any) -> None:
    receiver.answer = lambda got: time.sleep(1) or 204
    hook = Hook(partner, receiver.url)
    ids = write(partner, 4)
    assert arrived(receiver, ids)
    dispatcher.signal(signal.SIGTERM)
    assert wait_until(lambda: not dispatcher.is_running(), 20)
    assert {each["status"] for each in hook.deliveries()["deliveries"]} == {"delivered"}
    dispatcher.start()


def test_a_secret_is_rotated_without_a_refused_delivery(partner: Partner, receiver: Receiver) -> None:
    hook = Hook(partner, receiver.url)
    ids = write(partner, 20)
    rotated = hook.act("rotate", status=200)
    assert rotated["secret"] != hook.secret
    assert rotated["previous_secret_until"] > rotated["created_at"]
    ids += write(partner, 20)
    assert arrived(receiver, ids)
    assert len(hook.verified(receiver.received)) == len(receiver.received), "the receiver that has the old one"
    after = [each for each in receiver.received if " " in each.headers["webhook-signature"]]
    assert len(after) >= 20
    assert len(hook.verified(after, rotated["secret"])) == len(after), "the receiver that has the new one"
    partner.stack.sql("UPDATE webhooks_endpoint SET former_secret_until = now() WHERE id = %s", hook.id)
    (last,) = write(partner, 1)
    assert arrived(receiver, [last])
    with pytest.raises(subprocess.CalledProcessError):
        hook.verified(receiver.received[-1:])
    assert hook.verified(receiver.received[-1:], rotated["secret"])


def test_one_poison_event_and_a_hundred_behind_it(partner: Partner, receiver: Receiver) -> None:
    hook = Hook(partner, receiver.url)
    (poison,) = write(partner, 1)
    receiver.answer = lambda got: 500 if got.webhook_id == poison else 204
    ids = write(partner, 100)
    assert arrived(receiver, ids)
    assert wait_until(lambda: len(hook.deliveries("?status=delivered&limit=200")["deliveries"]) == 100, 10)
    (left,) = hook.deliveries("?status=pending")["deliveries"]
    assert (left["event_id"], left["last_status"], left["last_error"]) == (poison, 500, "HTTP 500")


def test_a_pause_loses_nothing(partner: Partner, receiver: Receiver) -> None:
    hook = Hook(partner, receiver.url)
    first = write(partner, 3)
    assert arrived(receiver, first)
    assert hook.change(status="paused")["status"] == "paused"
    ids = write(partner, 500)
    time.sleep(1.5)
    assert set(receiver.ids) == set(first)
    woken = hook.change(status="active")
    assert (woken["status"], woken["paused_at"]) == ("active", None)
    assert arrived(receiver, ids, 60)
    (pause,) = [each for each in receiver.received if json.loads(each.body)["type"] == "endpoint.paused"]
    assert json.loads(pause.body)["data"] == {"endpoint_id": hook.id, "reason": "by_request"}
    assert Counter(receiver.ids) == Counter([*first, *ids, pause.webhook_id])


def test_a_dead_receiver_delays_no_other_and_its_cursor_stands_at_a_thousand(
    partner: Partner, receiver: Receiver
) -> None:
    with receiving() as dead:
        dead.answer = lambda got: time.sleep(20) or 204
        other = Hook(partner, dead.url)
        write(partner, 1100)
        assert wait_until(lambda: len(dead.received) >= 4, 10)
        healthy = Partner(partner.stack)
        Hook(healthy, receiver.url)
        seconds = []
        for _ in range(20):
            began = time.monotonic()
            (key,) = write(healthy, 1)
            assert wait_until(lambda key=key: key in receiver.ids, 10)
            seconds.append(time.monotonic() - began)
        assert sorted(seconds)[18] < 2, seconds
        ((open_now,),) = partner.stack.sql(
            "SELECT count(*) FROM webhooks_delivery WHERE endpoint_id = %s AND status = 'PENDING'", other.id
        )
        assert open_now == 1000
        assert dead.most_at_once <= 4
        other.of_this("DELETE", status=204)


def test_what_failed_for_good_is_listed_and_sent_again(partner: Partner, receiver: Receiver) -> None:
    hook = Hook(partner, receiver.url)
    receiver.answer = 500
    ids = write(partner, 3)
    assert arrived(receiver, ids)
    partner.stack.sql("UPDATE webhooks_delivery SET tries = 9, next_try_at = now() WHERE endpoint_id = %s", hook.id)
    assert wait_until(lambda: len(hook.deliveries("?status=failed")["deliveries"]) == 3, 15)
    receiver.answer = 204
    one = hook.deliveries("?status=failed")["deliveries"][0]
    assert hook.act("replay", {"deliveries": [one["id"]]}) == {"replayed": 1}
    assert wait_until(lambda: len(hook.deliveries("?status=delivered")["deliveries"]) == 1, 10)
    assert hook.act("replay", {"since": "2020-01-01T00:00:00Z"}) == {"replayed": 2}
    assert wait_until(lambda: len(hook.deliveries("?status=delivered")["deliveries"]) == 3, 10)
    assert hook.act("replay", {"since": "2020-01-01T00:00:00Z"}) == {"replayed": 0}


def test_a_test_is_sent_at_once_also_while_paused(partner: Partner, receiver: Receiver) -> None:
    hook = Hook(partner, receiver.url)
    hook.change(status="paused")
    made = hook.act("test")
    assert (made["type"], made["event_id"], made["status"]) == ("webhook.test", None, "pending")
    assert wait_until(lambda: bool(receiver.received), 10)
    (body,) = hook.verified(receiver.received)
    assert (body["type"], body["test"]) == ("webhook.test", True)
    one = f"/deliveries/{made['id']}"
    assert wait_until(lambda: hook.of_this("GET", one)["status"] == "delivered", 5)


def test_a_410_ends_it_until_it_is_woken(partner: Partner, receiver: Receiver) -> None:
    hook = Hook(partner, receiver.url)
    receiver.answer = 410
    ids = write(partner, 3)
    assert wait_until(lambda: hook.now["status"] == "disabled", 15)
    count = len(receiver.received)
    receiver.answer = 204
    ids += write(partner, 3)
    time.sleep(1.5)
    assert len(receiver.received) == count
    hook.change(status="active")
    assert arrived(receiver, ids)
    assert wait_until(lambda: not hook.deliveries("?status=pending")["deliveries"], 10)
