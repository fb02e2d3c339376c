"""A code is in its message and nowhere else: not in an answer, a log line, a key of Redis, a row or a page of staff's.

A run of everything that can happen to a code, then a search for the very codes of that run. Only codes with a digit
and two letters past F take part: no word, number, date or hexadecimal id can look like them, and a long random text
(a seal, a cookie) does so once in a million runs. So a finding is a finding.
"""

import base64
import json
import re
import secrets
from collections.abc import Iterator, Sequence

import httpx
import pytest

from config.run.processes import wait_until
from messaging.queue.sealing import unseal
from testkit.code_search import everything_in_redis, everything_in_the_database, findings, searchable
from testkit.stack import Asked, Call, Stack
from tokens import codes


@pytest.mark.parametrize(
    "text",
    [
        "GET /v1/api/client/e2f0/verify/7KQ2 HTTP/1.1",
        "GET /v1/api/client/e2f0/verify/7kq2/",
        "path=%2Fverify%2F7KQ2",
        '{"message": "Su código es\\n7KQ2"}',
        "7. K. Q. 2.",
        "token:0f5f8c52-9d5c-4f5c-8a43-1f7f1c7a2f60-7KQ2",
        "codigo7KQ2",
        json.dumps({"body": base64.b64encode(b'[["7KQ2"], {}, null]').decode()}),
    ],
)
def test_the_search_is_not_blind(text: str) -> None:
    assert findings({"planted": text}, ["7KQ2", "9ZZ9"])


def test_the_search_does_not_see_ghosts() -> None:
    wanted = [code for code in (codes.generate() for _ in range(40)) if searchable(code)]
    noise = "".join(
        f"{secrets.token_hex(16)} {secrets.token_urlsafe(32)} 2026-02-12T15:30:00.{n:03}Z\n" for n in range(999)
    )
    assert findings({"noise": noise}, wanted) == []


def staff_pages(stack: Stack, asked: Sequence[Asked]) -> None:
    """An agent reads all there is about these clients by the staff's endpoints, and every kind of page of the admin."""
    name, password = f"agente{stack.number()}", "una-clave-para-la-prueba"
    stack.environment |= {"DJANGO_SUPERUSER_PASSWORD": password}
    stack.command("manage", "createsuperuser", "--noinput", "--username", name, "--email", "agente@example.com")
    login = stack.send(Call("POST", "/auth/login", {"username": name, "password": password}))
    bearer = {"Authorization": f"Bearer {login.json()['token']}"}
    for path in ("/admin/messages", "/admin/clients", *(f"/admin/clients/{each.client}" for each in asked)):
        assert stack.send(Call("GET", path, more=bearer)).status_code == 200, path
    stack.http.get("/admin/login/")
    form = {"username": name, "password": password, "csrfmiddlewaretoken": stack.http.cookies["csrftoken"]}
    stack.http.post("/admin/login/", data=form, headers={"Referer": stack.url})
    assert len(_crawl(stack, "/admin/")) > 20


def _crawl(stack: Stack, start: str) -> set[str]:
    """Every kind of page three links away, the first of each: lists begin with the newest, which are this test's."""
    seen: dict[str, str] = {}
    ahead = [start]
    for _ in range(4):
        pages = {_kind(path): path for path in reversed(ahead) if _kind(path) not in seen}
        seen |= pages
        ahead = []
        for path in pages.values():
            page = stack.http.get(path)
            if page.status_code == 200:
                ahead += re.findall(r'href="(/admin/[^"#?]*)"', page.text)
        ahead = [each for each in ahead if "logout" not in each and "password" not in each]
    return set(seen.values())


def _kind(path: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "*", path)


# --- what happens to codes ---


class Run:
    """Everything that can happen to a code, with an ear on every answer but the outbox's."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.wanted: list[str] = []
        self.texts: dict[str, str] = {}

    def hear(self, answer: httpx.Response) -> None:
        answer.read()
        where = f"answer {len(self.texts)} to {answer.request.method} {answer.request.url.path}"
        self.texts[where] = f"{answer.status_code} {dict(answer.headers)} {answer.text}"

    def look_around(self, when: str) -> None:
        for where, text in (everything_in_redis(self.stack) | everything_in_the_database(self.stack)).items():
            self.texts[f"{when}: {where}"] = text

    def new(self, via: str = "S") -> tuple[Asked, str]:
        """A client and its code, read from under the seal: the worker stands still."""
        while True:
            each = Asked(self.stack.register(), self.stack.phone())
            code = self.ask(each, via)
            if code:
                return each, code

    def ask(self, each: Asked, via: str) -> str:
        assert self.stack.ask(each.client, each.phone, via).status_code == 200
        rows = self.stack.sql(
            "SELECT m.sealed FROM messaging_message m JOIN tokens_verificationtoken t ON t.id = m.reference"
            " WHERE t.applicant_id = %s ORDER BY t.created_at DESC LIMIT 1",
            each.client,
        )
        code = unseal(rows[0][0])
        if not searchable(code):
            return ""
        self.wanted.append(code)
        return code

    def wrong(self, times: int) -> list[str]:
        """What is typed wrongly may be somebody else's code: it is not kept either."""
        made: list[str] = []
        while len(made) < times:
            made += [code for code in (codes.generate(),) if searchable(code)]
        self.wanted += made
        return made

    def type_in(self, each: Asked, *typed: str) -> list[tuple[int, str]]:
        answers = [self.stack.verify(each.client, text) for text in typed]
        return [(answer.status_code, answer.json().get("code", "")) for answer in answers]


@pytest.fixture
def run(stack: Stack) -> Iterator[Run]:
    run = Run(stack)
    stack.http.event_hooks = {"response": [run.hear]}
    yield run
    stack.http.event_hooks = {}


def test_a_code_is_found_nowhere_but_in_its_message(stack: Stack, run: Run) -> None:
    stack.worker.freeze()
    failing = run.new("S")
    early, replaced, mailed = run.new("W"), run.new("W"), run.new("C")
    guessed, used_up, cancelled = run.new("S"), run.new("I"), run.new("I")
    assert run.type_in(early[0], early[1]) == [(200, "")], "an answer may overtake its message's delivery"
    run.look_around("while all wait")
    with stack.database(autocommit=False) as provider:
        provider.execute("LOCK TABLE messaging_sandboxmessage IN EXCLUSIVE MODE")
        stack.worker.thaw()
        assert wait_until(lambda: stack.states([failing[0]])[failing[0].phone] == "UNKNOWN", 20)
    gone = [each for each, _ in (replaced, guessed, used_up, cancelled)]
    assert wait_until(lambda: set(stack.states(gone).values()) <= {"SENT", "UNKNOWN"}, 20)

    _answered_while_the_database_is_busy(stack, run, *failing)
    _asked_in_odd_ways(stack, *guessed)
    assert run.type_in(guessed[0], *run.wrong(3), guessed[1])[-1] == (200, ""), "one try was among the odd ways"
    assert run.type_in(used_up[0], *run.wrong(5), used_up[1])[-1] == (400, "ERR_NO_PENDING_TOKEN")
    stack.send(Call("POST", f"/client/{cancelled[0].client}/cancel"))
    assert run.type_in(cancelled[0], cancelled[1]) == [(400, "ERR_NO_PENDING_TOKEN")]
    stack.worker.freeze()  # or the code has left, and its seal with it, before it is read
    run.ask(replaced[0], "I")
    stack.worker.thaw()
    assert run.type_in(replaced[0], replaced[1]) == [(400, "ERR_INVALID_TOKEN")]
    assert run.type_in(mailed[0], mailed[1].lower()) == [(200, "")]

    staff_pages(stack, [failing[0], early[0], mailed[0], *gone])
    run.look_around("at the end")
    run.texts |= {f"log {name}": text for name, text in stack.logs().items()}
    assert {"log web.log", "log worker.log", "log beat.log", "log postgres.log"} <= run.texts.keys()
    assert findings(run.texts, run.wanted) == []


def _answered_while_the_database_is_busy(stack: Stack, run: Run, each: Asked, code: str) -> None:
    """503 after PostgreSQL's lock_timeout: everybody who logs a fault logs this one. Then the code is still good."""
    with stack.database(autocommit=False) as connection:
        connection.execute("SELECT FROM clients_applicant WHERE id = %s FOR UPDATE", [each.client])
        assert run.type_in(each, code) == [(503, "ERR_UNAVAILABLE")]
    assert run.type_in(each, code) == [(200, "")]


def _asked_in_odd_ways(stack: Stack, each: Asked, code: str) -> None:
    """Paths with a code that no endpoint takes: the log of whoever refuses them must not print them."""
    path = f"/client/{each.client}/verify/{code}"
    odd = [Call(method, path) for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS")]
    odd += [Call("GET", f"{path}/{code}"), Call("GET", f"/client/{code}/verify/{code}"), Call("GET", f"{path}%00")]
    odd += [Call("GET", f"/client/{each.client}/cooldown/{code}"), Call("GET", f"/status?token={code}")]
    odd += [
        Call("GET", path, more={"Host": "elsewhere.example"}),
        Call("GET", path, more={"Authorization": f"Bearer {code}"}),
    ]
    odd += [Call("POST", f"/client/{each.client}/token", {"via": code})]
    for call in odd:
        answer = stack.send(call)
        assert 200 <= answer.status_code < 500, (call.method, answer.text)
    for line in (f"GET /v1/api{path} HTTP/9.9", f"GET /v1/api{path} x HTTP/1.1", f"BREW /v1/api{path} HTTP/1.1"):
        stack.exchange_raw(f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n")
